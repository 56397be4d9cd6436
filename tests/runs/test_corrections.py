"""From the worst errors to a linked run on corrected rows."""

import csv
import dataclasses
import io

import pytest

from tests.finished import finish, read_jsonl, scored_run, write_rows
from workbench.data import open_dataset, open_splits
from workbench.errors import InputError, RunError
from workbench.models.kept import keep_model
from workbench.recipe import KINDS, Recipe, TrainingConfig
from workbench.runs import (
    correct_rows,
    delete_run,
    get_run,
    list_runs,
    metrics_records,
    read_errors,
    read_fixes,
    read_outcome,
    retrain,
    store,
    write_table,
)
from workbench.runs.corrections import measures_only, read_corrections
from workbench.runs.process import this_process
from workbench.runs.worker import execute

TRAINING = TrainingConfig(max_steps=2, batch_size=8, device="cpu", test_fraction=0.4, validation_fraction=0.2)


@pytest.fixture
def run(home, tmp_path, sentences):
    return scored_run(home, tmp_path, sentences)


def numbers(rows):
    return [row["row"] for row in rows]


def test_the_table_names_rows_of_the_data_set_on_its_scale(run, home):
    table = read_errors(run.run_id, home)
    stored = open_dataset(run.data, home).table()
    parts = open_splits(run.recipe(), home)
    assert sorted(numbers(table.rows)) == sorted(place + 1 for place in parts.test_rows)
    for row in table.rows:
        assert row["sentence1"] == stored["sentence1"][row["row"] - 1]
        assert float(row["value"]) == pytest.approx(5 * stored["score"][row["row"] - 1])
        assert row["change"] == pytest.approx(row["tuned"]["error"] - row["base"]["error"], abs=1e-5)
    assert table.columns == ["cosine", "error"] and table.fixable


def test_the_orders(run, home):
    table = read_errors(run.run_id, home)
    errors = [row["tuned"]["error"] for row in table.ordered("tuned")]
    assert errors == sorted(errors, reverse=True)
    changes = [row["change"] for row in table.ordered("worse")]
    assert changes == sorted(changes, reverse=True)
    assert [row["change"] for row in table.ordered("better")] == sorted(changes)
    assert numbers(table.ordered("row")) == sorted(numbers(table.rows))
    with pytest.raises(InputError, match="`sort` must be one of"):
        table.ordered("nothing")


def test_marks_are_kept_changed_and_taken_away(run, home):
    first, second, third = numbers(read_errors(run.run_id, home).rows)[:3]
    table = correct_rows(run.run_id, home, [(first, "fix", "2,5"), (second, "drop", None), (third, "review", None)])
    assert numbers(table.ordered("row", marked=True)) == sorted([first, second, third])
    assert {row["row"]: row["mark"] for row in table.rows if row["mark"]}[first] == {"action": "fix", "value": "2.5"}
    correct_rows(run.run_id, home, [(second, None, None), (third, "drop", None)])
    marks = read_corrections(run.run_id, home)
    assert {row: mark.action for row, mark in marks.items()} == {first: "fix", third: "drop"}


@pytest.mark.parametrize(
    ("action", "value", "message"),
    [
        ("fix", "6", "must be a number from 0 to 5, got '6'"),
        ("fix", "", "must be a number from 0 to 5"),
        ("fix", "nan", "must be a number"),
        ("burn", None, "`action` must be one of fix, drop, review, got 'burn'"),
    ],
)
def test_a_mark_that_cannot_be_says_why_and_sets_none(run, home, action, value, message):
    first, second = numbers(read_errors(run.run_id, home).rows)[:2]
    with pytest.raises(InputError, match=message):
        correct_rows(run.run_id, home, [(first, "drop", None), (second, action, value)])
    assert read_corrections(run.run_id, home) == {}


def test_a_row_that_is_trained_on_cannot_be_marked(run, home):
    stranger = min(set(range(1, 160)) - set(numbers(read_errors(run.run_id, home).rows)))
    with pytest.raises(InputError, match=f"Row {stranger} is not in the test part"):
        correct_rows(run.run_id, home, [(stranger, "drop", None)])


