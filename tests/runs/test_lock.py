import json

from workbench.runs.lock import LOCK_FILE, SupervisorLock, supervisor_of
from workbench.runs.process import this_process


def test_one_holds_the_lock_and_is_named(home):
    first, second = SupervisorLock(home), SupervisorLock(home)
    assert first.acquire()
    assert not second.acquire()
    assert supervisor_of(home) == this_process()
    first.release()
    assert supervisor_of(home) is None
    assert second.acquire()
    second.release()


def test_a_lock_whose_holder_died_is_taken_over(home):
    home.mkdir()
    (home / LOCK_FILE).write_text(json.dumps({"pid": 2**22 - 3, "started": "long ago"}) + " " * 200)
    assert supervisor_of(home) is None
    lock = SupervisorLock(home)
    assert lock.acquire()
    assert supervisor_of(home) == this_process()
    lock.release()


def test_a_half_written_name_is_nobody(home):
    home.mkdir()
    for text in ("", '{"pid": 1', "[]", '{"pid": "x", "started": ""}'):
        (home / LOCK_FILE).write_text(text)
        assert supervisor_of(home) is None
