"""Sections are caught on their own, kept as far as they came, and dropped from the end; the table fits a screen."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks import gpu_check
from benchmarks.gpu_check import MOST_LINES, SECTIONS, WRITERS, Check, Deadline, DeadlineError, Window, lines, main, run_sections


def check(folder: Path) -> Check:
    return Check("cpu", True, folder)


def test_one_section_takes_no_other_with_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(check: Check, found: dict, deadline: Deadline) -> None:
        found["half"] = 1
        raise ValueError("no such\nkernel")

    def late(check: Check, found: dict, deadline: Deadline) -> None:
        found["some"] = 2
        raise DeadlineError("the rest was left out")

    def fine(check: Check, found: dict, deadline: Deadline) -> None:
        found["all"] = 3

    written: list[list[str]] = []
    table = {"broken": (1.0, broken), "late": (1.0, late), "fine": (1.0, fine), "long": (1e6, fine)}
    results = run_sections(check(tmp_path), list(table), 60, lambda found: written.append(list(found)), table)
    assert written == [list(table)[: count + 1] for count in range(4)]
    assert results["broken"]["half"] == 1 and results["broken"]["error"] == "ValueError: no such kernel"
    assert results["late"]["some"] == 2 and results["late"]["error"].startswith("deadline")
    assert results["fine"]["complete"] and results["fine"]["error"] is None
    assert not results["long"]["complete"] and results["long"]["error"].startswith("dropped: it may take 1e+06 s")


def test_a_section_that_hangs_is_broken_off(tmp_path: Path) -> None:
    def hanging(check: Check, found: dict, deadline: Deadline) -> None:
        found["begun"] = True
        while True:
            time.sleep(0.01)

    results = run_sections(check(tmp_path), ["hanging"], 60, lambda found: None, {"hanging": (0.05, hanging)})
    assert results["hanging"]["begun"] and results["hanging"]["error"] == "deadline: broken off"


def test_a_window_counts_whole_steps_after_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(gpu_check.time, "perf_counter", lambda: clock[0])
    window = Window("cpu", (100.0, 3), 4.0)
    step = 0
    while not window.over():
        window(step)
        step += 1
        clock[0] += 3.0 if step == 6 else 1.0
    assert (window.first, window.last) == (3, 6) and window.end - window.start == 5.0 and window.slowest == 3.0


def test_the_table_is_short_and_failures_come_last() -> None:
    facts = {"cpu": "a CPU", "python": "3", "torch": "2", "transformers": "5"}
    marks = {f"ours, {number} rows": {"allocated": 2**30, "reserved": 2**31} for number in range(200)}
    sections: dict[str, Any] = {
        "memory": {"seconds": 1.0, "complete": True, "error": None, "shape": "tiny", "marks": marks},
        "correct": {"seconds": 1.0, "complete": False, "error": "RuntimeError: pytest", "failures": ["FAILED tests/gpu/a"] * 40},
    }
    table = lines({"machine": facts, "sections": sections})
    assert len(table) <= MOST_LINES and table[-1] == "FAILED tests/gpu/a" and any("gpu_check.json" in line for line in table)
    assert "  tiny, ours, 0 rows: 1.00 GiB allocated, 2.00 reserved" in table


@pytest.mark.filterwarnings("ignore")
def test_a_rehearsal_fills_its_sections(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["--output", str(tmp_path), "--device", "cpu", "--tiny", "--only", "probe", "ceilings", "profile", "memory", "graphs"])
        == 0
    )
    sections = json.loads((tmp_path / "gpu_check.json").read_text())["sections"]
    assert list(sections) == ["probe", "ceilings", "memory", "profile", "graphs"] and all(
        found["complete"] for found in sections.values()
    )
    assert sections["ceilings"]["bf16_flops_per_second"] > 0 and len(sections["probe"]["trials"]) == 12
    (profiled,) = (found for found in sections["profile"].values() if isinstance(found, dict))
    assert profiled["operations_per_step"] > 100 and len(profiled["longest_operations_ms"]) == 20
    (graphed,) = (found for found in sections["graphs"].values() if isinstance(found, dict))
    assert graphed["on"]["padding_fraction"] > graphed["off"]["padding_fraction"] == 0 and graphed["times_as_fast"] > 0
    assert any("ms a step with graphs" in line for line in lines_of(tmp_path))
    (marks,) = (sections["memory"]["marks"],)
    assert len(marks) == 4 and all(mark["allocated"] > 0 for mark in marks.values())
    assert (tmp_path / "gpu_check.txt").read_text().splitlines() == capsys.readouterr().out.splitlines()[-len(lines_of(tmp_path)) :]


def lines_of(folder: Path) -> list[str]:
    return lines(json.loads((folder / "gpu_check.json").read_text()))


def test_every_section_has_a_place_in_the_table_and_fits_eight_minutes() -> None:
    assert set(WRITERS) == set(SECTIONS)
    assert sum(seconds for seconds, _ in SECTIONS.values()) < 8 * 60 - 40