def test_retraining_corrects_the_data_keeps_the_split_and_links_the_runs(run, home):
    rows = read_errors(run.run_id, home).ordered("row")
    fixed, dropped, kept = rows[0], rows[1], rows[2]
    right = "0" if fixed["value"] != "0" else "5"
    correct_rows(run.run_id, home, [(fixed["row"], "fix", right), (dropped["row"], "drop", None), (kept["row"], "review", None)])
    child = retrain(run.run_id, home, start=False)
    assert (child.parent, child.status, child.name) == (run.run_id, "queued", "Finished, corrected")
    old, new = open_splits(run.recipe(), home), open_splits(child.recipe(), home)
    assert list(new.train["sentence1"]) == list(old.train["sentence1"])
    assert len(new.test) == len(old.test) - 1
    values = dict(zip(new.test["sentence2"], new.test["score"], strict=True))
    assert values[fixed["sentence2"]] == float(right) / 5
    assert dropped["sentence2"] not in values and kept["sentence2"] in values
    assert open_dataset(child.data, home).parent == run.data
    assert child.recipe().training == run.recipe().training and child.recipe().base == run.recipe().base
    below, above = read_outcome(run.run_id, home), read_outcome(child.run_id, home)
    assert [item["run_id"] for item in below["children"]] == [child.run_id] and below["parent"] is None
    assert above["parent"] == {"run_id": run.run_id, "name": "Finished", "status": "completed", "outcome": run.verdict["outcome"]}
    assert numbers(read_errors(run.run_id, home).rows) == numbers(rows), "the first run still shows what it measured"


def test_a_test_file_of_its_own_gets_the_new_version(home, tmp_path, sentences):
    held = write_rows(
        tmp_path / "held.csv",
        ("sentence1", "sentence2", "score"),
        [(f"{text} x", f"{text} y {i}", i % 6) for i, text in enumerate(sentences[:80])],
    )
    run = scored_run(home, tmp_path, sentences, test_data=str(held))
    table = read_errors(run.run_id, home)
    assert numbers(table.rows) == list(range(1, 81))
    correct_rows(run.run_id, home, [(1, "fix", "5"), (80, "drop", None)])
    child = retrain(run.run_id, home, start=False)
    assert child.data == run.data
    recipe = child.recipe()
    assert recipe.test_data != run.recipe().test_data
    stored = open_dataset(recipe.test_data, home)
    assert (stored.rows, stored.table()["score"][0], stored.score_scale) == (79, 1.0, (0.0, 5.0))


def test_nothing_to_retrain_with(run, home):
    row = numbers(read_errors(run.run_id, home).rows)[0]
    correct_rows(run.run_id, home, [(row, "review", None)])
    with pytest.raises(InputError, match=r"No row of run .* is marked to be fixed or dropped"):
        retrain(run.run_id, home, start=False)
    every = numbers(read_errors(run.run_id, home).rows)
    correct_rows(run.run_id, home, [(row, "drop", None) for row in every])
    with pytest.raises(InputError, match="nothing to measure on"):
        retrain(run.run_id, home, start=False)
    assert len(list_runs(home)) == 1


