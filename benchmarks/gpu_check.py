"""Everything that only a GPU can show, in one call of a few minutes.

    python -m benchmarks.gpu_check --output DIR [--minutes 8] [--only SECTION ...] [--device cuda|cpu] [--tiny]

Sections in the order of what they are worth, each with a deadline, caught on its own, and written to DIR/gpu_check.json before the next
begins; where time runs short they are dropped from the end. The last thing printed is one table. With `--device cpu --tiny` the
program itself is rehearsed: every section is filled, and its numbers mean nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from safetensors.torch import load_file
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from benchmarks.encode_throughput import compare
from benchmarks.inputs import ROOT, SAMPLE, distinct_texts, ragged_texts, read_rows, set_up, write_base
from benchmarks.measuring import (
    EncoderSize,
    Stopwatch,
    interleaved,
    machine,
    matmul_flops_per_second,
    resident_bytes,
    spread,
    synchronize,
    training_flops,
    write_json,
)
from benchmarks.memory import distinct_rows
from benchmarks.sides import IN_BATCH_NEGATIVES, Plan, Training, same_settings, train_ours, train_theirs
from benchmarks.start_up import STAGES, wait_for
from workbench import Recipe, SentenceTransformer
from workbench.errors import RunError
from workbench.models import DEFAULT_BASE
from workbench.models.attention_gpu import try_kernel
from workbench.models.numerics import tf32
from workbench.recipe import TrainingConfig
from workbench.runs import follow, get_run, submit

SIDES = ("ours", "theirs")
ENDLESS = 100_000
"""Steps that no one waits for: a measurement ends by the clock."""
MOST_LINES = 60
EXPECTED = {
    "minilm, 64 rows, short texts": "ours 7,000 to 9,000 rows/s, theirs 4,000 to 5,000: 1.5 to 1.8 times",
    "minilm, 256 rows, short texts": "ours 26,000 to 32,000 rows/s, theirs 13,000 to 17,000: 1.7 to 2.1 times",
    "bert-base, 256 rows, short texts": "ours 13,000 to 16,000 rows/s, theirs 7,500 to 8,000: 1.8 to 2.1 times",
}
EXPECTED_OF_GRAPHS = {
    "minilm, 64 rows": "2.5 to 3 ms, 3 times",
    "minilm, 256 rows": "2.3 times",
    "bert-base, 256 rows": "1.15 times",
}
"""By counting kernels and bytes, before anything was measured."""

Found = dict[str, Any]


@dataclasses.dataclass
class Check:
    """What the sections share.

    Attributes:
        device: `cuda` or `cpu`.
        tiny: Whether only the program is rehearsed.
        work: A folder to write into.
    """

    device: str
    tiny: bool
    work: Path
    _bases: dict[str, Path] = dataclasses.field(default_factory=dict)

    @property
    def cuda(self) -> bool:
        """Whether there is a GPU."""
        return self.device == "cuda"

    def base(self, shape: str) -> Path:
        """Return the folder of a network of a shape, written once."""
        if shape not in self._bases:
            options = argparse.Namespace(base="mini", shape=shape)
            self._bases[shape] = write_base(options, self.work / shape)
        return self._bases[shape]

    def rows(self, texts: str) -> Dataset:
        """Return scored pairs with `short` texts, of a dozen tokens, or `long` ones, of sixty."""
        rows = read_rows(SAMPLE, 64 if self.tiny else None)
        if texts == "long":
            made = ragged_texts(distinct_texts(rows), 2 * len(rows), longest=10, seed=1)
            columns = {"sentence1": made[: len(rows)], "sentence2": made[len(rows) :]}
            rows = Dataset.from_dict({**columns, "score": list(rows["score"])})
        wanted = len(rows) if self.tiny else 4096
        return rows.select([index % len(rows) for index in range(wanted)])

    def plan(self, shape: str, rows: Dataset, **options: Any) -> Plan:
        """Return what to train."""
        return Plan(self.base(shape), rows, self.work / "training", self.device, **options)


class Deadline:
    """When a section has to end.

    Args:
        seconds: From now.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until then."""
        return self._end - time.monotonic()


class DeadlineError(Exception):
    """A section took too long."""


def attempt(found: Found, key: str, make: Callable[[], Any]) -> None:
    """Keep what `make` returns, or in its place why there is nothing: one thing that fails takes no other with it."""
    try:
        found[key] = make()
    except DeadlineError:
        raise
    except Exception as error:
        found[key] = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}


# --- probe ------------------------------------------------------------------------------------------------------------


def probe(check: Check, found: Found, deadline: Deadline) -> None:
    """What is installed, which attention torch takes, what a new shape costs, and which kernels pass their trial."""
    attempt(found, "driver", _driver)
    attempt(found, "cudnn", torch.backends.cudnn.version)
    device = torch.device(check.device, 0) if check.cuda else torch.device("cpu")
    trials = found["trials"] = {}
    for name, dtype in (("flash", torch.bfloat16), ("flash", torch.float16), ("efficient", torch.float32)):
        for width in (16,) if check.tiny else (32, 64):
            for dropped in (False, True):
                for windowed in (False, True):
                    words = f"{name}, {dtype}, width {width}{', dropout' * dropped}{', window' * windowed}"
                    trial = try_kernel(name, device, dtype, width, dropped, windowed)
                    trials[words] = {"right": trial.right, "reason": trial.reason}
    choices = found["choice"] = {}
    query, mask = _attention_inputs(check, 4, 12)
    for dropout in (0.0, 0.1, 0.125):
        attempt(
            choices, str(dropout), lambda dropout=dropout: int(torch._fused_sdp_choice(query, query, query, mask, dropout, False))
        )
    attempt(found, "priority", lambda: list(torch._C._get_sdp_priority_order()))
    for cudnn in (True, False):
        torch.backends.cuda.enable_cudnn_sdp(cudnn)
        found[f"new_shapes_cudnn_{'on' if cudnn else 'off'}"] = [
            _shape_cost(check, 20 + 3 * number, 17 + number) for number in range(2 if check.tiny else 5) if deadline.left > 0
        ]


def _driver() -> str:
    if shutil.which("nvidia-smi") is None:
        return ""
    done = subprocess.run(
        ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _attention_inputs(check: Check, rows: int, longest: int) -> tuple[torch.Tensor, torch.Tensor]:
    query = torch.randn(rows, 12, longest, 32, device=check.device, dtype=torch.bfloat16, requires_grad=True)
    mask = torch.rand(rows, 1, 1, longest, device=check.device) < 0.7
    mask[..., 0] = True
    return query, mask


def _shape_cost(check: Check, rows: int, longest: int) -> Found:
    """Return the milliseconds of the first and the second pass over a shape, forward and backward."""
    query, mask = _attention_inputs(check, rows, longest)
    cost: Found = {"shape": [rows, longest]}
    for name in ("first", "second"):
        watch = Stopwatch(check.device)
        attended = functional.scaled_dot_product_attention(query, query, query, mask, 0.1)
        forward = watch.seconds
        attended.float().sum().backward()
        cost[name] = [round(1000 * forward, 3), round(1000 * (watch.seconds - forward), 3)]
    return cost


# --- ceilings ---------------------------------------------------------------------------------------------------------


def ceilings(check: Check, found: Found, deadline: Deadline) -> None:
    """What the device can do at most, and what a launch costs."""
    size = 256 if check.tiny else None
    for name, dtype, rounded in (("bf16", torch.bfloat16, False), ("tf32", torch.float32, True), ("fp32", torch.float32, False)):
        with tf32(rounded):
            found[f"{name}_flops_per_second"] = round(matmul_flops_per_second(check.device, dtype, size))
    block = torch.ones((1 << 20) if check.tiny else (1 << 30), dtype=torch.float32, device=check.device)
    target = torch.empty_like(block)
    best = float("inf")
    for _ in range(5):
        watch = Stopwatch(check.device)
        target.copy_(block)
        best = min(best, watch.seconds)
    found["copy_bytes_per_second"] = round(2 * block.numel() * 4 / best)
    number, launches = torch.zeros(1, device=check.device), 200 if check.tiny else 20_000
    watch = Stopwatch(check.device)
    for _ in range(launches):
        number.add_(1)
    found["microseconds_a_launch"] = round(1e6 * watch.seconds / launches, 2)


# --- correctness ------------------------------------------------------------------------------------------------------


def correct(check: Check, found: Found, deadline: Deadline) -> None:
    """The tests that only a GPU can run, in a process of their own."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "tests/gpu", "-q", "-rfE", "--tb=short", "-p", "no:cacheprovider"]
    command += ["--on", check.device]
    if check.tiny:
        command += ["-k", "trial or serve or bert or caching or queue or loss_is_recorded"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=max(1.0, deadline.left), check=False)
    except subprocess.TimeoutExpired as error:
        output = error.stdout.decode(errors="replace") if isinstance(error.stdout, bytes) else error.stdout or ""
        found.update({"failures": [], "output": output[-3000:]})
        raise DeadlineError("the tests took too long") from None
    found["exit_code"] = done.returncode
    for word, name in (("passed",) * 2, ("failed",) * 2, ("skipped",) * 2, ("errors?", "error_count")):
        counted = re.findall(rf"(\d+) {word}\b", done.stdout)
        found[name] = int(counted[-1]) if counted else 0
    found["failures"] = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if done.returncode != 0:
        found["output"] = done.stdout[-8000:] + done.stderr[-2000:]
        raise RuntimeError(f"pytest ended with exit code {done.returncode}")


