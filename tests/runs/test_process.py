import subprocess
import sys

import psutil

from tests.runs.conftest import wait_for
from workbench.runs.process import child_environment

CHILD = "import time; from workbench.runs.process import end_with_parent; end_with_parent(); print('ready', flush=True); time.sleep(600)"
PARENT = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], start_new_session=True, stdout=subprocess.PIPE, text=True)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(600)
"""


def test_a_process_ends_when_the_one_that_started_it_is_killed():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], env=child_environment(), stdout=subprocess.PIPE, text=True)
    child = psutil.Process(int(parent.stdout.readline()))
    assert child.is_running()
    parent.kill()
    parent.communicate()
    wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "the end of the child")


def test_leaving_ends_at_once_with_what_was_said_and_the_code():
    code = """
import atexit, sys
from workbench.runs.process import leave
atexit.register(print, "torn down")
sys.stdout.write("said")
try:
    leave(3)
finally:
    print("went on")
"""
    done = subprocess.run([sys.executable, "-c", code], env=child_environment(), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (3, "said")
