"""Runs in the history, without anything having been trained."""

import pytest

from workbench.recipe import Recipe, TrainingConfig
from workbench.runs import store
from workbench.runs.database import open_database
from workbench.runs.process import this_process
from workbench.runs.run import RECIPE_FILE, create_run_id, run_folder


@pytest.fixture
def add_run(home):
    """Put a run into the history, with its model's folder where it ended."""

    def add(status, name="tuned", base="scratch", device="", training=None):
        run_id = create_run_id()
        with open_database(home):
            pass  # made before the run's folder: a history that is made after it takes up what it finds there
        folder = run_folder(run_id, home)
        folder.mkdir(parents=True)
        (folder / RECIPE_FILE).write_text(
            Recipe(base=base, data="abc/v1", name=name, training=training or TrainingConfig()).to_json()
        )
        process = this_process()
        with open_database(home) as connection:
            store.insert(connection, run_id, name, base, "abc/v1", held=True)
            connection.execute(
                "UPDATE runs SET status = ?, device = ?, pid = ?, pid_started = ? WHERE run_id = ?",
                (status, device, process.pid, process.started, run_id),
            )
        if status == "completed":
            (folder / "model").mkdir()
            (folder / "model" / "modules.json").write_text("[]")
        return run_id

    return add
