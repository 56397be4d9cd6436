"""How fast texts become vectors, beside sentence-transformers' `encode`.

    python -m benchmarks.encode_throughput [--device cuda] [--base minilm] [--data FILE.csv] [--texts 1000] [--precision fp32 bf16]

The texts are those of the data and longer ones joined from them, all different, in mixed order. Both sides load the same folder and
encode the same list, by turns in one process; the largest difference between their vectors stands beside the ratio.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.inputs import add_options, describe, distinct_texts, ragged_texts, read_rows, set_up, write_base
from benchmarks.measuring import Stopwatch, interleaved, spread
from benchmarks.report import markdown, publish, setting, times
from workbench import SentenceTransformer

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
SIDES = ("ours", "theirs")


def compare(base: Path, texts: list[str], device: str, precision: str, batch_size: int, repeats: int) -> dict[str, Any]:
    """Return the speed of both sides with weights of one precision, and how far their vectors are apart."""
    from sentence_transformers import SentenceTransformer as Theirs

    models: dict[str, Any] = {"ours": SentenceTransformer(base, device=device), "theirs": Theirs(str(base), device=device)}
    lengths = [len(ids) for ids in models["ours"].tokenize(texts)]
    vectors: dict[str, NDArray[np.float32]] = {}
    for side, model in models.items():
        model.to(DTYPES[precision])
        vectors[side] = model.encode(texts, batch_size=batch_size, show_progress_bar=False)
    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
    for repeat, side in interleaved(SIDES, repeats):
        watch = Stopwatch(device)
        models[side].encode(texts, batch_size=batch_size, show_progress_bar=False)
        seconds[side].append(watch.seconds)
        print(f"  {precision}, {repeat + 1} of {repeats}, {side}: {len(texts) / seconds[side][-1]:.1f} texts/s", flush=True)
    return {
        "precision": precision,
        "batch_size": batch_size,
        "texts": len(texts),
        "tokens_per_text": {"mean": round(float(np.mean(lengths)), 1), "longest": max(lengths)},
        **{side: {"texts_per_second": spread(len(texts) / value for value in seconds[side])} for side in SIDES},
        "times_as_fast": spread(theirs / ours for ours, theirs in zip(seconds["ours"], seconds["theirs"], strict=True)),
        "largest_difference": float(np.abs(vectors["ours"] - vectors["theirs"]).max()),
        "largest_number": float(np.abs(vectors["theirs"]).max()),
    }


def table(result: dict[str, Any]) -> str:
    """Return the README's table of a result."""
    header = ["precision", "ours, texts/s", "theirs, texts/s", "times as fast", "largest difference", "largest number"]
    rows = [
        [
            item["precision"],
            *[f"{item[side]['texts_per_second']['median']:,.0f}" for side in SIDES],
            times(item["times_as_fast"]),
            f"{item['largest_difference']:.1e}",
            f"{item['largest_number']:.2f}",
        ]
        for item in result["settings"]
    ]
    first = result["settings"][0]
    length = first["tokens_per_text"]
    texts = f"{first['texts']:,} texts of {length['mean']} tokens on average, {length['longest']} at most; batches of {first['batch_size']}."
    return f"{markdown(header, rows)}\n\n{texts} {setting(result)}"


def main() -> None:
    """Measure, print the table, and keep the numbers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add_options(parser, __file__)
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--precision", choices=tuple(DTYPES), nargs="+", default=["fp32"])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    set_up(options)
    rows = read_rows(options.data, options.rows)
    texts = ragged_texts(distinct_texts(rows), options.texts)
    with tempfile.TemporaryDirectory() as folder:
        base = write_base(options, Path(folder) / "base")
        settings = [
            compare(base, texts, options.device, precision, options.batch_size, options.repeats) for precision in options.precision
        ]
    result = describe(options, len(rows)) | {"settings": settings}
    publish(result, options.output, table(result))


if __name__ == "__main__":
    main()