# --- throughput -------------------------------------------------------------------------------------------------------


class Window:
    """Times whole steps in the middle of a training, and asks for its end.

    Args:
        device: Where it runs; waited for at both ends.
        warm_up: Seconds and steps, whichever comes first.
        seconds: How long to measure.
    """

    def __init__(self, device: str, warm_up: tuple[float, int], seconds: float) -> None:
        self._device, self._warm_up, self._seconds = device, warm_up, seconds
        self._begun = time.perf_counter()
        self._at = 0.0
        self.first = self.last = 0
        self.start = self.end = self.slowest = 0.0

    def __call__(self, step: int) -> None:
        """Be told that a step has ended."""
        now = time.perf_counter()
        if step == 0:
            self._begun = now
        elif not self.first:
            if now - self._begun > self._warm_up[0] or step >= self._warm_up[1]:
                synchronize(self._device)
                self.first, self.start = step, time.perf_counter()
                self._at = self.start
        elif not self.last:
            self.slowest, self._at = max(self.slowest, now - self._at), now
            if now - self.start > self._seconds:
                synchronize(self._device)
                self.last, self.end = step, time.perf_counter()

    def over(self) -> bool:
        """Whether it has been measured."""
        return self.last > 0


def _settings(check: Check) -> list[tuple[str, int, str]]:
    if check.tiny:
        return [("tiny", 8, "short"), ("tiny", 8, "long")]
    return [
        ("minilm", 64, "short"),
        ("minilm", 256, "short"),
        ("bert-base", 256, "short"),
        ("bert-base", 64, "long"),
    ]


