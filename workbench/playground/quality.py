"""How good shorter and coarser vectors are: the metric of a verdict, measured again for every way to store the vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.evaluation import Encode, Evaluator
from workbench.playground.choices import BASE_PREFIX
from workbench.playground.vectors import PRECISIONS, Vectors, bytes_per_vector, reduce_vectors, widths_to_try
from workbench.runs.history import find_run
from workbench.runs.run import is_run_id
from workbench.runs.test_rows import TEST_ROWS, why_no_test_rows


@dataclass(frozen=True)
class SizeQuality:
    """One way to store vectors, and how good they are.

    Attributes:
        width: Numbers of a vector.
        precision: A key of `PRECISIONS`.
        bytes: Bytes of a vector, which is also the megabytes (10^6 bytes) of a million vectors.
        value: The metric; None where it is not measurable on these rows.
    """

    width: int
    precision: str
    bytes: int
    value: float | None


@dataclass(frozen=True)
class Quality:
    """How good a model is on rows held out, by size of its vectors.

    Attributes:
        metric: Key of the metric; higher is better.
        rows: Rows measured.
        sizes: Every width with every precision, the full vectors first.
    """

    metric: str
    rows: int
    sizes: tuple[SizeQuality, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Quality:
        """Read what `to_dict` wrote."""
        return cls(data["metric"], data["rows"], tuple(SizeQuality(**size) for size in data["sizes"]))


def measure_quality(evaluator: Evaluator, encode: Encode, say: Callable[[int, int], None] | None = None) -> Quality:
    """Measure a model on the rows of an evaluator, for every width and precision of its vectors.

    The full float32 vectors reach the evaluator as they come, so that their value is the one that a run's verdict names.

    Args:
        evaluator: Holds the rows.
        encode: The model; asked once.
        say: Is told how many sizes are measured, and of how many.
    """
    whole: Vectors | None = None

    def full(texts: list[str]) -> Vectors:
        nonlocal whole
        whole = encode(texts)
        return whole

    first = evaluator(full)
    assert whole is not None, "an evaluator encodes its texts"
    wanted = [(width, precision) for width in widths_to_try(whole.shape[1]) for precision in PRECISIONS]
    values = [first.value]
    for done, (width, precision) in enumerate(wanted[1:], start=1):
        if say is not None:
            say(done, len(wanted))
        # An evaluator scales to length 1 itself, and asks for the same texts each time.
        small = whole[:, :width] if precision == "float32" else reduce_vectors(whole, width, precision)
        values.append(evaluator(lambda texts, small=small: small).value)  # type: ignore[misc]
    sizes = [
        SizeQuality(width, precision, bytes_per_vector(width, precision), value if np.isfinite(value) else None)
        for (width, precision), value in zip(wanted, values, strict=True)
    ]
    return Quality(first.primary_metric, first.rows, tuple(sizes))


@dataclass(frozen=True)
class HeldOut:
    """The rows that a model's run kept out of the training and was tested on.

    Attributes:
        folder: Folder of the run, which holds them; None where there are none.
        words: Whose they are, or why there are none, as the end of a sentence.
        base: What the run's base has on them with its full vectors; None where that was not measured, or the model is that base.
        max_seq_length: Where texts have to be cut to measure as the run did; None for where the model does by itself.
        remark: Why the run was not tested on them, as a sentence; empty where it was.
    """

    folder: Path | None
    words: str
    base: float | None = None
    max_seq_length: int | None = None
    remark: str = ""


def find_held_out(model: str, home: Path) -> HeldOut:
    """Return the rows that tell how good a model is.

    Args:
        model: A run id or `base:RUN_ID`; any other model has no rows that are known to be kept apart from it.
        home: Folder of the workbench.
    """
    run_id = model.removeprefix(BASE_PREFIX)
    if not is_run_id(run_id):
        return HeldOut(None, "this model belongs to no run here")
    try:
        run = find_run(run_id, home)
        architecture = run.recipe().architecture
    except WorkbenchError as error:
        return HeldOut(None, error.message.rstrip("."))
    if not (run.folder / TEST_ROWS).is_file():
        return HeldOut(None, f"the run has no test rows: {why_no_test_rows(run)}")
    verdict = run.verdict or {}
    remark = str(verdict["sentence"]) if verdict.get("outcome") == "not_judged" else ""
    words = f"the run “{run.name}”"
    if not model.startswith(BASE_PREFIX):
        return HeldOut(run.folder, words, verdict.get("before"), None, remark)
    # The run measured its base with its own limit, which the base's folder does not know.
    limit = None if architecture is None else architecture.layers[0].params["max_seq_length"]
    return HeldOut(run.folder, words, None, limit, remark)
