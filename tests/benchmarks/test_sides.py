"""Both sides of a training measurement, on a tiny encoder: the same rows, the same steps, and what is counted."""

import argparse
import dataclasses
import math
from pathlib import Path

import pytest
from datasets import Dataset

from benchmarks.inputs import add_options, distinct_texts, ragged_texts, read_rows, write_base
from benchmarks.memory import GIB, STEPS, HighWaterMark, distinct_rows, search, table
from benchmarks.quality import mean_interval, summary
from benchmarks.sides import IN_BATCH_NEGATIVES, Plan, same_settings, train_ours, train_theirs
from workbench import SentenceTransformer
from workbench.recipe import TrainingConfig

CONFIG = TrainingConfig(batch_size=8, max_steps=7, learning_rate=1e-4, precision="fp32", device="cpu", eval_steps=3)


@pytest.fixture
def plan(tiny_bert: Path, sentences: list[str], tmp_path: Path) -> Plan:
    """Twenty different rows, so that the third batch of an epoch is half full."""
    rows = Dataset.from_dict({"sentence1": sentences[:20], "sentence2": sentences[20:40], "score": [i / 20 for i in range(20)]})
    options = argparse.Namespace(base=str(tiny_bert), shape=None)
    return Plan(write_base(options, tmp_path / "base"), rows, tmp_path / "work", "cpu", validation=rows)


@pytest.mark.filterwarnings("ignore")
def test_both_sides_see_the_same_rows_and_are_measured_alike(plan: Plan) -> None:
    told: list[int] = []
    plan.at_step = told.append
    ours = train_ours(plan, CONFIG)
    assert told == list(range(8))
    theirs = train_theirs(plan, same_settings(CONFIG, 20) | {"eval_steps": 3})
    assert told == 2 * list(range(8))
    model = SentenceTransformer(plan.base, device="cpu")
    epoch = sorted(len(ids) for name in ("sentence1", "sentence2") for ids in model.tokenize(list(plan.rows[name])))
    for run in (ours, theirs):
        # Two epochs of 8, 8 and 4 rows, and one batch of a third; the first step is left out of the steady ones.
        assert (run.steps, run.rows, run.steady_rows) == (7, 48, 40)
        assert [point.step for point in run.curve] == [0, 3, 6, 7]
        assert run.seconds > 0 and run.steady_seconds > 0
        assert sorted(run.lengths[:40]) == epoch and len(run.lengths) == 2 * 48
    assert ours.padding_fraction == 0 < theirs.padding_fraction < 1
    assert ours.curve[0].value == pytest.approx(theirs.curve[0].value, abs=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_gradient_caching_sees_the_same_rows(plan: Plan) -> None:
    plan = dataclasses.replace(plan, loss=IN_BATCH_NEGATIVES, validation=None)
    config = dataclasses.replace(CONFIG, micro_batch_size=2)
    assert train_ours(plan, config).rows == train_theirs(plan, same_settings(config, 20), 4).rows == 48


def test_high_water_mark_is_taken_at_the_last_step() -> None:
    mark = HighWaterMark("cpu")
    mark(0)
    block = bytearray(b"x") * (64 << 20)
    mark(STEPS - 1)
    assert mark.peak == 0
    mark(STEPS)
    assert mark.peak - mark.start > len(block) // 2


def test_rows_for_memory_share_no_text() -> None:
    table = Dataset.from_dict({"sentence1": ["a", "b"], "sentence2": ["b", "a"], "score": [0.0, 1.0]})
    rows = distinct_rows(table, 5)
    assert len(rows) == 5
    assert len(set(rows["sentence1"])) == len(set(rows["sentence2"])) == 5
    assert len({text for name in ("sentence1", "sentence2") for text in rows[name]}) == 10


def test_search_doubles_until_the_budget_is_passed() -> None:
    found = search(lambda size: {"peak": 10 * size}, 4, 1024, budget=170)
    assert (list(found["marks"]), found["largest_batch"], found["ended_by_limit"]) == (["4", "8", "16", "32"], 16, False)


def test_search_ends_at_its_limit_and_where_memory_runs_out() -> None:
    assert search(lambda size: {"peak": 1}, 4, 16, budget=2)["ended_by_limit"]
    found = search(lambda size: {"out_of_memory": True}, 4, 16, budget=2)
    assert (found["largest_batch"], found["ended_by_limit"]) == (None, False)


def test_memory_table_says_what_did_not_fit() -> None:
    measured = {
        "ours": search(lambda size: {"peak": GIB}, 4, 8, budget=2 * GIB),
        "theirs": search(lambda size: {"peak": 3 * GIB}, 4, 8, budget=2 * GIB),
    }
    machine = dict.fromkeys(("cpu", "threads", "python", "torch", "transformers", "sentence-transformers", "date"), "x")
    head = {"machine": machine, "device": "cpu", "data": {"file": "f", "rows": 1}, "base": "b"}
    text = table(head | {"sides": measured, "budget_gib": 2, "precision": "fp32", "texts_at_once": 4})
    assert "| 8 rows, GiB | 1.00 |  |" in text
    assert "| largest within 2 GiB | 8 or more | under 4 |" in text


def test_interval_of_a_mean() -> None:
    # Standard deviation 1, three values: 4.3027 / sqrt(3) on either side.
    low, high = mean_interval([1.0, 2.0, 3.0]) or (0.0, 0.0)
    assert (low, high) == pytest.approx((2 - 2.48414, 2 + 2.48414), abs=1e-4)
    assert mean_interval([1.0]) is None


def test_summary_pairs_the_seeds() -> None:
    found = summary([{"ours": 0.8, "theirs": 0.7}, {"ours": 0.6, "theirs": 0.6}])
    assert found["mean"] == {"ours": pytest.approx(0.7), "theirs": pytest.approx(0.65)}
    assert found["difference"]["mean"] == pytest.approx(0.05)
    low, high = found["difference"]["interval"]
    assert low < 0 < high and math.isclose((low + high) / 2, 0.05)


def test_ragged_texts_are_distinct_and_half_of_them_joined() -> None:
    texts = [f"text {number}" for number in range(30)]
    made = ragged_texts(texts, 40)
    assert len(set(made)) == 40
    assert len([text for text in made if text in texts]) == 20
    assert made == ragged_texts(texts, 40)


@pytest.mark.parametrize("shape", ["minilm", "modernbert"])
def test_random_shapes_load_on_our_side(shape: str, tmp_path: Path) -> None:
    folder = write_base(argparse.Namespace(base="mini", shape=shape), tmp_path / shape)
    config = SentenceTransformer(folder, device="cpu").encoder.auto_model.config
    assert (config.num_hidden_layers, config.hidden_size) == {"minilm": (6, 384), "modernbert": (22, 768)}[shape]


def test_options_default_to_what_is_bundled() -> None:
    parser = argparse.ArgumentParser()
    add_options(parser, "benchmarks/quality.py")
    options = parser.parse_args([])
    assert (options.base, options.device, options.output) == ("mini", "cpu", Path("benchmarks/quality.json"))
    rows = read_rows(options.data, 10)
    assert len(rows) == 10 and len(distinct_texts(rows)) > 10
