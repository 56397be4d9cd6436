"""The commands: exit codes, one sentence when something is wrong, JSON on the last line; and the whole way with a tiny encoder."""

import csv
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from workbench import cli
from workbench.cli import build_parser, main, parse_columns, parse_scale
from workbench.errors import ConfigError
from workbench.recipe import Recipe, TrainingConfig, suggest_training

Run = Callable[..., tuple[int, dict, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command with --json in this process; returns exit code, the JSON and what was said on stderr."""

    def command(*words: object) -> tuple[int, dict, str]:
        capsys.readouterr()
        code = main([*map(str, words), "--json"])
        printed = capsys.readouterr()
        return code, json.loads(printed.out.strip().splitlines()[-1]), printed.err

    return command


@pytest.fixture
def data(tmp_path: Path, sentences: list[str]) -> Path:
    path = tmp_path / "pairs.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["sentence1", "sentence2", "score"])
        writer.writerows([sentences[index], sentences[index + 100], index % 6] for index in range(100))
    return path


def test_the_whole_way(run: Run, data: Path, tiny_bert: Path, home: Path, tmp_path: Path) -> None:
    words = [
        "--layers",
        "pooling:mean,dense:16:tanh",
        "--epochs",
        "1",
        "--batch-size",
        "16",
        "--test-fraction",
        "0.5",
        "--device",
        "cpu",
    ]
    code, trained, said = run("train", data, "--base", tiny_bert, *words, "--output", tmp_path / "out")
    assert code == 0, said
    assert trained["status"] == "completed" and trained["steps"] == 3 and trained["primary_metric"] == "spearman_cosine"
    assert set(trained["metrics"]) == {"before", "after"} and trained["padding_fraction"] == 0.0
    assert set(trained["verdict"]) == {
        "outcome",
        "metric",
        "before",
        "after",
        "difference",
        "interval",
        "rows",
        "sentence",
        "method",
    }
    assert trained["verdict"]["rows"] == 50 and "step 3: spearman_cosine " in said
    assert "it/s" not in said and "\r" not in said, "a bar is for a terminal"
    assert (tmp_path / "out" / "modules.json").is_file()
    assert not list((tmp_path / "out").rglob("*.bin"))

    code, listed, _ = run("runs", "list")
    (entry,) = listed["runs"]
    assert code == 0 and set(entry) == {"run_id", "name", "kind", "status", "created", "metrics"}
    run_id = trained["run_id"]
    assert run("runs", "show", run_id)[1]["status"] == "completed"

    code, matrix, _ = run("similarity", run_id, "pay it", "move it", "pay it")
    assert code == 0 and matrix["matrix"][0][2] == pytest.approx(1.0, abs=1e-6) and len(matrix["texts"]) == 3

    code, measured, said = run("evaluate", tmp_path / "out", data, "--against", tiny_bert)
    assert code == 0 and measured["rows"] == 100 and "spearman_cosine" in measured["metrics"]
    assert measured["verdict"]["outcome"] in {"better", "worse", "no_clear_difference"}

    (tmp_path / "texts.txt").write_text("pay it\nmove it\n", encoding="utf-8")
    code, encoded, _ = run("encode", run_id, tmp_path / "texts.txt", "--output", tmp_path / "v.npy", "--normalize")
    vectors = np.load(tmp_path / "v.npy")
    assert code == 0 and vectors.shape == (2, 16) == (encoded["rows"], encoded["width"])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    run("encode", run_id, data, "--column", "sentence1", "--output", tmp_path / "c.npy")
    assert np.load(tmp_path / "c.npy").shape == (100, 16)

    code, sizes, said = run("sizes", run_id)
    assert code == 0 and sizes["metric"] == "spearman_cosine" and sizes["rows"] == 50
    assert (sizes["sizes"][0]["value"], sizes["base"]) == (trained["verdict"]["after"], trained["verdict"]["before"])
    assert [(size["width"], size["precision"], size["bytes"]) for size in sizes["sizes"][:4]] == [
        (16, "float32", 64),
        (16, "int8", 16),
        (16, "binary", 2),
        (8, "float32", 32),
    ]
    assert "on 50 test rows of the run" in said and f"the base's full vectors have {sizes['base']:.4f}" in said
    assert run("sizes", f"base:{run_id}")[1]["sizes"][0]["value"] == trained["verdict"]["before"]
    code, sizes, _ = run("sizes", run_id, "--data", data)
    assert code == 0 and sizes["rows"] == 100 and sizes["base"] is None
    assert sizes["sizes"][0]["value"] == pytest.approx(measured["metrics"]["spearman_cosine"], abs=1e-4)

    code, script, _ = run("script", run_id, "--data", tmp_path / "parts")
    assert code == 0
    compile(script["program"], "program.py", "exec")
    assert "models.Dense(width, 16" in script["program"] and (tmp_path / "parts" / "train.csv").is_file()

    recipe = home / "runs" / run_id / "recipe.json"
    code, again, said = run("train", "--recipe", recipe, "--max-steps", "1", "--name", "again")
    assert code == 0 and again["steps"] == 1, said
    assert run("runs", "rename", run_id, "--name", "first")[1]["name"] == "first"
    assert run("runs", "delete", run_id)[1]["deleted"] is True
    assert [entry["name"] for entry in run("runs", "list")[1]["runs"]] == ["again"]


LONG = "please check my router and pay my invoice and move the phone and reset the password " * 5
KOREAN = [
    "무선 네트워크 비밀번호를 어떻게 바꾸나요",
    "기사님이 오지 않았어요",
    "요금이 너무 많이 나왔습니다",
    "계약을 해지하고 싶어요",
]


def test_what_is_not_read_is_said_and_counted(run: Run, tiny_bert: Path, tmp_path: Path) -> None:
    ends = [LONG + "cancel the contract", LONG + "upgrade the cable", "pay my invoice"]
    code, answer, said = run("similarity", tiny_bert, *ends)
    assert code == 0 and answer["matrix"][0][1] == pytest.approx(1.0, abs=1e-5)
    assert answer["read_alike"] == [[0, 1]] and answer["tokens"]["cut_texts"] == 2 and answer["tokens"]["limit"] == 64
    assert [text["read"] for text in answer["tokens_by_text"][:2]] == [64, 64] and answer["tokens_by_text"][2]["cut"] == 0
    assert "2 of 3 texts are cut off after the 64 tokens" in said
    assert "texts 1 and 2 differ, but not in what the model reads of them" in said
    assert run("similarity", tiny_bert, "pay it", "Pay it ")[1]["read_alike"] == []

    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(ends), encoding="utf-8")
    _, answer, said = run("encode", tiny_bert, texts, "--output", tmp_path / "v.npy")
    assert answer["tokens"]["cut_texts"] == 2 and "2 of 3 texts are cut off" in said
    _, answer, said = run("search", tiny_bert, texts, "pay")
    assert answer["tokens"]["cut_texts"] == 2 and answer["tokens"]["texts"] == 4 and "2 of 4 texts are cut off" in said
    _, answer, said = run("similarity", "mini", "cancel my contract", "please terminate everything")
    assert answer["tokens"]["cut_texts"] == 0 and answer["tokens"]["unknown_tokens"] == 0 and said == ""


def test_texts_the_encoder_was_not_made_for_are_said_before_start(
    run: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "korean.csv"
    rows = [f"{KOREAN[row % 4]} {row},{KOREAN[(row + 1) % 4]} {row},{row % 6}" for row in range(60)]
    data.write_text("\n".join(["sentence1,sentence2,score", *rows]), encoding="utf-8")
    code, answer, _ = run("check", data)
    assert code == 0 and answer["reading"]["base"] == "mini" and answer["reading"]["unknown_share"] > 0.5
    assert [item["kind"] for item in answer["reading"]["findings"]] == ["unknown", "foreign"]
    assert main(["check", str(data)]) == 0
    printed = capsys.readouterr().out
    assert "unknown to `mini`" in printed and "paraphrase-multilingual-MiniLM-L12-v2" in printed and "`--base MODEL`" in printed
    assert run("check", data, "--base", "./nowhere")[0] == 2
    assert run("check", data, "--base", "scratch")[1]["reading"] is None, "it learns its tokens from the texts"

    monkeypatch.setattr(cli, "_finish_train", lambda options, run, output: (0, {"run_id": run.run_id}))
    monkeypatch.setattr("workbench.runs.submission.ensure_supervisor", lambda home: None)
    code, _, said = run("train", data, "--base", "mini")
    assert code == 0 and "unknown to `mini`" in said and "was not made for" in said
    assert "was not made for" not in run("train", data, "--base", "scratch")[2]


def test_search(run: Run, data: Path, tiny_bert: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("please check my router\n\nplease pay my invoice\nplease check my router\nmove the phone\n", encoding="utf-8")
    code, found, _ = run("search", tiny_bert, texts, "please pay my invoice", "--k", 2)
    assert code == 0 and found["rows"] == 3 and found["query"] == "please pay my invoice"
    assert [hit["rank"] for hit in found["results"]] == [1, 2]
    assert found["results"][0]["text"] == "please pay my invoice" and found["results"][0]["score"] == pytest.approx(1, abs=1e-5)
    assert found["results"][1]["score"] < 0.99999
    assert run("search", tiny_bert, data, "pay", "--column", "sentence2", "--k", 500)[1]["rows"] == 100
    assert main(["search", str(tiny_bert), str(texts), "move the phone", "--k", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["1", "1.000", "move", "the", "phone"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["search", "BASE", "DATA", "pay", "--k", "0"], "`--k` must be a whole number from 1"),
        (["search", "BASE", "DATA", " "], "query is empty"),
        (["search", "BASE", "DATA", "pay", "--column", "nothing"], "has no column 'nothing'"),
        (["sizes", "BASE"], "needs `--data DATA`"),
        (["sizes", "20200101-000000-aaaa"], "There is no run 20200101-000000-aaaa"),
        (["sizes", "scratch", "--data", "DATA"], "no weights before it is trained"),
        (["train"], "needs DATA"),
        (["train", "DATA"], "needs `--base"),
        (["train", "DATA", "--base", "./nowhere"], "no base model './nowhere'"),
        (["train", "DATA", "--base", "someone/model"], "Hub cannot be reached"),
        (["train", "nothing.csv", "--base", "BASE"], "There is no file"),
        (["train", "EMPTY", "--base", "BASE"], "is empty"),
        (["train", "ONE", "--base", "BASE"], "only one column"),
        (
            ["train", "WORDS", "--base", "BASE", "--columns", "sentence1=sentence1,sentence2=sentence2,score=score"],
            "a score is a number",
        ),
        (["train", "DATA", "--base", "BASE", "--layers", "dense:16"], "put a Pooling layer between"),
        (["train", "DATA", "--base", "BASE", "--layers", "pooling:middle"], "one or several different ones of cls"),
        (["train", "DATA", "--base", "BASE", "--loss", "TripletLoss"], "trains on triplets"),
        (["train", "DATA", "--base", "BASE", "--loss", "Magic"], "no loss 'Magic'"),
        (["train", "DATA", "--base", "BASE", "--epochs", "many"], "`--epochs` must be a number"),
        (["train", "DATA", "--base", "BASE", "--device", "gpu"], "`device` must be"),
        (["train", "DATA", "--base", "BASE", "--max-seq-length", "9999"], "takes 64 at most"),
        (["train", "DATA", "--base", "BASE", "--columns", "a"], "--columns"),
        (["train", "DATA", "--base", "BASE", "--score-scale", "five"], "LOW-HIGH"),
        (["train", "--recipe", "nothing.json"], "cannot be read"),
        (["train", "DATA", "--base", "BASE", "--output", "FULL"], "not empty"),
        (["evaluate", "scratch", "DATA"], "no weights before it is trained"),
        (["evaluate", "BASE", "nothing.csv"], "There is no file"),
        (["similarity", "20200101-000000-aaaa", "a"], "20200101-000000-aaaa"),
        (["encode", "BASE", "DATA", "--output", "no/folder/v.npy"], "there is no folder"),
        (["encode", "BASE", "DATA", "--column", "text", "--output", "v.npy"], "no column 'text'"),
        (["runs", "show"], "needs a RUN_ID"),
        (["runs", "stop", "20200101-000000-aaaa"], "20200101-000000-aaaa"),
        (["runs", "show", "../../etc"], "etc"),
        (["script", "20200101-000000-aaaa"], "20200101-000000-aaaa"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(
    words: list[str],
    sentence: str,
    run: Run,
    data: Path,
    tiny_bert: Path,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "one.csv").write_text("text\nhello there\nhow are you\n")
    lines = "\n".join(f"first text {index},second text {index},alike" for index in range(20))
    (tmp_path / "words.csv").write_text(f"sentence1,sentence2,score\n{lines}\n")
    names = {
        "DATA": data,
        "BASE": tiny_bert,
        "EMPTY": "empty.csv",
        "ONE": "one.csv",
        "WORDS": "words.csv",
        "FULL": tiny_bert,
    }
    code, answer, said = run(*[names.get(word, word) for word in words])
    assert code == 2
    assert sentence in answer["error"] and sentence in said
    assert "Traceback" not in said and len(said.strip().splitlines()) == 1
    assert not (home / "runs").exists() or not list((home / "runs").iterdir()), "nothing was queued"


@pytest.mark.parametrize("words", [["nothing"], [], ["train", "--speed", "9"], ["runs", "explode"]])
def test_wrong_options_are_one_sentence_too(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) == 1 and "--help" in said


def test_check(run: Run, data: Path, tmp_path: Path) -> None:
    code, report, _ = run("check", data)
    assert code == 0 and report["usable"] and (report["rows"], report["kind"]) == (100, "scored_pairs")
    (tmp_path / "bad.csv").write_text("a\n1\n")
    code, report, _ = run("check", tmp_path / "bad.csv", "--full")
    assert code == 2 and not report["usable"] and report["issues"][0]["severity"] == "error"


def test_dry_pass(run: Run, data: Path, tiny_bert: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["dry-pass", data, "--base", tiny_bert, "--layers", "pooling:mean,dense:16", "--max-seq-length", "8"]
    code, answer, _ = run(*words)
    assert code == 0
    assert [layer["title"] for layer in answer["layers"]] == ["Transformer", "Pooling", "Dense"]
    assert answer["layers"][-1]["shape"] == [6, 16]
    assert answer["findings"][0]["severity"] == "warning"
    assert answer["tokens"]["limit"] == 8 and answer["tokens"]["cut_texts"] > 0 and "counts" not in answer
    assert not (home / "datasets").exists() and not (home / "runs").exists()
    assert main([str(word) for word in words]) == 0
    printed = capsys.readouterr().out
    assert "6 x 16" in printed and "warning: " in printed and "cosine of sentence1 and sentence2" in printed
    code, answer, said = run("dry-pass", data, "--base", tiny_bert, "--layers", "dense:16")
    assert code == 2 and "put a Pooling layer between" in said


def test_doctor(run: Run, home: Path) -> None:
    code, answer, _ = run("doctor")
    assert code == 0 and answer["versions"]["torch"] and answer["devices"][0]["name"] == "cpu"
    assert "scratch" in answer["bases"] and answer["home"]["path"] == str(home.resolve())
    assert answer["tokens"] == {"path": str(home.resolve() / "tokens"), "data_sets": 0, "mib": 0}


@pytest.mark.parametrize("fast", [True, False])
def test_doctor_says_whether_the_cpu_computes_bf16(fast: bool, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: fast)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert ("fast bf16" in run("doctor")[1]["devices"][0]["description"]) == fast


def test_every_command_takes_home_and_json() -> None:
    import argparse

    (commands,) = (action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction))
    for name, parser in commands.choices.items():
        options = {option for action in parser._actions for option in action.option_strings}
        assert {"--home", "--json"} <= options, name


def test_columns_and_scales() -> None:
    assert parse_columns("sentence1=a, sentence2 = b c,score=d") == {"sentence1": "a", "sentence2": "b c", "score": "d"}
    assert parse_scale("1-5") == (1, 5) and parse_scale("-1-1") == (-1, 1) and parse_scale(None) is None
    with pytest.raises(ConfigError):
        parse_scale("5")


def parsed(*words: object) -> Recipe:
    return cli._recipe(build_parser().parse_args([*map(str, words)]))


def test_a_file_names_the_sentences_to_watch(data: Path, tmp_path: Path) -> None:
    (tmp_path / "watch.txt").write_text("größer\n\nkleiner\n", encoding="utf-8")
    recipe = parsed("train", data, "--base", "scratch", "--watch", tmp_path / "watch.txt")
    assert recipe.watch == ("größer", "kleiner")
    (tmp_path / "recipe.json").write_text(recipe.to_json(), encoding="utf-8")
    assert parsed("train", "--recipe", tmp_path / "recipe.json").watch == recipe.watch
    assert parsed("train", data, "--base", "scratch").watch == ()


def test_settings_are_suggested_when_asked_for_and_what_is_given_stays(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("train", data, "--base", "scratch", "--epochs", "2")
    assert parsed(*words).training == TrainingConfig(epochs=2)
    suggestion = suggest_training("scored_pairs", 75)
    recipe = parsed(*words, "--suggest")
    assert recipe.training == TrainingConfig(**{**suggestion.values(), "epochs": 2})
    assert recipe.training.batch_size != TrainingConfig().batch_size
    said = capsys.readouterr().err
    assert "Suggested for 75 training rows: --batch-size 8" in said and "--epochs" not in said


def test_a_mistake_of_ours_is_a_sentence_and_a_log(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import workbench.doctor

    def broken(home: Path) -> dict:
        raise KeyError("oops")

    monkeypatch.setattr(workbench.doctor, "examine", broken)
    code, answer, said = run("doctor")
    assert code == 1 and "made a mistake" in answer["error"] and "Traceback" not in said
    assert "Traceback" in (home / "errors.log").read_text()


def test_a_port_in_use_is_one_sentence(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        words = [sys.executable, "app.py", "--port", str(taken.getsockname()[1]), "--home", str(home)]
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[1], env=os.environ.copy()
        )
    assert done.returncode == 2
    assert "--port" in done.stderr and "Traceback" not in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_a_public_address_needs_a_password(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    code, answer, _ = run("ui", "--host", "0.0.0.0")
    assert code == 2 and "--auth USER:PASSWORD" in answer["error"]
    code, answer, _ = run("ui", "--auth", "nopassword")
    assert code == 2 and "USER:PASSWORD" in answer["error"]


def test_errors_are_listed_fixed_and_trained_with_again(
    run: Run, home: Path, tmp_path: Path, sentences: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.finished import scored_run
    from workbench.runs import list_runs, request_stop

    first = scored_run(home, tmp_path, sentences)
    code, shown, said = run("runs", "errors", first.run_id, "--sort", "worse")
    assert code == 0 and len(shown["errors"]) == 20 < shown["rows"] and "share of all test rows" in said
    changes = [row["change"] for row in shown["errors"]]
    assert changes == sorted(changes, reverse=True)
    table = tmp_path / "errors.csv"
    code, written, _ = run("runs", "errors", first.run_id, "--csv", table)
    assert code == 0 and written["output"] == str(table)
    with table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == written["rows"]
    rows[0]["action"], rows[1]["action"], rows[1]["value"] = "drop", "fix", "3.5"
    with table.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    code, marked, _ = run("runs", "fix", first.run_id, "--fixes", table)
    assert code == 0 and marked["marks"] == {"fix": 1, "drop": 1, "review": 0}
    assert run("runs", "fix", first.run_id)[0] == 2
    assert run("runs", "fix", first.run_id, "--fixes", tmp_path / "none.csv")[0] == 2

    # What follows the queuing is that of `train`; here the run is stopped before it starts.
    def stop_at_once(folder: Path) -> None:
        for queued in list_runs(folder):
            if queued.status == "queued":
                request_stop(queued.run_id, folder)

    monkeypatch.setattr("workbench.runs.submission.ensure_supervisor", stop_at_once)
    monkeypatch.setattr("workbench.runs.history.ensure_supervisor", lambda folder: None)
    code, ended, said = run("runs", "retrain", first.run_id)
    assert code == 130 and ended["status"] == "stopped" and "another measurement" in said
    newest = list_runs(home)[0]
    assert newest.run_id == ended["run_id"] and newest.parent == first.run_id
