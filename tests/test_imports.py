"""Which way imports point, what naming a room costs, and that importing does nothing."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "workbench"
ROOMS = ("recipe", "data", "models", "losses", "evaluation", "training", "runs", "playground", "ui")
MAY_IMPORT = {
    "recipe": set(),
    "data": {"recipe"},
    "models": {"recipe"},
    "losses": {"recipe", "models"},
    "evaluation": {"recipe", "models"},
    "training": {"recipe", "data", "models", "losses", "evaluation"},
    "runs": {"recipe", "data", "models", "losses", "evaluation", "training"},
    "playground": {"recipe", "data", "models", "evaluation", "runs"},
    "ui": {"recipe", "data", "models", "losses", "evaluation", "training", "runs", "playground"},
}
HEAVY = {"torch", "transformers", "accelerate"}
NEVER = {
    "recipe": HEAVY | {"gradio", "sqlite3", "pandas", "plotly", "numpy", "datasets"},
    "data": HEAVY | {"gradio", "sqlite3"},
    "models": {"gradio", "sqlite3", "pandas", "plotly"},
    "losses": {"gradio", "sqlite3", "pandas", "plotly"},
    "evaluation": {"gradio", "sqlite3", "pandas", "plotly"},
    "training": {"gradio", "sqlite3"},
    "runs": {"gradio"},
    "playground": {"gradio"},
    "ui": HEAVY | {"sqlite3"},
}
ANYWHERE = {"errors", "settings", "json_text", "number_text", "writing"}


def imports(path: Path) -> set[str]:
    """Return the dotted names a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names if node.module == "workbench"}
    return names


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_one_way(room: str) -> None:
    for path in (PACKAGE / room).rglob("*.py"):
        for name in imports(path):
            parts = name.split(".")
            assert parts[0] not in NEVER[room], f"{path.name} imports {name}"
            assert parts[0] != "sentence_transformers"
            if parts[0] == "workbench" and len(parts) > 1 and parts[1] not in ANYWHERE | {"__version__"}:
                assert parts[1] in MAY_IMPORT[room] | {room}, f"{room}/{path.name} imports {name}"


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_naming_every_room_leaves_torch_alone() -> None:
    names = ", ".join(f"workbench.{room}" for room in ROOMS)
    program = f"import sys, json, {names}, workbench.cli; print(json.dumps(sorted({HEAVY!r} & set(sys.modules))))"
    assert json.loads(run(program)) == []


def test_every_table_of_contents_is_true() -> None:
    import importlib

    for room in ROOMS:
        module = importlib.import_module(f"workbench.{room}")
        assert module.__all__ == sorted(module.__all__)
        for name in module.__all__:
            assert getattr(module, name) is not None, f"{room}.{name}"
    import workbench

    for name in workbench.__all__:
        assert getattr(workbench, name) is not None
    with pytest.raises(AttributeError, match="No workbench attribute nothing"):
        _ = workbench.nothing


@pytest.mark.parametrize("rooms", [ROOMS[:2], ROOMS[2:]], ids=["light", "heavy"])
def test_importing_opens_nothing(rooms: tuple[str, ...]) -> None:
    """Every module of some rooms, imported while sockets, databases and writing are refused."""
    modules = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for room in rooms
        for path in sorted((PACKAGE / room).rglob("*.py"))
        if path.name not in {"__init__.py", "__main__.py"}
    ]
    program = f"""
import builtins, importlib, socket, sqlite3, sys
import numpy, warnings
warnings.simplefilter("ignore")
if "models" in {rooms!r}:
    import torch, transformers, datasets, accelerate, gradio, fastapi, uvicorn
plain = builtins.open
def refuse(*arguments, **options):
    raise AssertionError(f"opened {{arguments[:2]}}")
def read_only(file, mode="r", *arguments, **options):
    if any(letter in mode for letter in "wax+"):
        refuse(file, mode)
    return plain(file, mode, *arguments, **options)
socket.socket.connect = refuse
sqlite3.connect = refuse
builtins.open = read_only
sys.dont_write_bytecode = True
for name in {modules!r}:
    importlib.import_module(name)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