def _config(check: Check, batch_size: int, **options: Any) -> TrainingConfig:
    given = {"max_steps": ENDLESS, "eval_steps": ENDLESS, "learning_rate": 2e-5, "precision": "bf16", "device": check.device}
    # Without graphs, but where they are what is measured: they are settled in the first steps, and would differ from run to run.
    return TrainingConfig(batch_size=batch_size, **{**given, "cuda_graphs": "off", **options})


def _train(side: str, plan: Plan, config: TrainingConfig, cudnn: bool = False) -> Training:
    torch.backends.cuda.enable_cudnn_sdp(cudnn)
    return train_ours(plan, config) if side == "ours" else train_theirs(plan, same_settings(config, len(plan.rows)))


def _timed(
    check: Check,
    side: str,
    setting: tuple[str, int, str],
    rows: Dataset,
    cudnn: bool = False,
    warm_up: tuple[float, int] = (8.0, 60),
    seconds: float = 4.0,
    **options: Any,
) -> Found:
    shape, batch_size, _ = setting
    window = Window(check.device, (0.2, 2) if check.tiny else warm_up, 0.2 if check.tiny else seconds)
    plan = check.plan(shape, rows, at_step=window, stop=window.over)
    training = _train(side, plan, _config(check, batch_size, **options), cudnn)
    steps, seconds = window.last - window.first, window.end - window.start
    trained = sum(training.batches[window.first : window.last])
    return {
        "rows_per_second": round(trained / seconds, 1),
        "ms_per_step": round(1000 * seconds / steps, 3),
        "slowest_step_ms": round(1000 * window.slowest, 3),
        "steps": steps,
        "tokens_per_row": round(sum(training.lengths) / sum(training.batches), 2),
        "padding_fraction": round(training.padding_fraction, 4),
        "flops_per_row": round(
            training_flops(EncoderSize.of(SentenceTransformer(plan.base, device="cpu").encoder.auto_model), training.lengths)
            / sum(training.batches)
        ),
    }


