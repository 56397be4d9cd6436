"""What is lost when processes are killed at any moment: 200 kills of command, supervisor, run and page server.

    python -m benchmarks.reliability [--kills 200] [--lanes 3] [--seed 0]

Each lane has a home of its own, a page server, and runs of a few steps from scratch that it queues with the command line. At seeded
random moments one of these processes gets SIGKILL. At the end everything that is still queued is worked off, and then is counted: runs
that were announced and are not in the history, runs that never end, models that are there and cannot be read or that a completed run
lacks, and files and processes that are left behind. Every count must be 0.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measuring import machine
from benchmarks.report import markdown
from workbench.errors import WorkbenchError
from workbench.runs import list_runs, store
from workbench.runs.database import open_database
from workbench.runs.lock import supervisor_of
from workbench.runs.process import child_environment, module_command

ROOT = Path(__file__).parents[1]
RESULT = Path(__file__).with_suffix(".md")
VICTIMS = ("run", "supervisor", "page server", "command")
LONGEST_WAIT = 6.0
"""Seconds until a kill; a run takes about as long."""
PATIENCE_SECONDS = 600.0
FAULTS = ("lost runs", "stuck runs", "unreadable models", "files left behind", "processes left behind")
_HALF = re.compile(r"\.(new|old|tmp|part)$|^\.(deleted|run\.json|writing)-|^(meeting|checkpoints)$")


class Lane:
    """One home and the processes that work in it.

    Args:
        home: Its folder.
        seed: Of the moments and the victims.
    """

    def __init__(self, home: Path, seed: int) -> None:
        self._home = home
        self._random = random.Random(seed)
        self._data = home.parent / f"{home.name}.csv"
        words = ["cable", "invoice", "contract", "router", "signal", "phone", "speed", "outage"]
        rows = [f"{a} {b},{b} {a} please,{(i * 8 + j) % 6}" for i, a in enumerate(words) for j, b in enumerate(words)]
        self._data.write_text("\n".join(["sentence1,sentence2,score", *rows]) + "\n", encoding="utf-8")
        self.announced: set[str] = set()
        self.killed: Counter[str] = Counter()
        self._started: list[subprocess.Popen[str]] = []
        self._server: subprocess.Popen[str] | None = None
        self._commands: list[tuple[subprocess.Popen[str], Path]] = []

    def kill(self, count: int) -> None:
        """Queue runs and kill until so many processes have been killed."""
        deadline = time.monotonic() + PATIENCE_SECONDS + 30 * count
        while self.killed.total() < count and time.monotonic() < deadline:
            self._keep_busy()
            time.sleep(self._random.uniform(0, LONGEST_WAIT))
            victim = self._random.choice(VICTIMS)
            process = self._find(victim)
            if process is None:
                continue
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
            self.killed[victim] += 1

    def finish(self) -> None:
        """Let everything that waits be worked off, and end the server."""
        deadline = time.monotonic() + PATIENCE_SECONDS

        def busy() -> bool:
            # A command that still starts will queue a run.
            return any(process.poll() is None for process, _ in self._commands) or any(run.active for run in list_runs(self._home))

        while time.monotonic() < deadline and busy():
            time.sleep(0.5)
        if self._server is not None:
            self._server.terminate()
        for process in self._started:
            process.wait(max(1.0, deadline - time.monotonic()))
        while time.monotonic() < deadline and supervisor_of(self._home) is not None:
            time.sleep(0.2)
        self._read_announcements()

    def faults(self) -> Counter[str]:
        """Count what must not be."""
        runs = {run.run_id: run for run in list_runs(self._home)}
        found: Counter[str] = Counter(dict.fromkeys(FAULTS, 0))
        on_disk = {folder.name for folder in (self._home / "runs").iterdir() if not folder.name.startswith(".")}
        # One that was killed between folder and row was never announced; its folder is a file left behind.
        found["lost runs"] = len(self.announced - set(runs))
        found["stuck runs"] = sum(run.active for run in runs.values())
        for run in runs.values():
            model = run.model_folder
            if model is None:
                found["unreadable models"] += run.status == "completed" or (run.folder / "model").exists()
            else:
                found["unreadable models"] += not _loads(model)
        leftovers = [path for path in self._home.rglob("*") if _HALF.search(path.name)]
        for run in runs.values():
            # One numbered model a run: what it replaced goes.
            leftovers += sorted((run.folder / "models").glob("*"))[:-1]
        found["files left behind"] = len(leftovers) + len(on_disk - set(runs))
        found["processes left behind"] = len(_processes_of(self._home))
        for path in leftovers:
            print(f"left behind: {path.relative_to(self._home)}", file=sys.stderr)
        for name in sorted(on_disk - set(runs)):
            print(
                f"folder without a row: {name}: {sorted(f.name for f in (self._home / 'runs' / name).iterdir())}", file=sys.stderr
            )
        return found

    def _keep_busy(self) -> None:
        if self._server is None or self._server.poll() is not None:
            self._server = self._start(["ui", "--port", "0"], self._home.parent / f"{self._home.name}.server.txt")
        self._read_announcements()
        waiting = sum(process.poll() is None for process, _ in self._commands)
        if waiting < 2:
            said = self._home.parent / f"{self._home.name}.{len(self._commands)}.txt"
            options = ["--base", "scratch", "--max-steps", "12", "--eval-steps", "3", "--batch-size", "8", "--device", "cpu"]
            self._commands.append((self._start(["train", str(self._data), *options], said), said))

    def _start(self, arguments: list[str], output: Path) -> subprocess.Popen[str]:
        command = module_command("workbench", *arguments, "--home", str(self._home))
        with output.open("w", encoding="utf-8") as stream:
            process = subprocess.Popen(command, cwd=ROOT, env=child_environment(), stdout=stream, stderr=stream, text=True)
        self._started.append(process)
        return process

    def _find(self, victim: str) -> psutil.Process | None:
        pid = None
        if victim == "page server":
            pid = self._server.pid if self._server is not None and self._server.poll() is None else None
        elif victim == "command":
            running = [process.pid for process, _ in self._commands if process.poll() is None]
            pid = self._random.choice(running) if running else None
        elif victim == "supervisor":
            holder = supervisor_of(self._home)
            pid = None if holder is None else holder.pid
        elif (self._home / "workbench.db").exists():
            with open_database(self._home) as connection:
                holder = supervisor_of(self._home)
                pids = [process.pid for _, process in store.processes(connection) if process.alive and process != holder]
            pid = pids[0] if pids else None
        return psutil.Process(pid) if pid and psutil.pid_exists(pid) else None

    def _read_announcements(self) -> None:
        for _, said in self._commands:
            self.announced |= set(re.findall(r"^Run (\S+) is queued", said.read_text(encoding="utf-8"), re.MULTILINE))


def _loads(model: Path) -> bool:
    """Return whether a model can be loaded and used."""
    from workbench.models import SentenceTransformer

    try:
        return len(SentenceTransformer(model).encode(["a text"])) == 1
    except (WorkbenchError, OSError, ValueError, RuntimeError) as error:
        print(f"unreadable: {model}: {error}", file=sys.stderr)
        return False


def _processes_of(home: Path) -> list[int]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if process.pid != os.getpid() and str(home) in (process.info["cmdline"] or []):
            found.append(process.pid)
    return found


def measure(kills: int, lanes: int, seed: int) -> dict[str, Any]:
    """Kill, wait, and count.

    Args:
        kills: How many processes to kill.
        lanes: How many homes at once.
        seed: Of moments and victims.
    """
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="reliability-") as folder:
        all_lanes = [Lane(Path(folder) / f"home-{number}", seed + number) for number in range(lanes)]
        shares = [kills // lanes + (number < kills % lanes) for number in range(lanes)]

        def work(lane: Lane, share: int) -> None:
            lane.kill(share)
            lane.finish()

        with ThreadPoolExecutor(lanes) as pool:
            list(pool.map(work, all_lanes, shares))  # raises what a lane raised
        killed, faults, ends = Counter[str](), Counter[str](dict.fromkeys(FAULTS, 0)), Counter[str]()
        for number, lane in enumerate(all_lanes):
            killed += lane.killed
            faults.update(lane.faults())
            ends.update(run.status for run in list_runs(Path(folder) / f"home-{number}"))
    return {"kills": dict(killed), "faults": dict(faults), "ends": dict(ends), "seconds": round(time.perf_counter() - start)}


def words(result: dict[str, Any], seed: int) -> str:
    """Return the figures as a page."""
    where = machine()
    killed = sum(result["kills"].values())
    kills = markdown(["killed with SIGKILL", "times"], [[name, str(result["kills"].get(name, 0))] for name in VICTIMS])
    faults = markdown(["found afterwards", "count"], [[name, str(result["faults"][name])] for name in FAULTS])
    ends = ", ".join(f"{count} {status}" for status, count in sorted(result["ends"].items()))
    return (
        f"# Reliability\n\n{killed} kills at random moments (seed {seed}), runs of 12 steps from scratch queued by the command line, "
        f"a page server beside them. Written by `python -m benchmarks.reliability`.\n\n{kills}\n\n{faults}\n\n"
        f"How the runs ended: {ends}. {result['seconds']} seconds on {where['cpu']}; {where['date']}.\n"
    )


def main() -> int:
    """Measure and write the page; return 1 where anything was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--lanes", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()
    result = measure(options.kills, options.lanes, options.seed)
    print(json.dumps(result))
    options.output.write_text(words(result, options.seed), encoding="utf-8")
    return int(sum(result["faults"].values()) > 0 or sum(result["kills"].values()) < options.kills)


if __name__ == "__main__":
    sys.exit(main())
