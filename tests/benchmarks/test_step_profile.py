"""Every operation's own time counts once, under the heading it belongs to."""

import argparse
from pathlib import Path
from types import SimpleNamespace

import pytest
from datasets import Dataset

from benchmarks.inputs import write_base
from benchmarks.sides import Plan
from benchmarks.step_profile import OTHERS, OUTSIDE, WITHIN, heading, watch


@pytest.mark.filterwarnings("ignore")
def test_the_shares_are_those_of_whole_steps(tiny_bert: Path, sentences: list[str], tmp_path: Path) -> None:
    rows = Dataset.from_dict({"sentence1": sentences[:20], "sentence2": sentences[20:40], "score": [i / 20 for i in range(20)]})
    base = write_base(argparse.Namespace(base=str(tiny_bert), shape=None), tmp_path / "base")
    found = watch(Plan(base, rows, tmp_path / "work", "cpu"), 8, "fp32", 3)
    shares = found["shares"]
    assert sum(shares.values()) == pytest.approx(1, abs=0.002)
    assert {"matrix products", "layer norms", "optimiser and clipping", "activation function", WITHIN, OUTSIDE} <= set(shares)
    assert all(share > 0 for share in shares.values())
    assert found["ms_per_step"] > 0


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["aten::addmm"], "matrix products"),
        (["aten::bmm", "_WithinSentences"], WITHIN),
        (["aten::copy_", "aten::to", "_WithinSentencesBackward"], WITHIN),
        (["aten::copy_", "aten::to"], "copies and casts"),
        (["aten::_fused_adamw_", "Optimizer.step#AdamW.step"], "optimiser and clipping"),
        (["aten::native_layer_norm_backward"], "layer norms"),
        (["aten::embedding_dense_backward"], "word vectors' lookup"),
        (["aten::arange"], OTHERS),
    ],
)
def test_headings(names: list[str], wanted: str) -> None:
    event = None
    for name in reversed(names):
        event = SimpleNamespace(name=name, cpu_parent=event)
    assert heading(event) == wanted
