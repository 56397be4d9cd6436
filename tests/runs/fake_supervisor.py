"""A supervisor whose runs need no torch: `python fake_supervisor.py HOME`."""

import sys
from pathlib import Path

from workbench.runs.process import start_process
from workbench.runs.run import LOG_FILE
from workbench.runs.supervisor import Patience, supervise

FAKE_RUN = Path(__file__).with_name("fake_run.py")
IMPATIENT = Patience(unnoticed=0.5, saving=60.0, terminated=0.5)


def start_fake_run(run, home):
    with (run.folder / LOG_FILE).open("ab") as log:
        return start_process([sys.executable, str(FAKE_RUN), str(home), run.run_id], home, log)


if __name__ == "__main__":
    supervise(Path(sys.argv[1]), start=start_fake_run, patience=IMPATIENT)
