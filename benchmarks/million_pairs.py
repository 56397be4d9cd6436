"""A million pairs from a CSV to a training run: seconds and peak memory of each stage, beside what the texts themselves take.

    python -m benchmarks.million_pairs [--rows 1000000] [--steps 200] [--output benchmarks/million_pairs.json]

The texts are made up from words of `mini`'s vocabulary, the frequent ones often. Everything happens in a temporary folder; the import is
one child process and the run another, as they are in the workbench. `peak` is all memory of the process, mapped files included, which
the system takes back when it needs it; `private` is what it cannot take back.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from workbench.models import DEFAULT_BASE
from workbench.recipe import ArchitectureSpec, Recipe, TrainingConfig, default_loss

ROOT = Path(__file__).parents[1]
HELD_OUT = 0.002
WORDS = 4000
MIB = 2**20


def write_pairs(path: Path, rows: int) -> None:
    """Write a CSV of scored pairs."""
    vocabulary = json.loads((ROOT / "workbench" / "models" / "mini" / "tokenizer.json").read_text(encoding="utf-8"))["model"][
        "vocab"
    ]
    words = np.array([word for word in vocabulary if word.isalpha() and len(word) > 2][:WORDS], dtype=object)
    weights = 1 / np.arange(10, len(words) + 10)
    generator = np.random.default_rng(0)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("sentence1", "sentence2", "score"))
        for start in range(0, rows, 10_000):
            count = min(10_000, rows - start)
            lengths = generator.integers(5, 16, 2 * count)
            drawn = iter(words[generator.choice(len(words), lengths.sum(), p=weights / weights.sum())].tolist())
            texts = iter([" ".join(next(drawn) for _ in range(length)) for length in lengths.tolist()])
            scores = generator.integers(0, 101, count) / 100
            writer.writerows((next(texts), next(texts), score) for score in scores.tolist())


class Memory:
    """Looks at the memory of this process a hundred times a second."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.peak = self.private = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def look(self) -> None:
        """Take the memory of this moment into account."""
        info = self._process.memory_info()
        self.peak = max(self.peak, info.rss)
        self.private = max(self.private, info.rss - getattr(info, "shared", 0))

    def _watch(self) -> None:
        while True:
            self.look()
            time.sleep(0.01)


@contextmanager
def stage(name: str, memory: Memory, found: dict[str, Any]) -> Iterator[None]:
    """Measure what happens inside."""
    memory.peak = memory.private = 0
    memory.look()
    start, computing = time.perf_counter(), time.process_time()
    yield
    memory.look()
    found[name] = {
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(time.process_time() - computing, 1),
        "peak_mib": round(memory.peak / MIB),
        "private_mib": round(memory.private / MIB),
    }


def import_pairs(path: Path, home: Path) -> dict[str, Any]:
    """Import the CSV, and return what that took."""
    from workbench.data import import_file

    found: dict[str, Any] = {}
    memory = Memory()
    with stage("import", memory, found):
        import_file(path, home)
    return {"stages": found}


def run_workbench(home: Path, steps: int) -> dict[str, Any]:
    """Split, tokenise and train, and return what each took."""
    from workbench.data import list_datasets, open_splits

    found: dict[str, Any] = {}
    memory = Memory()
    (stored,) = list_datasets(home)
    training = TrainingConfig(
        max_steps=steps, eval_steps=steps, validation_fraction=HELD_OUT, test_fraction=HELD_OUT, device="cpu", learning_rate=2e-5
    )
    recipe = Recipe(DEFAULT_BASE, stored.ref, ArchitectureSpec.default(), default_loss(stored.kind), training=training)
    with stage("split", memory, found):
        parts = open_splits(recipe, home)

    from workbench.models import SentenceTransformer, resolve_base
    from workbench.recipe import KINDS
    from workbench.training import run_training
    from workbench.training.sampler import ShuffledBatches
    from workbench.training.token_cache import TokenCache
    from workbench.training.tokens import Tokens

    model = SentenceTransformer(resolve_base(DEFAULT_BASE, home), device="cpu")
    columns = [parts.train[role] for role in KINDS[stored.kind].texts]
    with stage("tokenise", memory, found):
        tokens = Tokens(model, columns, TokenCache(home))
    with stage("tokens from the cache", memory, found):
        assert Tokens(model, columns, TokenCache(home)).cached
    with stage("order of an epoch", memory, found):
        len(ShuffledBatches(tokens, training.batch_size, 0))
    with stage("order without repeats", memory, found):
        len(ShuffledBatches(tokens, training.batch_size, 0, distinct=True))
    word_pieces = int(tokens.lengths.sum())
    cache = sum(TokenCache(home).sizes().values())
    del model, columns, tokens
    with stage("train", memory, found):
        result = run_training(recipe, parts, home, home / "run", _Quiet())
    return {
        "stages": found,
        "train_rows": len(parts.train),
        "word_pieces": word_pieces,
        "cache_mib": round(cache / MIB),
        "steps": result.steps,
        "pairs_per_second": result.pairs_per_second,
    }


def load_plainly(path: Path) -> dict[str, Any]:
    """Read the CSV into lists of str, and return what they take."""
    process = psutil.Process()
    before = process.memory_info().rss
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.reader(stream)
        columns: list[list[str]] = [[] for _ in next(reader)]
        for row in reader:
            for column, cell in zip(columns, row, strict=True):
                column.append(cell)
    return {"lists_of_str_mib": round((process.memory_info().rss - before) / MIB)}


class _Quiet:
    """A listener that wants to know nothing."""

    def on_message(self, text: str) -> None: ...

    def on_start(self, total_steps: int, device: str, facts: Mapping[str, Any]) -> None: ...

    def on_train(self, point: Mapping[str, Any]) -> None: ...

    def on_evaluation(self, point: Mapping[str, Any]) -> None: ...

    def on_progress(self, step: int, total_steps: int, epoch: float, pairs_per_second: float, seconds: float) -> None: ...

    def stop_requested(self) -> str | None: ...


def in_child(part: str, *arguments: str) -> dict[str, Any]:
    """Run one part of this program in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.million_pairs", "--part", part, *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def main() -> None:
    """Run, print a table, and keep the numbers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--part", choices=("lists", "import", "run"), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part is not None:
        home = options.file.parent / "home"
        answers = {
            "lists": lambda: load_plainly(options.file),
            "import": lambda: import_pairs(options.file, home),
            "run": lambda: run_workbench(home, options.steps),
        }
        print(json.dumps(answers[options.part]()))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pairs.csv"
        write_pairs(path, options.rows)
        sizes = {"rows": options.rows, "csv_mib": round(path.stat().st_size / MIB)}
        plain = in_child("lists", "--file", str(path))
        imported = in_child("import", "--file", str(path))
        found = in_child("run", "--file", str(path), "--steps", str(options.steps))
    found["stages"] = imported["stages"] | found["stages"]
    print(f"{options.rows:,} rows, CSV {sizes['csv_mib']} MiB, as lists of str {plain['lists_of_str_mib']} MiB")
    for name, numbers in found["stages"].items():
        print(f"{name:24} {numbers['seconds']:8.1f} s {numbers['peak_mib']:6} MiB peak {numbers['private_mib']:6} MiB private")
    machine = {"platform": platform.platform(), "cores": psutil.cpu_count(), "python": platform.python_version()}
    options.output.write_text(
        json.dumps({"base": DEFAULT_BASE, "machine": machine, **sizes, **plain, **found}, indent=2) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
