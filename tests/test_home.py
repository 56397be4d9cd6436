"""The home: closed to other users of the machine, and said as text where it cannot be used."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from workbench.doctor import examine
from workbench.errors import InputError
from workbench.runs import store
from workbench.runs.database import open_database
from workbench.runs.process import child_environment
from workbench.settings import home_folder, prepare_home

STRANGER = 12345
as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can act as another user")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "workbench", *map(str, arguments)]
    return subprocess.run(command, cwd="/", env=child_environment(), capture_output=True, text=True, check=False)


AS_STRANGER = """
import contextlib, importlib, io, json, os, pkgutil, sys, traceback
import encodings.idna, torch, transformers, datasets, tqdm
import workbench.cli, workbench.doctor, workbench.runs, workbench.data, workbench.models
for room in (workbench.runs, workbench.data, workbench.models, workbench.recipe):
    for module in pkgutil.iter_modules(room.__path__, room.__name__ + "."):
        importlib.import_module(module.name)
os.environ.pop("HOME", None)
os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))
results = []
for arguments in json.loads(sys.argv[2]):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            code = workbench.cli.main(arguments)
        except BaseException:
            code = traceback.format_exc()
    results.append([code, out.getvalue()])
print(json.dumps(results))
"""


def run_as_stranger(*commands: list[str]) -> list[tuple[int, str]]:
    """Run commands as a user without an account or a home folder; the interpreter is loaded before, it may be out of reach."""
    program = [sys.executable, "-c", AS_STRANGER, str(STRANGER), json.dumps(commands)]
    done = subprocess.run(program, cwd="/", env=child_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [tuple(result) for result in json.loads(done.stdout.splitlines()[-1])]


@pytest.fixture
def shared():
    """A folder that every user of the machine reaches, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="workbench-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_new_home_is_for_its_owner_alone(home):
    assert mode(prepare_home(home)) == 0o700


def test_a_home_of_ours_that_is_open_is_closed(home):
    with open_database(home):
        pass
    (home / "runs").mkdir()
    home.chmod(0o755)
    prepare_home(home)
    assert mode(home) == 0o700


def test_a_folder_that_holds_other_things_keeps_its_permissions_and_is_named(home):
    home.mkdir(mode=0o755)
    home.chmod(0o755)
    (home / "thesis.tex").touch()
    prepare_home(home)
    assert mode(home) == 0o755
    assert any("Other users of this machine" in problem for problem in examine(home)["problems"])


def test_a_user_without_an_account_is_told_to_name_a_home(monkeypatch):
    monkeypatch.delenv("WORKBENCH_HOME")
    monkeypatch.setattr(Path, "expanduser", lambda path: (_ for _ in ()).throw(RuntimeError("Could not determine home directory.")))
    with pytest.raises(InputError, match="--home DIR"):
        home_folder()


def test_what_a_command_writes_is_for_its_owner_alone(home, tmp_path):
    data = tmp_path / "pairs.csv"
    data.write_text("sentence1,sentence2,score\n" + "".join(f"a {n},b {n},{n % 6}\n" for n in range(30)))
    done = run("train", data, "--base", "nowhere", "--home", home)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert all(mode(path) & 0o077 == 0 for path in [home, *home.rglob("*")])


@as_root
def test_a_stranger_works_with_home_and_is_told_where_one_is_closed(shared):
    mine, theirs, readable, data = (shared / name for name in ("mine", "theirs", "readable", "pairs.csv"))
    data.write_text("sentence1,sentence2,score\n" + "".join(f"a {n},b {n},{n % 6}\n" for n in range(30)))
    data.chmod(0o644)
    for home in (mine, readable):
        with open_database(home) as connection:
            store.insert(connection, "20260101-000000-aaaa", "one", "mini", "abc/v1", held=True)
    for path in [readable, *readable.rglob("*")]:
        path.chmod(0o755)
    theirs.mkdir(mode=0o700)
    os.chown(theirs, STRANGER, STRANGER)
    words = [["runs", "list"], ["runs", "show", "20260101-000000-aaaa"], ["check", str(data)], ["doctor"]]
    words += [["runs", "stop", "20260101-000000-aaaa"], ["train", str(data), "--base", "mini"]]
    commands = [[*command, "--home", str(home)] for home in (theirs, readable, mine) for command in words]
    results = run_as_stranger(*commands[:5], *commands[6:])
    for code, said in results:
        assert code in {0, 1, 2} and "Traceback" not in said and "made a mistake" not in said, said
    own, read, closed = results[:5], results[5:11], results[11:]
    assert [code for code, _ in own] == [0, 2, 0, 0, 2]
    assert [code for code, _ in read[:4]] == [0, 0, 0, 0] and "one" in read[0][1] and '"queued"' in read[1][1]
    for code, said in read[4:]:
        assert code in {1, 2} and "belongs to user" in said and "`--home`" in said, said
    assert "cannot be written to" in read[3][1]
    assert [code for code, _ in closed[2:4]] == [0, 0]
    for code, said in (*closed[:2], *closed[4:]):
        assert code in {1, 2} and "`--home`" in said, said
