"""What the measurements count, on numbers that can be worked out by hand."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from benchmarks.measuring import (
    EncoderSize,
    Point,
    Stopwatch,
    TokenCount,
    common_target,
    forward_flops,
    interleaved,
    machine,
    read_json,
    resident_bytes,
    spread,
    time_to_score,
    training_flops,
    write_json,
)

SIZE = EncoderSize(weights=100, layers=2, width=8)


def test_flops_of_one_token() -> None:
    # 2 a weight, and one token attends to itself: 2 layers x (2 x 8 for the score, 2 x 8 for the value).
    assert forward_flops(SIZE, [1]) == 2 * 100 + 2 * (2 * 8 + 2 * 8)


def test_flops_grow_with_the_square_of_a_length_and_add_up_over_texts() -> None:
    assert forward_flops(SIZE, [3, 5]) == forward_flops(SIZE, [3]) + forward_flops(SIZE, [5])
    assert forward_flops(SIZE, [6]) - 2 * forward_flops(SIZE, [3]) == 4 * 2 * 8 * (36 - 2 * 9)
    assert training_flops(SIZE, [3, 5]) == 3 * forward_flops(SIZE, [3, 5])


def test_flops_are_what_torch_counts(tiny_bert: Path) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    # Fused attention on the CPU is not counted by torch; eager attention is made of counted products.
    model = AutoModel.from_pretrained(tiny_bert, add_pooling_layer=False, attn_implementation="eager")
    with FlopCounterMode(display=False) as counter:
        model(input_ids=torch.ones(3, 7, dtype=torch.long))
    assert forward_flops(EncoderSize.of(model), [7] * 3) == counter.get_total_flops()


def test_size_counts_matrices_without_word_vectors_and_pooler(tiny_bert: Path) -> None:
    model = AutoModel.from_pretrained(tiny_bert, add_pooling_layer=True)
    # Two layers: query, key, value and output 32 x 32 each, 32 x 64 and back.
    assert EncoderSize.of(model) == EncoderSize(weights=2 * (4 * 32 * 32 + 2 * 32 * 64), layers=2, width=32)


def test_padding_is_counted_over_all_batches() -> None:
    count = TokenCount()
    count.add(torch.tensor([[1, 1, 0], [1, 1, 1]]))
    count.add(torch.tensor([[1, 0], [1, 0]]))
    assert (count.positions, count.lengths) == (10, [2, 3, 1, 1])
    assert count.padding_fraction == pytest.approx(0.3)


def test_no_batch_has_no_padding() -> None:
    assert TokenCount().padding_fraction == 0.0


CURVE = [Point(0, 0.0, 0.5), Point(10, 2.0, 0.7), Point(20, 4.0, 0.65), Point(30, 6.0, 0.8)]


@pytest.mark.parametrize(("target", "seconds"), [(0.5, 0.0), (0.6, 2.0), (0.7, 2.0), (0.71, 6.0), (0.81, None)])
def test_time_to_score_is_that_of_the_first_evaluation_that_reached_it(target: float, seconds: float | None) -> None:
    assert time_to_score(CURVE, target) == seconds


def test_common_target_is_the_lower_of_the_bests_and_both_reach_it() -> None:
    other = [Point(0, 0.0, 0.5), Point(5, 1.0, 0.75), Point(10, 2.0, 0.6)]
    target = common_target([CURVE, other])
    assert target == 0.75
    assert (time_to_score(CURVE, target), time_to_score(other, target)) == (6.0, 1.0)


def test_sides_take_turns_and_each_comes_first_as_often() -> None:
    assert list(interleaved(("a", "b"), 3)) == [(0, "a"), (0, "b"), (1, "b"), (1, "a"), (2, "a"), (2, "b")]


def test_spread() -> None:
    assert spread([3.0, 1.0, 2.0]) == {"median": 2.0, "low": 1.0, "high": 3.0}


def test_a_paused_stopwatch_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    watch = Stopwatch("cpu")
    now[0] = 2.0
    with watch.paused():
        now[0] = 7.0
    now[0] = 8.0
    assert watch.seconds == 3.0


def test_high_water_mark_stays_when_memory_is_given_back() -> None:
    block = bytearray(b"x") * (64 << 20)
    held, _ = resident_bytes()
    del block
    left, peak = resident_bytes()
    # The kernel keeps its counts to within some pages a thread.
    assert held - left > 60 << 20
    assert peak > held - (2 << 20)


def test_a_result_names_the_machine_and_survives_its_file(tmp_path: Path) -> None:
    facts = machine()
    assert facts["threads"] == torch.get_num_threads()
    assert facts["torch"] == torch.__version__
    assert "gpu" not in facts
    write_json({"machine": facts}, tmp_path / "result.json")
    assert read_json(tmp_path / "result.json") == {"machine": facts}