def throughput(check: Check, found: Found, deadline: Deadline) -> None:
    """Training in bf16, ours and theirs by turns in this process."""
    peak = matmul_flops_per_second(check.device, torch.bfloat16, 256 if check.tiny else None)
    found["bf16_flops_per_second"] = round(peak)
    settings = found["settings"] = {}
    for setting in _settings(check):
        if deadline.left <= 0:
            raise DeadlineError("the settings behind were left out")
        shape, batch_size, texts = setting
        rows = check.rows(texts)
        item = settings[f"{shape}, {batch_size} rows, {texts} texts"] = {side: [] for side in SIDES}
        for _, side in interleaved(SIDES, 1 if check.tiny else 2):
            item[side].append(_timed(check, side, setting, rows))
        speeds = {side: [run["rows_per_second"] for run in item[side]] for side in SIDES}
        item["times_as_fast"] = spread(ours / theirs for ours, theirs in zip(speeds["ours"], speeds["theirs"], strict=True))
        item["share_of_peak"] = {side: round(item[side][0]["flops_per_row"] * max(speeds[side]) / peak, 4) for side in SIDES}
        attempt(item, "theirs_with_cudnn", lambda setting=setting, rows=rows: _timed(check, "theirs", setting, rows, cudnn=True))


# --- memory -----------------------------------------------------------------------------------------------------------


def memory(check: Check, found: Found, deadline: Deadline) -> None:
    """What two steps with in-batch negatives take at most, whole and in parts."""
    shape, sizes, parts = ("tiny", (8,), 4) if check.tiny else ("bert-base", (64, 256, 1024), 64)
    found["shape"], found["texts_at_once"] = shape, parts
    marks = found["marks"] = {}
    for size in sizes:
        for side in SIDES:
            for at_once in (None, parts):
                if deadline.left <= 0:
                    raise DeadlineError("the batches behind were left out")
                name = f"{side}, {size} rows{'' if at_once is None else ', in parts'}"
                attempt(marks, name, lambda side=side, size=size, at_once=at_once: _mark(check, shape, side, size, at_once))


