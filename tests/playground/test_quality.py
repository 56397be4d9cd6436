"""Quality by size of the vectors: the verdict's own numbers at full size, on the rows that a run kept apart."""

import numpy as np
import pytest

from tests.finished import finish, text_model, write_rows
from workbench.evaluation import build_evaluator
from workbench.playground import PRECISIONS, EncoderProcess, find_held_out, measure_quality
from workbench.recipe import KINDS, ArchitectureSpec, LayerSpec, Recipe, TrainingConfig
from workbench.runs import follow, read_test_part, submit
from workbench.runs.test_rows import kind_of_rows, read_test_rows

LABELS = {"scored_pairs": ("0", "0.4", "1"), "labelled_pairs": ("0", "1"), "class_pairs": ("near", "far", "other")}


def table(kind, path, sentences):
    rows = []
    for index in range(180):
        other = sentences[index] if index % 3 else sentences[(index + 50) % 180]
        by_place = (sentences[index], other, sentences[index // 2])
        texts = [f"{by_place[place]} {role} {index}" for place, role in enumerate(KINDS[kind].texts)]
        rows.append((*texts, LABELS[kind][index % len(LABELS[kind])]) if kind in LABELS else tuple(texts))
    return write_rows(path, KINDS[kind].roles, rows)


@pytest.mark.parametrize("kind", list(KINDS))
def test_full_vectors_have_the_value_of_the_verdict(kind, home, tmp_path, sentences):
    training = TrainingConfig(max_steps=2, batch_size=8, device="cpu", test_fraction=0.4, validation_fraction=0.2)
    columns = {role: role for role in KINDS[kind].roles}
    path = table(kind, tmp_path / "rows.csv", sentences)
    run = finish(Recipe("scratch", str(path), training=training, columns=columns, name="Mine"), home)
    assert kind_of_rows(read_test_rows(run.folder)) == kind, "the rows alone tell it, the data set may be gone"
    held_out = find_held_out(run.run_id, home)
    assert held_out.words == "the run “Mine”" and held_out.base == run.verdict["before"] and held_out.remark == ""
    part = read_test_part(held_out.folder)
    evaluator, said = build_evaluator(part.kind, part.columns, part.labels), []
    tuned = measure_quality(evaluator, text_model(0.3), lambda done, total: said.append((done, total)))
    assert tuned.sizes[0].value == run.verdict["after"] and tuned.rows == run.verdict["rows"]
    assert tuned.metric == run.primary_metric == KINDS[kind].primary_metric
    assert measure_quality(evaluator, text_model(1.0)).sizes[0].value == run.verdict["before"]
    assert [(size.width, size.precision) for size in tuned.sizes] == [(width, name) for width in (16, 8) for name in PRECISIONS]
    assert [size.bytes for size in tuned.sizes] == [64, 16, 2, 32, 8, 1]
    assert said == [(done, 6) for done in range(1, 6)]
    assert all(-1 <= size.value <= 1 for size in tuned.sizes)


def test_what_is_cut_costs_what_it_carried():
    generator = np.random.default_rng(5)
    scores = np.linspace(0, 1, 60)
    vectors = {}
    for row, score in enumerate(scores):
        vectors[f"a{row}"] = np.concatenate([generator.normal(size=8) * 0.01, [1.0], np.zeros(7)])
        vectors[f"b{row}"] = np.concatenate([generator.normal(size=8) * 0.01, [score], [np.sqrt(1 - score**2)], np.zeros(6)])
    asked = []

    def encode(texts):
        asked.append(texts)
        return np.array([vectors[text] for text in texts], dtype=np.float32)

    columns = [[f"{side}{row}" for row in range(60)] for side in "ab"]
    quality = measure_quality(build_evaluator("scored_pairs", columns, scores), encode)
    values = {(size.width, size.precision): size.value for size in quality.sizes}
    assert len(asked) == 1, "the model is asked once for all sizes"
    assert values[16, "float32"] > 0.99 and values[16, "int8"] > 0.99
    assert abs(values[8, "float32"]) < 0.4, "the first half is noise"
    assert values[16, "binary"] < values[16, "int8"]


@pytest.fixture
def trained(home, tmp_path, tiny_bert, sentences):
    """A run that was really trained, by a process of its own, with texts cut shorter than its base would."""
    path = write_rows(
        tmp_path / "scored.csv",
        ("sentence1", "sentence2", "score"),
        [(f"{sentences[i % 200]} first {i}", f"{sentences[(i * 7) % 200]} second {i}", i % 6) for i in range(400)],
    )
    training = TrainingConfig(max_steps=2, batch_size=8, learning_rate=1e-3, device="cpu", precision="fp32", test_fraction=0.5)
    layers = (LayerSpec("transformer", {"max_seq_length": 9}), LayerSpec("pooling", {"pooling_mode": "mean"}))
    architecture = ArchitectureSpec((*layers, LayerSpec("dense", {"out_features": 16})))
    run = follow(submit(Recipe(str(tiny_bert), str(path), architecture, training=training), home).run_id, home)
    assert (run.status, run.message) == ("completed", "")
    return run


def test_the_process_gives_the_very_numbers_of_a_run(trained, home):
    """Exactly: the same texts are computed together, though they are more than the process encodes at once."""
    verdict = trained.verdict
    assert verdict["rows"] > 150 and verdict["before"] != verdict["after"]
    said = []

    def quality(model):
        said.clear()
        return encoder.quality(model, find_held_out(model, home), lambda model, stage: said.append(stage))

    with EncoderProcess(home) as encoder:
        tuned = quality(trained.run_id)
        assert {"stage": "measuring", "done": 5, "total": 6} in said and any(stage["stage"] == "encoding" for stage in said)
        base = quality(f"base:{trained.run_id}")
        assert (base.sizes[0].value, tuned.sizes[0].value) == (verdict["before"], verdict["after"])
        assert (base.sizes[0].width, tuned.sizes[0].width) == (32, 16)
        assert quality(trained.run_id) == tuned and said == [], "it is measured once"
        # The base is what it was: the run's limit is not left on it.
        long = "please check my router and the phone and the cable and the password"
        vectors = encoder.encode(f"base:{trained.run_id}", [long, f"{long} signal"])
        assert not np.allclose(vectors[0], vectors[1], atol=1e-4)


def test_where_there_are_no_rows_the_reason_is_said(home, add_run):
    assert "belongs to no run" in find_held_out("mini", home).words
    assert "There is no run" in find_held_out("20260101-000000-aaaa", home).words
    for model in (run_id := add_run("completed"), f"base:{run_id}"):
        found = find_held_out(model, home)
        assert found.folder is None and "it is completed" in found.words
    assert "has not ended" in find_held_out(add_run("running"), home).words