@pytest.mark.parametrize("kind", ["labelled_pairs", "class_pairs", "pairs", "triplets"])
def test_every_kind_has_a_table(kind, home, tmp_path, sentences):
    roles = KINDS[kind].roles
    labels = {"labelled_pairs": ("0", "1"), "class_pairs": ("near", "other", "far")}.get(kind, ())
    rows = []
    for index in range(180):
        texts = [f"{sentences[index]} {role} {index}" for role in KINDS[kind].texts]
        rows.append((*texts, labels[index % len(labels)]) if labels else tuple(texts))
    path = write_rows(tmp_path / "rows.csv", roles, rows)
    run = finish(Recipe("scratch", str(path), training=TRAINING, columns={role: role for role in roles}), home)
    table = read_errors(run.run_id, home)
    assert table.kind == kind and table.fixable == bool(labels)
    assert len(table.rows) == len(read_jsonl(run.folder / "evaluations" / "test_rows.jsonl")) > 20
    row = table.rows[0]
    if labels:
        assert row["value"] in labels
        correct_rows(run.run_id, home, [(row["row"], "fix", labels[0])])
        with pytest.raises(InputError, match="the label must be one of"):
            correct_rows(run.run_id, home, [(row["row"], "fix", "nonsense")])
    else:
        with pytest.raises(InputError, match="has no score or label to fix"):
            correct_rows(run.run_id, home, [(row["row"], "fix", "1")])
        correct_rows(run.run_id, home, [(row["row"], "drop", None)])
    child = retrain(run.run_id, home, start=False)
    parts = open_splits(child.recipe(), home)
    assert len(parts.test) == len(table.rows) - (not labels)
    if kind == "class_pairs":
        assert row["tuned"]["predicted"] in labels
        place = list(parts.test["sentence1"]).index(row["sentence1"])
        assert parts.classes[parts.test["label"][place]] == "near"
    found = read_outcome(run.run_id, home)
    assert (found["calibration"]["threshold"] is None) == (kind == "class_pairs")
    reason = found["calibration"]["no_threshold"]
    assert ("none of the classes far, near, other" in reason) if kind == "class_pairs" else reason == ""
    names = [group["name"] for group in found["calibration"]["distribution"]["groups"]]
    assert len(names) == (3 if kind == "class_pairs" else 2)
    counts = [sum(group["tuned"]) for group in found["calibration"]["distribution"]["groups"]]
    assert sum(counts) == len(table.rows) * (2 if kind in {"pairs", "triplets"} else 1)


def test_classes_of_which_one_says_match_have_a_threshold(home, tmp_path, sentences):
    labels = ("entailment", "neutral", "contradiction")
    rows = [
        (f"{text} first {i}", f"{text if i % 3 == 0 else i} second {i}", labels[i % 3]) for i, text in enumerate(sentences[:180])
    ]
    path = write_rows(tmp_path / "nli.csv", ("sentence1", "sentence2", "label"), rows)
    run = finish(Recipe("scratch", str(path), training=TRAINING), home)
    threshold = read_outcome(run.run_id, home)["calibration"]["threshold"]
    assert threshold["match"] == "class entailment" and threshold["no_match"] == "any other class (contradiction, neutral)"
    assert threshold["tuned"]["accuracy"] > 0.9, "only pairs of this class share their words"


def test_a_run_that_measured_nothing_says_so(home, add_run):
    run_id = add_run()
    with pytest.raises(RunError, match="has no table of errors: it has not ended"):
        read_errors(run_id, home)
    with pytest.raises(InputError, match="no run"):
        read_errors("20260101-000000-aaaa", home)
    found = read_outcome(run_id, home)
    assert found["verdict"] is None and found["calibration"] is None and not found["has_errors"]


def test_marks_go_with_their_run(run, home):
    row = numbers(read_errors(run.run_id, home).rows)[0]
    correct_rows(run.run_id, home, [(row, "drop", None)])
    child = retrain(run.run_id, home, start=False)
    delete_run(run.run_id, home)
    assert read_corrections(run.run_id, home) == {}
    assert read_outcome(child.run_id, home)["parent"] == {"run_id": run.run_id, "name": None, "status": "deleted", "outcome": None}
    assert get_run(child.run_id, home).parent == run.run_id


def test_a_table_goes_out_as_csv_and_comes_back_as_fixes(run, home, tmp_path):
    path = tmp_path / "errors.csv"
    table = read_errors(run.run_id, home)
    with path.open("w", encoding="utf-8", newline="") as stream:
        write_table(stream, table.records())
    with path.open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert numbers(table.ordered("tuned")) == [int(line["row"]) for line in lines]
    assert {"sentence1", "score", "base_cosine", "tuned_cosine", "base_error", "tuned_error", "change"} <= set(lines[0])
    assert read_fixes(path) == [], "nothing was filled in yet"
    lines[0] |= {"action": "fix", "value": "4"}
    lines[1] |= {"action": "drop"}
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, lines[0].keys())
        writer.writeheader()
        writer.writerows(lines)
    correct_rows(run.run_id, home, read_fixes(path))
    marks = read_corrections(run.run_id, home)
    assert {row: (mark.action, mark.value) for row, mark in marks.items()} == {
        int(lines[0]["row"]): ("fix", "4"),
        int(lines[1]["row"]): ("drop", None),
    }


