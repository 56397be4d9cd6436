import errno
import json
import os
import signal
import sqlite3

import pytest

from tests.runs.fake_run import trainer
from workbench.errors import DataError
from workbench.recipe import Recipe, TrainingConfig
from workbench.runs import get_run, read_live, request_stop, store
from workbench.runs.process import this_process
from workbench.runs.run import METRICS_FILE, RECIPE_FILE, run_folder
from workbench.runs.worker import RunListener, describe_failure, execute, execute_further


class OutOfMemoryError(RuntimeError):
    """Named as torch names its own."""


def no_parts(recipe, home):
    return None


@pytest.fixture
def claimed(home, add_run, connection):
    """A run that the supervisor has claimed and would now start."""

    def claim(name="run", **training):
        run_id = add_run(name, **training)
        store.claim_oldest(connection, home, this_process())
        return run_id

    return claim


def test_a_claimed_run_is_carried_out_in_this_process(home, claimed):
    run_id = claimed()
    before = signal.getsignal(signal.SIGTERM)
    assert execute(run_id, home, trainer, no_parts) == 0
    assert get_run(run_id, home).status == "completed"
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("status", ["queued", "completed", "stopped", "failed", "interrupted"])
def test_a_run_that_is_not_claimed_is_not_trained(status, home, add_run, connection, capsys):
    run_id = add_run()
    connection.execute("UPDATE runs SET status = ? WHERE run_id = ?", (status, run_id))
    assert execute(run_id, home, trainer, no_parts) == 0
    assert "not to be started" in capsys.readouterr().out
    assert get_run(run_id, home).status == status
    assert not (home / "notes.txt").exists()


def test_a_run_told_to_stop_before_its_first_step_stops_there(home, claimed):
    run_id = claimed(max_steps=10**6)
    request_stop(run_id, home, keep="none")
    assert execute(run_id, home, trainer, no_parts) == 0
    run = get_run(run_id, home)
    assert (run.status, run.step, run.message) == ("stopped", 1, "Stopped on request; no model was kept.")


def test_data_that_cannot_be_used_is_a_failure_in_words(home, claimed, capsys):
    def refuse(recipe, home):
        raise DataError("The data set abc/v1 is gone; import it again.")

    run_id = claimed()
    assert execute(run_id, home, trainer, refuse) == 1
    run = get_run(run_id, home)
    assert (run.status, run.message) == ("failed", "The data set abc/v1 is gone; import it again.")
    assert "Traceback" not in "".join(capsys.readouterr())


def test_a_recipe_that_cannot_be_read_is_a_failure_in_words(home, claimed):
    run_id = claimed()
    (run_folder(run_id, home) / RECIPE_FILE).unlink()
    assert execute(run_id, home, trainer, no_parts) == 1
    assert "The recipe of run" in get_run(run_id, home).message


def test_a_base_that_is_a_run_is_handed_on_as_its_folder(home, add_run, connection):
    base = add_run("base")
    store.claim_oldest(connection, home, this_process())
    assert execute(base, home, trainer, no_parts) == 0
    model = run_folder(base, home) / "model"
    model.mkdir()
    (model / "modules.json").write_text("[]")
    user = add_run("user", base=base)
    store.claim_oldest(connection, home, this_process())
    seen = []

    def look(recipe, parts, home, output_dir, listener):
        seen.append((recipe.base, output_dir))
        return trainer(recipe, parts, home, output_dir, listener)

    assert execute(user, home, look, no_parts) == 0
    assert seen == [(str(model), run_folder(user, home))]
    assert get_run(user, home).recipe().base == base


@pytest.fixture
def restored_signals():
    """Handlers of this process as they were."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_further_process_says_nothing_and_leaves_a_signal_to_the_first(home, claimed, restored_signals):
    run_id = claimed()
    seen = []

    def follow_the_first(recipe, parts, home, output_dir, listener):
        os.kill(os.getpid(), signal.SIGTERM)
        seen.append(listener.stop_requested())
        return trainer(recipe, parts, home, output_dir, listener)

    assert execute_further(run_id, home, follow_the_first, no_parts) == 0
    assert seen == [None]
    run = get_run(run_id, home)
    assert (run.status, run.step, read_live(run_id, home)["points"]) == ("running", 0, [])


def test_an_error_in_a_further_process_is_why_the_run_failed(home, claimed, restored_signals):
    run_id = claimed("wrong")
    assert execute_further(run_id, home, trainer, no_parts) == 1
    run = get_run(run_id, home)
    assert (run.status, run.message) == ("failed", "The loss is no longer a number; lower `learning_rate`.")
    assert execute_further(run_id, home, trainer, no_parts) == 0, "a run that has ended is left alone"


def test_points_go_on_a_line_of_their_own_behind_a_half_written_one(home, claimed, connection):
    run_id = claimed()
    path = run_folder(run_id, home) / METRICS_FILE
    path.write_bytes(b'{"type": "train", "step": 1, "loss"')
    listener = RunListener(connection, get_run(run_id, home))
    listener.on_train({"step": 2, "loss": float("nan")})
    listener.close()
    assert [(point["step"], point["loss"]) for point in read_live(run_id, home)["points"]] == [(2, None)]
    last = json.loads(path.read_text().splitlines()[-1])
    assert last["type"] == "train" and last["time"] > 0


def test_progress_is_written_at_most_twice_a_second_but_the_last_always(home, claimed, connection):
    run_id = claimed()
    statements = []
    connection.set_trace_callback(lambda text: statements.append(text) if text.startswith("UPDATE") else None)
    listener = RunListener(connection, get_run(run_id, home))
    for step in range(1, 1001):
        listener.on_progress(step, 1000, step / 100, 10.0, step / 10)
    assert get_run(run_id, home).step == 1000
    listener.close()
    # The loop takes far less than two minutes; one write a step would be a thousand.
    assert len(statements) < 250


def test_a_history_that_is_busy_does_not_end_a_run(home, claimed):
    class Busy:
        def execute(self, *arguments):
            raise sqlite3.OperationalError("database is locked")

    run_id = claimed()
    listener = RunListener(Busy(), get_run(run_id, home))
    listener.on_progress(1, 2, 0.5, 1.0, 1.0)
    listener.on_progress(2, 2, 1.0, 1.0, 2.0)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "The disk is full"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "The disk is full"),
        (sqlite3.OperationalError("database or disk is full"), "The disk is full"),
        (MemoryError(), "The memory ran out at 8 rows at a time"),
        (OutOfMemoryError("tried to allocate 2.00 GiB"), "The memory ran out at 8 rows at a time"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory"), "The memory ran out"),
        (RuntimeError("MPS backend out of memory"), "The memory ran out"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "The memory ran out"),
        (DataError("Row 3 is empty."), "Row 3 is empty."),
        (KeyError(), "unexpected error (KeyError); the whole of it is in the run's log.txt."),
        (ValueError("x" * 1000), "xxx...); the whole of it"),
    ],
)
def test_failures_are_said_in_one_sentence(error, words):
    recipe = Recipe(base="scratch", data="d", training=TrainingConfig(batch_size=64, micro_batch_size=8))
    message = describe_failure(error, recipe)
    assert words in message
    assert "\n" not in message and len(message) < 450
