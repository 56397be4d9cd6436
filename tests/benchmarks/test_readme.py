"""The tables in the benchmarks' README are those of the result files."""

import importlib
import re
from pathlib import Path

import pytest

from benchmarks.measuring import read_json
from benchmarks.report import README, markdown, placed

TEXT = README.read_text(encoding="utf-8")
TABLES = ("train_throughput", "step_profile", "encode_throughput", "quality", "memory", "start_up", "defaults")


def result(name: str) -> dict:
    return read_json(README.with_name(f"{name}.json"))


@pytest.mark.parametrize("name", TABLES)
def test_tables(name: str) -> None:
    program = importlib.import_module(f"benchmarks.{name}")
    assert placed(TEXT, name, program.table(result(name))) == TEXT


def test_quick_start() -> None:
    for run in result("quick_start")["runs"]:
        low, high = run["interval"]
        row = f"| {run['seed']} | {run['before']:.3f} | {run['after']:.3f} | {low:+.3f} to {high:+.3f} | {run['outcome']} |"
        assert row in TEXT


def test_the_main_readme_tells_the_same_of_the_quick_start() -> None:
    runs = result("quick_start")["runs"]
    after, lows, highs = (sorted(values) for values in zip(*((run["after"], *run["interval"]) for run in runs), strict=True))
    words = (
        f"{runs[0]['before']:.2f} to {after[0]:.2f} .. {after[-1]:.2f} over five seeds, every interval of the gain above zero "
        f"({lows[0]:+.2f} at the lowest, {highs[-1]:+.2f} at the highest)"
    )
    assert len(runs) == 5 and lows[0] > 0
    assert words in README.parents[1].joinpath("README.md").read_text(encoding="utf-8")


def test_shuffled_labels() -> None:
    series = result("shuffled_labels")["series"]
    assert list(series) == ["best step", "last step"]
    for kept, found in series.items():
        outcomes = [found["outcomes"].get(name, 0) for name in ("better", "no_clear_difference", "worse")]
        rows = [verdict["rows"] for verdict in found["verdicts"]]
        cells = [kept, found["runs"], *outcomes, found["moved"], f"{min(rows)} to {max(rows)}"]
        assert f"| {' | '.join(map(str, cells))} |" in TEXT


def test_every_program_is_named() -> None:
    programs = [path.stem for path in README.parent.glob("*.py") if 'if __name__ == "__main__"' in path.read_text(encoding="utf-8")]
    assert len(programs) >= 7
    assert [name for name in programs if f"python -m benchmarks.{name}" not in TEXT] == []


def test_every_option_it_names_exists() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in README.parent.glob("*.py"))
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", TEXT))
    assert {"--budget-gib", "--texts-at-once"} <= named
    assert {option for option in named if f'"{option}"' not in source} == set()


def test_a_table_takes_the_place_of_the_one_before() -> None:
    page = "before\n<!-- a -->\nold\n<!-- end of a -->\n<!-- b -->\n<!-- end of b -->\n"
    new = placed(page, "a", markdown(["side", "rows/s"], [["ours", "2"]]))
    assert new == page.replace("old", "| side | rows/s |\n| --- | ---: |\n| ours | 2 |")
    assert placed(new, "a", "old") == page
    with pytest.raises(ValueError, match="<!-- c -->"):
        placed(page, "c", "")


def test_a_result_elsewhere_leaves_the_readme_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.report import publish

    publish({"a": 1}, tmp_path / "quality.json", "the table")
    assert read_json(tmp_path / "quality.json") == {"a": 1}
    assert capsys.readouterr().out == "the table\n"
    assert README.read_text(encoding="utf-8") == TEXT