def _mark(check: Check, shape: str, side: str, size: int, at_once: int | None) -> Found:
    rows = distinct_rows(read_rows(SAMPLE, 64 if check.tiny else None), 2 * size)
    plan = check.plan(shape, rows, loss=IN_BATCH_NEGATIVES)
    config = _config(check, size, max_steps=2, micro_batch_size=None if at_once is None else at_once // 2)
    if check.cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    try:
        if side == "ours":
            train_ours(plan, config)
        else:
            train_theirs(plan, same_settings(config, len(rows)), at_once)
    except (torch.cuda.OutOfMemoryError, RunError):
        return {"out_of_memory": True}
    if check.cuda:
        return {"allocated": torch.cuda.max_memory_allocated(), "reserved": torch.cuda.max_memory_reserved()}
    return {"allocated": resident_bytes()[1], "reserved": resident_bytes()[1]}


# --- profile ----------------------------------------------------------------------------------------------------------

COUNTED = ("cudaLaunchKernel", "cudaStreamSynchronize", "cudaMemcpyAsync", "cudaMalloc", "cudaHostAlloc", "cudaGraphLaunch")
LONGEST = 20


def profiles(check: Check, found: Found, deadline: Deadline) -> None:
    """Ten steps of ours under torch's profiler; sums only."""
    steps = 3 if check.tiny else 10
    for shape, batch_size, texts in [setting for setting in _settings(check) if setting[2] == "short"]:
        if deadline.left <= 0:
            raise DeadlineError("the shapes behind were left out")
        found[f"{shape}, {batch_size} rows"] = _profile(check, shape, batch_size, check.rows(texts), steps)


def _profile(check: Check, shape: str, batch_size: int, rows: Dataset, steps: int) -> Found:
    warm_up = 3 if check.tiny else 30
    profiler = profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if check.cuda else [])])
    clock: list[float] = []

    def at_step(step: int) -> None:
        if step in {warm_up, warm_up + steps}:
            synchronize(check.device)
            clock.append(time.perf_counter())
            (profiler.start if step == warm_up else profiler.stop)()

    _train("ours", check.plan(shape, rows, at_step=at_step), _config(check, batch_size, max_steps=warm_up + steps))
    seconds = clock[1] - clock[0]
    averages = list(profiler.key_averages())
    kernels = [each for each in averages if "cuda" in str(each.device_type).lower()]
    host = [each for each in averages if "cuda" not in str(each.device_type).lower()]
    named = {each.key: each for each in host}
    return {
        "ms_per_step_while_watched": round(1000 * seconds / steps, 3),
        "kernels_per_step": sum(each.count for each in kernels) / steps,
        "gpu_busy_share": round(sum(each.self_device_time_total for each in kernels) / 1e6 / seconds, 4),
        "operations_per_step": sum(each.count for each in host) / steps,
        "launch_ms_per_step": round(sum(each.self_cpu_time_total for each in host if "LaunchKernel" in each.key) / 1000 / steps, 3),
        "calls_per_step": {name: named[name].count / steps if name in named else 0.0 for name in COUNTED},
        "longest_kernels_ms": _longest(kernels, "self_device_time_total", steps),
        "longest_operations_ms": _longest(host, "self_cpu_time_total", steps),
    }


def _longest(events: Sequence[Any], attribute: str, steps: int) -> dict[str, float]:
    ordered = sorted(events, key=lambda each: -getattr(each, attribute))[:LONGEST]
    return {each.key[:120]: round(getattr(each, attribute) / 1000 / steps, 4) for each in ordered}


# --- graphs -----------------------------------------------------------------------------------------------------------


def graphs(check: Check, found: Found, deadline: Deadline) -> None:
    """Training of ours with CUDA graphs and without, by turns."""
    for setting in [setting for setting in _settings(check) if setting[2] == "short"]:
        if deadline.left <= 0:
            raise DeadlineError("the settings behind were left out")
        shape, batch_size, texts = setting
        rows = check.rows(texts)
        item = found[f"{shape}, {batch_size} rows"] = {}
        for way in ("off", "on"):
            attempt(
                item,
                way,
                lambda way=way, setting=setting, rows=rows: _timed(
                    check, "ours", setting, rows, warm_up=(2.0, 150), seconds=1.5, cuda_graphs=way
                ),
            )
        if all("error" not in item[way] for way in item):
            item["times_as_fast"] = round(item["off"]["ms_per_step"] / item["on"]["ms_per_step"], 3)


# --- encoding ---------------------------------------------------------------------------------------------------------


