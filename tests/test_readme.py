"""README and code say the same."""

import argparse
import re
from pathlib import Path

import pytest

from workbench.cli import add_ui_options, build_parser
from workbench.recipe import KINDS, LAYERS, losses_for

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def table(header: str) -> dict[str, list[str]]:
    """Return the rows of the table whose first header cell is given: first cell -> other cells, without backquotes."""
    lines = README.split(f"| {header} |", 1)[1].splitlines()[2:]
    rows = {}
    for line in lines:
        if not line.startswith("|"):
            break
        first, *others = (cell.strip().replace("`", "").replace("\\", "") for cell in re.split(r"(?<!\\)\|", line.strip()[1:-1]))
        rows[first] = others
    return rows


def commands() -> dict[str, argparse.ArgumentParser]:
    parser = build_parser()
    (action,) = (item for item in parser._actions if isinstance(item, argparse._SubParsersAction))
    return dict(action.choices)


def test_every_command_is_in_the_table() -> None:
    assert list(dict.fromkeys(row.split()[0] for row in table("command"))) == list(commands())


def test_every_option_of_the_page_is_in_the_table() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    add_ui_options(parser)
    known = {option for action in parser._actions for option in action.option_strings} | {"--home"}
    assert set(re.findall(r"--[a-z-]+", " ".join(table("option of `app.py`")))) == known


def test_every_option_the_readme_names_exists() -> None:
    known = {option for parser in commands().values() for action in parser._actions for option in action.option_strings}
    ours = "\n".join(line for line in README.splitlines() if "python -m pytest" not in line)
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", ours)) - {"--layers"}
    assert named <= known | {"--layers"}, named - known


def test_layers() -> None:
    rows = table("`--layers`")
    words = {"text": "text", "tokens": "token vectors", "sentence": "sentence vector"}
    assert list(rows) == list(LAYERS)
    for kind, (title, consumes, produces, values) in rows.items():
        entry = LAYERS[kind]
        assert (title, consumes, produces) == (entry.title, words[entry.consumes], words[entry.produces])
        if kind != "transformer":
            assert all(parameter.name in values for parameter in entry.parameters)


def test_kinds_and_losses() -> None:
    rows = table("kind")
    assert list(rows) == list(KINDS)
    for name, (columns, losses, metric) in rows.items():
        assert [re.sub(r" \(.*", "", column) for column in columns.split(", ")] == list(KINDS[name].roles)
        assert losses.split(", ") == list(losses_for(name))
        assert metric == KINDS[name].primary_metric


def test_every_path_exists_and_every_room_is_named() -> None:
    rows = table("path")
    paths = [path for row in rows for path in row.split(", ")]
    assert all((ROOT / path).exists() for path in paths)
    rooms = {f"workbench/{item.name}/" for item in (ROOT / "workbench").iterdir() if (item / "__init__.py").is_file()}
    assert rooms <= set(paths)


def test_pictures_are_there() -> None:
    for picture in re.findall(r"!\[[^]]*]\(([^)]+)\)", README):
        assert (ROOT / picture).stat().st_size > 10_000


@pytest.mark.parametrize("name", ["requirements.txt", "tests/requirements.txt"])
def test_requirements_are_pinned(name: str) -> None:
    lines = [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w-]+==[\w.]+", line) for line in lines)
    assert name != "requirements.txt" or lines[0] == "torch==2.13.0"