def test_fixes_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_fixes(tmp_path / "nothing.csv")
    other = write_rows(tmp_path / "other.csv", ("a", "b"), [("1", "2")])
    with pytest.raises(InputError, match="need the columns row, action and value"):
        read_fixes(other)
    wrong = write_rows(tmp_path / "wrong.csv", ("row", "action", "value"), [("x", "drop", "")])
    with pytest.raises(InputError, match=r"Line 2 .*`row` must be a whole number, got 'x'"):
        read_fixes(wrong)


def test_no_text_becomes_a_formula(tmp_path):
    stream = io.StringIO()
    write_table(stream, [["=1+1", "@x", "+a", "-b", "-0.5", "plain", -0.5, "a=b"]])
    assert stream.getvalue().strip().split(",") == ["'=1+1", "'@x", "'+a", "'-b", "-0.5", "plain", "-0.5", "a=b"]
    fixes = write_rows(tmp_path / "fixes.csv", ("row", "action", "value"), [("1", "fix", "'=odd"), ("2", "fix", "'quoted'")])
    assert read_fixes(fixes) == [(1, "fix", "=odd"), (2, "fix", "'quoted'")]


def test_metrics_as_records(run):
    header, *records = metrics_records(run)
    assert header[0] == "metric"
    (primary,) = (record for record in records if record[0] == run.primary_metric)
    assert primary[1:3] == [run.verdict["before"], run.verdict["after"]]
    assert primary[4:] == run.verdict["interval"]
    assert primary[3] == pytest.approx(run.verdict["difference"])


@pytest.mark.parametrize("half", ['{"row": 3, "tun', "[" * 100_000, "7", '{"row": 3}'])
def test_a_half_written_test_row_is_said_in_words(half, run, home):
    run_id = run if isinstance(run, str) else run.run_id
    path = home / "runs" / run_id / "evaluations" / "test_rows.jsonl"
    path.write_text(path.read_text() + half)
    with pytest.raises(RunError, match=r"Line \d+ of the test rows of run .* is not whole"):
        read_errors(run_id, home)


def test_fixes_of_test_rows_measure_the_same_model_again_and_train_nothing(
    home, tmp_path, sentences, tiny_bert, connection, monkeypatch, capsys
):
    import torch

    from workbench.models import build_network

    run = scored_run(home, tmp_path, sentences, base=str(tiny_bert))
    assert not measures_only(run), "without a model there is nothing to measure"
    recipe = run.recipe()
    network, _ = build_network(recipe.base, recipe.architecture, home, (), 1, torch.device("cpu"))
    keep_model(run.folder, 2, network.save)
    table = read_errors(run.run_id, home)
    fixed, dropped = numbers(table.ordered("tuned"))[:2]
    correct_rows(
        run.run_id, home, [(fixed, "fix", "0" if table.ordered("tuned")[0]["value"] != "0" else "5"), (dropped, "drop", None)]
    )
    assert read_outcome(run.run_id, home)["measures_only"]
    child = retrain(run.run_id, home, start=False)
    assert (child.kind, child.parent) == ("measure", run.run_id)

    monkeypatch.setattr("workbench.training.run.SentenceTrainer.train", lambda self: pytest.fail("it was trained"))
    store.claim_oldest(connection, home, this_process())
    assert execute(child.run_id, home) == 0
    child = get_run(child.run_id, home)
    assert (child.status, child.step, child.verdict["rows"]) == ("completed", 0, len(table.rows) - 1)
    assert "nothing is trained" in capsys.readouterr().out
    assert (child.model_folder / "model.safetensors").read_bytes() == (run.model_folder / "model.safetensors").read_bytes()
    assert len(read_errors(child.run_id, home).rows) == len(table.rows) - 1


def test_a_verdict_by_cross_validation_takes_its_trainings_again(run):
    (run.folder / "model").mkdir()
    (run.folder / "model" / "modules.json").write_text("[]")
    assert measures_only(run)
    assert not measures_only(dataclasses.replace(run, verdict={**run.verdict, "method": "cross_validation"}))
