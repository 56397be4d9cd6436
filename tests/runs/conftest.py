"""Queued runs without their data, and a broom for processes that a test leaves behind."""

import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.runs.fake_supervisor import FAKE_RUN
from workbench.errors import RunError
from workbench.recipe import ArchitectureSpec, LossSpec, Recipe, TrainingConfig
from workbench.runs import store
from workbench.runs.database import DATABASE, open_database
from workbench.runs.lock import supervisor_of
from workbench.runs.process import start_process, terminate_tree, this_process
from workbench.runs.run import RECIPE_FILE, create_run_id, run_folder

TIMEOUT = 60.0


@pytest.fixture(autouse=True)
def sweep(home):
    """End what still runs in this test's home."""
    yield
    holder = supervisor_of(home)
    if holder is not None:
        terminate_tree(holder, force=True)
    if (home / DATABASE).exists():
        with suppress(RunError), open_database(home) as connection:
            for _, process in store.processes(connection):
                if process != this_process():  # some tests stand in for a run themselves
                    terminate_tree(process, force=True)


@pytest.fixture
def add_run(home):
    """Queue a run that waits for someone to start the supervisor."""

    def add(name="run", base="scratch", **training):
        run_id = create_run_id()
        recipe = Recipe(
            base=base,
            data="abc/v1",
            name=name,
            architecture=ArchitectureSpec.default(),
            loss=LossSpec("CoSENTLoss"),
            training=TrainingConfig(**{"max_steps": 5, **training}),
        )
        folder = run_folder(run_id, home)
        with open_database(home) as connection:
            folder.mkdir(parents=True)
            (folder / RECIPE_FILE).write_text(recipe.to_json())
            store.insert(connection, run_id, name, base, recipe.data, held=True)
        return run_id

    return add


@pytest.fixture
def connection(home):
    """The open history of this test's home."""
    with open_database(home) as opened:
        yield opened


@pytest.fixture
def start_supervisor(home):
    """Start a process that supervises runs which need no torch."""
    started = []

    def start():
        home.mkdir(parents=True, exist_ok=True)
        with (home / "supervisor.log").open("ab") as log:
            process = start_process([sys.executable, str(FAKE_RUN.with_name("fake_supervisor.py")), str(home)], home, log)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def wait_for(fact, what):
    """Return the first true value of `fact()`."""
    deadline = time.monotonic() + TIMEOUT
    while not (value := fact()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)
    return value


def notes(home: Path) -> list[str]:
    """Return what the runs of a home wrote when they started and ended."""
    path = home / "notes.txt"
    return path.read_text().splitlines() if path.exists() else []