def encode(check: Check, found: Found, deadline: Deadline) -> None:
    """How fast texts become vectors, ours and theirs."""
    texts = ragged_texts(distinct_texts(check.rows("short")), 60 if check.tiny else 10_000)
    torch.backends.cuda.enable_cudnn_sdp(False)
    for precision in ("fp32", "bf16"):
        for batch_size in (8, 16) if check.tiny else (64, 512):
            if deadline.left <= 0:
                raise DeadlineError("the settings behind were left out")
            base = check.base("tiny" if check.tiny else "minilm")
            found[f"{precision}, {batch_size} texts"] = compare(base, texts, check.device, precision, batch_size, 1)


# --- quick start ------------------------------------------------------------------------------------------------------


def quick_start(check: Check, found: Found, deadline: Deadline) -> None:
    """The quick start through queue and worker, on the device and once on the CPU; and whether one seed gives one model."""
    home = check.work / "home"
    weights = []
    for name, device in (("first", check.device), ("again", check.device), ("on the CPU", "cpu")):
        if deadline.left <= 0:
            raise DeadlineError("the runs behind were left out")
        found[name], run_id = _queued(check, home, device)
        weights.append(load_file(get_run(run_id, home).folder / "model" / "model.safetensors"))
        if name == "again":
            found["largest_difference_of_two_runs"] = max(
                float((weights[0][key] - weights[1][key]).abs().max()) for key in weights[0]
            )


def _queued(check: Check, home: Path, device: str) -> tuple[Found, str]:
    settings = TrainingConfig(device=device, max_steps=6 if check.tiny else None)
    samples = ROOT / "sample_data"
    recipe = Recipe(
        base=DEFAULT_BASE,
        data=str(samples / "support_pairs.csv"),
        test_data=str(samples / "support_pairs_heldout.csv"),
        training=settings,
    )
    before = time.perf_counter()
    run = submit(recipe, home)
    seconds = {}
    for stage, sign in STAGES.items():
        if sign is not None:
            wait_for(run, *sign)
        now = time.perf_counter()
        seconds[stage] = round(now - before, 3)
        before = now
    result = follow(run.run_id, home)
    seconds["further steps, evaluations, verdict"] = round(time.perf_counter() - before, 3)
    verdict = dict(result.verdict or {})
    return {
        "status": result.status,
        "device": result.device,
        "seconds": seconds,
        "training_seconds": result.seconds,
        "outcome": verdict.get("outcome"),
        **{name: verdict.get(name) for name in ("before", "after", "interval", "rows")},
    }, run.run_id


# --- the whole --------------------------------------------------------------------------------------------------------

Section = Callable[[Check, Found, Deadline], None]
SECTIONS: dict[str, tuple[float, Section]] = {
    "probe": (15, probe),
    "ceilings": (10, ceilings),
    "correct": (100, correct),
    "throughput": (150, throughput),
    "memory": (30, memory),
    "profile": (40, profiles),
    "graphs": (25, graphs),
    "encode": (25, encode),
    "run": (40, quick_start),
}
"""Each with the seconds it may take."""
GRACE = 1.25
"""By how much of its seconds a section may pass them before it is broken off: what it has begun it shall end."""


def run_sections(
    check: Check,
    names: Sequence[str],
    seconds: float,
    write: Callable[[Found], None],
    table: dict[str, tuple[float, Section]] | None = None,
) -> Found:
    """Run sections one after the other.

    Args:
        check: What they share.
        names: Which.
        seconds: That all of them together may take.
        write: Is given all results after every section.
        table: Other sections than `SECTIONS`.

    Returns:
        For each section `seconds`, `complete`, `error`, and what it found.
    """
    known = SECTIONS if table is None else table
    whole = Deadline(seconds)
    results: Found = {}
    for name in names:
        allowed, section = known[name]
        found: Found = {"seconds": 0.0, "complete": False, "error": None}
        results[name] = found
        if whole.left < allowed:
            found["error"] = f"dropped: it may take {allowed:g} s, and {max(0.0, whole.left):.0f} s are left"
        else:
            print(f"{name} ...", flush=True)
            started = time.monotonic()
            try:
                with _broken_off(allowed * GRACE):
                    section(check, found, Deadline(allowed))
                found["complete"] = True
            except DeadlineError as error:
                found["error"] = f"deadline: {error}"
            except Exception as error:
                traceback.print_exc()
                found["error"] = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
            found["seconds"] = round(time.monotonic() - started, 1)
            _clean_up(check)
        write(results)
    return results


@contextmanager
def _broken_off(seconds: float) -> Iterator[None]:
    """Raise in the middle of whatever takes too long; not everywhere can that be done."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def ring(number: int, frame: Any) -> None:
        raise DeadlineError("broken off")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _clean_up(check: Check) -> None:
    shutil.rmtree(check.work / "training", ignore_errors=True)
    if check.cuda:
        with suppress(RuntimeError):
            torch.cuda.empty_cache()


def lines(result: Found) -> list[str]:
    """Return the table: what was found by section, what was expected beside it, failures last."""
    told, failures = [], []
    for name, found in result["sections"].items():
        state = "complete" if found["complete"] else found["error"]
        told.append(f"{name}: {found['seconds']:.0f} s, {state}")
        writer = WRITERS.get(name)
        if writer is not None:
            with suppress(KeyError, TypeError, IndexError):  # what a section that was broken off has not found
                for line in writer(found):
                    told.append(f"  {line}")
        failures += found.get("failures", [])
    room = MOST_LINES - 1 - min(len(failures), 15)
    shown = told if len(told) <= room else [*told[: room - 1], "  ... the rest is in gpu_check.json"]
    return [_heading(result["machine"]), *shown, *failures[:15]]


def _heading(facts: Found) -> str:
    where = facts.get("gpu") or facts["cpu"]
    return f"{where}; Python {facts['python']}, torch {facts['torch']}, transformers {facts['transformers']}; one machine, once"


def _probe_lines(found: Found) -> Iterator[str]:
    yield f"driver {found['driver'] or 'none'}, cuDNN {found['cudnn']}, order {found['priority']}, choice by dropout {found['choice']}"
    for state in ("on", "off"):
        costs = found[f"new_shapes_cudnn_{state}"]
        first, second = (max(sum(cost[name]) for cost in costs) for name in ("first", "second"))
        yield f"a new shape of masked attention, cuDNN {state}: {first:.1f} ms, the second time {second:.1f} ms"
    right = [name for name, trial in found["trials"].items() if trial["right"]]
    wrong = {trial["reason"] for trial in found["trials"].values() if not trial["right"]}
    yield f"kernels that serve: {len(right)} of {len(found['trials'])} uses; else: {'; '.join(sorted(wrong))[:200] or '-'}"


def _ceiling_lines(found: Found) -> Iterator[str]:
    speeds = ", ".join(f"{name} {found[f'{name}_flops_per_second'] / 1e12:.3g}" for name in ("bf16", "tf32", "fp32"))
    yield f"{speeds} TFLOP/s; copy {found['copy_bytes_per_second'] / 1e9:,.0f} GB/s; {found['microseconds_a_launch']} µs a launch"


def _correct_lines(found: Found) -> Iterator[str]:
    yield f"{found['passed']} passed, {found['failed']} failed, {found['skipped']} skipped, {found['error_count']} broken"


def _throughput_lines(found: Found) -> Iterator[str]:
    for name, item in found["settings"].items():
        ratio = item["times_as_fast"]
        speeds = {side: max(run["rows_per_second"] for run in item[side]) for side in SIDES}
        steps = {side: min(run["ms_per_step"] for run in item[side]) for side in SIDES}
        yield (
            f"{name}: {speeds['ours']:,.0f} against {speeds['theirs']:,.0f} rows/s "
            f"({steps['ours']:.2f} and {steps['theirs']:.2f} ms a step), "
            f"{ratio['median']:.2f} times ({ratio['low']:.2f} to {ratio['high']:.2f})"
        )
        if name in EXPECTED:
            yield f"  expected: {EXPECTED[name]}"


def _memory_lines(found: Found) -> Iterator[str]:
    for name, mark in found["marks"].items():
        told = mark.get("error") or "out of memory"
        if "allocated" in mark:
            told = f"{mark['allocated'] / 2**30:.2f} GiB allocated, {mark['reserved'] / 2**30:.2f} reserved"
        yield f"{found['shape']}, {name}: {told}"


def _profile_lines(found: Found) -> Iterator[str]:
    for name, item in found.items():
        if isinstance(item, dict):
            calls = item["calls_per_step"]
            yield (
                f"{name}: {item['kernels_per_step']:.0f} kernels a step, GPU busy {item['gpu_busy_share']:.0%}, "
                f"{calls['cudaStreamSynchronize']:.1f} waits, {calls['cudaMemcpyAsync']:.1f} copies"
            )


def _graphs_lines(found: Found) -> Iterator[str]:
    for name, item in found.items():
        if isinstance(item, dict):
            off, on = item["off"], item["on"]
            if "error" in off or "error" in on:
                yield f"{name}: {off.get('error') or on.get('error')}"
                continue
            yield (
                f"{name}: {on['ms_per_step']:.2f} ms a step with graphs, {off['ms_per_step']:.2f} without, {item['times_as_fast']:.2f} times; "
                f"filled up by {on['padding_fraction']:.0%}"
            )
            if name in EXPECTED_OF_GRAPHS:
                yield f"  expected: {EXPECTED_OF_GRAPHS[name]}"


def _encode_lines(found: Found) -> Iterator[str]:
    for name, item in found.items():
        if isinstance(item, dict):
            ours, theirs = (item[side]["texts_per_second"]["median"] for side in SIDES)
            yield f"{name}: {ours:,.0f} against {theirs:,.0f} texts/s, largest difference {item['largest_difference']:.1e}"


def _run_lines(found: Found) -> Iterator[str]:
    for name, item in found.items():
        if isinstance(item, dict):
            whole = sum(item["seconds"].values())
            yield f"{name}: {item['status']} on {item['device']}, {whole:.1f} s, {item['outcome']}, {item['before']:.3f} to {item['after']:.3f}"
    yield f"two runs with one seed differ by {found['largest_difference_of_two_runs']:.2g} at most"


WRITERS: dict[str, Callable[[Found], Iterator[str]]] = {
    "probe": _probe_lines,
    "ceilings": _ceiling_lines,
    "correct": _correct_lines,
    "throughput": _throughput_lines,
    "memory": _memory_lines,
    "profile": _profile_lines,
    "graphs": _graphs_lines,
    "encode": _encode_lines,
    "run": _run_lines,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sections, print the table, and return the exit code: 1 where a section failed, else 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--only", nargs="+", choices=tuple(SECTIONS), metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="rehearse the program with next to nothing to compute")
    options = parser.parse_args(arguments)
    options.threads = None
    set_up(options)
    importlib.import_module("transformers.models.bert.modeling_bert")  # not on the first section's clock
    options.output.mkdir(parents=True, exist_ok=True)
    names = [name for name in SECTIONS if options.only is None or name in options.only]
    result: Found = {"machine": machine(options.device), "minutes": options.minutes, "tiny": options.tiny, "sections": {}}

    def write(sections: Found) -> None:
        result["sections"] = sections
        write_json(result, options.output / "gpu_check.json")

    with tempfile.TemporaryDirectory() as folder:
        run_sections(Check(options.device, options.tiny, Path(folder)), names, 60 * options.minutes, write)
    table = lines(result)
    (options.output / "gpu_check.txt").write_text("\n".join(table) + "\n", encoding="utf-8")
    print("\n".join(table))
    # A deadline is no failure: what was measured is there, and what was not is named.
    faults = [found["error"] for found in result["sections"].values() if found["error"]]
    return 1 if any(not fault.startswith(("deadline", "dropped")) for fault in faults) else 0


if __name__ == "__main__":
    sys.exit(main())
