"""A whole run with a tiny encoder: what it tells, what it keeps, what it refuses."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from datasets.arrow_dataset import Column

from workbench.data import texts as texts_module
from workbench.errors import ConfigError, RunError
from workbench.models import SentenceTransformer
from workbench.recipe import (
    KINDS,
    LOSSES,
    ArchitectureSpec,
    LayerSpec,
    LossSpec,
    Recipe,
    TrainingConfig,
    default_loss,
    parse_layers,
)
from workbench.training import run as run_module
from workbench.training import run_training
from workbench.training.precision import Precision, choose_precision


@dataclasses.dataclass(frozen=True)
class GivenSplits:
    """The fields of `workbench.data.Splits` that a run reads."""

    kind: str
    train: Dataset
    validation: Dataset | None
    test: Dataset | None
    classes: tuple[str, ...] = ()
    leaking: bool = False
    notes: tuple[str, ...] = ("A note on the data.",)
    test_rows: np.ndarray | None = None

    @property
    def test_groups(self) -> np.ndarray | None:
        return None if self.test is None else np.arange(len(self.test))


class Recorder:
    """A listener that keeps everything, and asks for a stop after some steps."""

    def __init__(self, stop_after: int | None = None, keep: str = "best") -> None:
        self.messages: list[str] = []
        self.started: tuple[int, str, Mapping[str, Any]] | None = None
        self.train: list[Mapping[str, Any]] = []
        self.evaluations: list[Mapping[str, Any]] = []
        self.steps: list[int] = []
        self.folds: list[tuple[int, int]] = []
        self.pulses = 0
        self._stop_after, self._keep = stop_after, keep

    def on_message(self, text: str) -> None:
        self.messages.append(text)

    def on_start(self, total_steps: int, device: str, facts: Mapping[str, Any]) -> None:
        self.started = total_steps, device, facts

    def on_train(self, point: Mapping[str, Any]) -> None:
        self.train.append(point)

    def on_evaluation(self, point: Mapping[str, Any]) -> None:
        self.evaluations.append(point)

    def on_progress(self, step: int, total_steps: int, epoch: float, pairs_per_second: float, seconds: float) -> None:
        self.steps.append(step)

    def on_cross_validation(self, done: int, total: int) -> None:
        self.folds.append((done, total))

    def on_pulse(self) -> None:
        self.pulses += 1

    def stop_requested(self) -> str | None:
        return self._keep if self._stop_after is not None and len(self.steps) >= self._stop_after else None


def make_part(kind: str, sentences: list[str], rows: int, seed: int) -> Dataset:
    generator = np.random.default_rng(seed)
    columns = {role: [sentences[index] for index in generator.integers(0, len(sentences), rows)] for role in KINDS[kind].texts}
    if kind == "scored_pairs":
        words = [set(a.split()) & set(b.split()) for a, b in zip(*columns.values(), strict=True)]
        columns["score"] = [min(1.0, len(shared) / 6) for shared in words]
    elif KINDS[kind].label:
        columns["label"] = generator.integers(0, 3 if kind == "class_pairs" else 2, rows).tolist()
    return Dataset.from_dict(columns)


def make_parts(kind: str, sentences: list[str], rows: int = 48) -> GivenSplits:
    classes = ("a", "b", "c") if kind == "class_pairs" else ("0", "1") if kind == "labelled_pairs" else ()
    return GivenSplits(
        kind, *(make_part(kind, sentences, count, seed) for seed, count in enumerate((rows, 32, 60))), classes=classes
    )


def recipe(
    base: Path | str, kind: str = "scored_pairs", layers: str = "pooling", loss: LossSpec | None = None, **training: Any
) -> Recipe:
    settings = {"epochs": 1, "batch_size": 8, "learning_rate": 1e-3, "device": "cpu", **training}
    architecture = ArchitectureSpec((LayerSpec("transformer"), *parse_layers(layers)))
    return Recipe(str(base), "data", architecture, loss or default_loss(kind), training=TrainingConfig(**settings))


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_trains_on_every_kind_it_names(
    name: str, tiny_bert: Path, sentences: list[str], home: Path, tmp_path: Path
) -> None:
    for kind in LOSSES[name].kinds:
        listener = Recorder()
        given = make_parts(kind, sentences)
        result = run_training(recipe(tiny_bert, kind, loss=LossSpec(name)), given, home, tmp_path / kind, listener)  # type: ignore[arg-type]
        assert result.status == "completed" and result.steps >= 6
        assert result.primary_metric == KINDS[kind].primary_metric
        assert result.metrics["before"] is not None and result.metrics["after"] is not None
        assert result.verdict["outcome"] != "not_judged" and result.verdict["rows"] == 60
        assert all(np.isfinite(point["loss"]) for point in listener.train)
        assert len(listener.train) == result.steps


def test_what_a_run_tells_and_leaves(tiny_bert: Path, sentences: list[str], home: Path, tmp_path: Path) -> None:
    listener, folder = Recorder(), tmp_path / "run"  # the home lies in the test's folder too
    settings = recipe(tiny_bert, epochs=2).replace(watch=("pay my invoice", "please repair my router"))
    result = run_training(settings, make_parts("scored_pairs", sentences), home, folder, listener)  # type: ignore[arg-type]
    assert listener.started is not None
    total, device, facts = listener.started
    assert (total, device, facts["rows"], facts["validation_rows"], facts["test_rows"]) == (12, "cpu", 48, 32, 60)
    assert listener.steps == list(range(1, 13))
    assert listener.evaluations[0]["step"] == 0 and listener.evaluations[-1]["step"] == 12
    assert facts["kind"] == "scored_pairs"
    sides = [point["cosine"] for point in listener.evaluations]
    assert all(sum(side["positive"]) + sum(side["negative"]) == 32 for side in sides)
    assert sides[0] != sides[-1], "training moves the cosines"
    watched = [json.loads(line) for line in (folder / "evaluations" / "watch.jsonl").read_text().splitlines()]
    assert [line["step"] for line in watched] == [point["step"] for point in listener.evaluations]
    assert watched[0]["matrix"] != watched[-1]["matrix"]
    assert facts["baseline"] == listener.evaluations[0]["value"], "the stack is the base's own, so both start alike"
    assert listener.messages[0] == "A note on the data."
    best = [point["step"] for point in listener.evaluations if point["best"]][-1]
    assert result.best_step == best
    values = [point["value"] for point in listener.evaluations]
    assert listener.evaluations[[point["step"] for point in listener.evaluations].index(best)]["value"] == max(values)
    assert result.padding_fraction == 0.0 and result.pairs_per_second > 0
    model = SentenceTransformer(folder / "model", device="cpu")
    assert model.encode("pay it").shape == (32,)
    saved = json.loads((folder / "evaluations" / "verdict.json").read_text())
    assert saved == json.loads(json.dumps(result.to_dict()["verdict"]))
    assert sorted(item.name for item in folder.iterdir()) == ["evaluations", "model", "models"]
    rates = [point["learning_rate"] for point in listener.train]
    assert max(rates) == pytest.approx(1e-3, rel=0.2) and rates[-1] < rates[3]


def test_a_second_run_tokenises_nothing(tiny_bert: Path, sentences: list[str], home: Path, tmp_path: Path) -> None:
    listeners = Recorder(), Recorder()
    for name, listener in zip(("one", "two"), listeners, strict=True):
        run_training(recipe(tiny_bert), make_parts("scored_pairs", sentences), home, tmp_path / name, listener)  # type: ignore[arg-type]
    told = [[message for message in listener.messages if "tokenised" in message] for listener in listeners]
    assert told[0] == [] and len(told[1]) == 1
    assert listeners[0].train == listeners[1].train


def test_a_large_validation_part_is_measured_in_part(
    tiny_bert: Path, sentences: list[str], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "_COMPARED_ROWS", 10)
    listener = Recorder()
    result = run_training(recipe(tiny_bert), make_parts("scored_pairs", sentences), home, tmp_path / "run", listener)  # type: ignore[arg-type]
    assert "Steps are compared on 10 of the 32 validation rows." in listener.messages
    assert listener.started is not None and listener.started[2]["validation_rows"] == 10
    assert result.verdict["rows"] == 60, "the verdict looks at all rows"


def test_training_texts_are_never_listed(
    tiny_bert: Path, sentences: list[str], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts_module, "CHUNK", 8)
    # Of a large data set, too, only some texts are looked at for what the encoder does not read.
    monkeypatch.setattr(run_module, "spread_texts", lambda columns: texts_module.spread_texts(columns, 16))
    given = make_parts("scored_pairs", sentences)
    plain = Column.__getitem__

    def in_chunks(column: Column, key: Any) -> Any:
        read = plain(column, key)
        assert column.source is not given.train or len(read) <= 8, "read whole"
        return read

    monkeypatch.setattr(Column, "__getitem__", in_chunks)
    monkeypatch.setattr(Column, "__iter__", lambda _: pytest.fail("gone through row by row"))
    for base in (tiny_bert, "scratch"):
        result = run_training(recipe(base), given, home, tmp_path / Path(base).name, Recorder())  # type: ignore[arg-type]
        assert result.steps == 6


@pytest.mark.parametrize("keep", ["latest", "best", "none"])
def test_stopping_keeps_what_was_asked_for(keep: str, tiny_bert: Path, sentences: list[str], home: Path, tmp_path: Path) -> None:
    listener = Recorder(stop_after=5, keep=keep)
    settings = recipe(tiny_bert, epochs=9, eval_steps=2)
    result = run_training(settings, make_parts("scored_pairs", sentences), home, tmp_path, listener)  # type: ignore[arg-type]
    assert result.status == "stopped" and result.steps == 5
    if keep == "none":
        assert result.best_step is None and not (tmp_path / "model").exists()
        assert result.verdict["outcome"] == "not_judged" and result.metrics["after"] is None
    else:
        assert (tmp_path / "model" / "modules.json").is_file()
        assert result.best_step == 5 if keep == "latest" else result.best_step in {0, 2, 4}


def test_without_validation_the_last_and_without_test_no_verdict(
    tiny_bert: Path, sentences: list[str], home: Path, tmp_path: Path
) -> None:
    given = dataclasses.replace(make_parts("pairs", sentences), validation=None, test=None)
    result = run_training(recipe(tiny_bert, "pairs"), given, home, tmp_path, Recorder())  # type: ignore[arg-type]
    assert result.best_step == result.steps
    assert result.metrics == {"before": None, "after": None}
    assert "no test part" in result.verdict["sentence"]


def test_of_equal_validation_scores_the_earlier_step_is_kept(
    tiny_bert: Path, sentences: list[str], home: Path, tmp_path: Path
) -> None:
    listener = Recorder()
    still = recipe(tiny_bert, learning_rate=1e-8)
    result = run_training(still, make_parts("scored_pairs", sentences), home, tmp_path, listener)  # type: ignore[arg-type]
    assert len({point["value"] for point in listener.evaluations}) == 1 and len(listener.evaluations) > 2
    assert [point["step"] for point in listener.evaluations if point["best"]] == [0]
    assert result.best_step == 0 and not result.warnings


def test_a_validation_part_that_cannot_be_measured_picks_no_step(
    tiny_bert: Path, sentences: list[str], home: Path, tmp_path: Path
) -> None:
    given = make_parts("scored_pairs", sentences)
    assert given.validation is not None
    flat = given.validation.remove_columns("score").add_column("score", [0.5] * len(given.validation))
    listener = Recorder()
    parts = dataclasses.replace(given, validation=flat)
    result = run_training(recipe(tiny_bert), parts, home, tmp_path, listener)  # type: ignore[arg-type]
    assert listener.evaluations and not any(point["best"] for point in listener.evaluations)
    assert result.best_step == result.steps
    assert any("cannot be measured" in text for text in listener.messages)


@pytest.mark.parametrize("keep", [None, "best"])
def test_few_validation_rows_pick_no_step(
    keep: str | None, tiny_bert: Path, sentences: list[str], home: Path, tmp_path: Path
) -> None:
    given = make_parts("scored_pairs", sentences)
    assert given.validation is not None
    few = dataclasses.replace(given, validation=given.validation.select(range(29)))
    listener = Recorder() if keep is None else Recorder(stop_after=5, keep=keep)
    result = run_training(recipe(tiny_bert, eval_steps=2), few, home, tmp_path, listener)  # type: ignore[arg-type]
    assert listener.evaluations and not any(point["best"] for point in listener.evaluations)
    assert result.best_step == result.steps == (6 if keep is None else 5)
    (warning,) = result.warnings
    assert warning["kind"] == "few_validation_rows" and "has 29 rows, and under 30" in warning["message"]
    assert warning["message"] in listener.messages and f"Kept the model of step {result.steps}, the last one." in listener.messages


def test_what_the_encoder_does_not_read_is_a_warning(tiny_bert: Path) -> None:
    from workbench.training.tokens import Tokens

    model, told = SentenceTransformer(tiny_bert, device="cpu"), Recorder()
    texts = [
        ["please pay " * 100, "please pay the invoice"],
        ["무선 네트워크 비밀번호를 어떻게 바꾸나요", "기사님이 오지 않았어요"],
    ]
    found = run_module._not_read(model, texts, Tokens(model, texts), False, told)
    assert [warning["kind"] for warning in found] == ["cut_texts", "unknown_texts", "foreign_texts"]
    assert found[0]["message"].startswith("1 text is longer than the 64 tokens that are read")
    assert told.messages == [warning["message"] for warning in found]
    assert len(run_module._not_read(model, texts, Tokens(model, texts), True, told)) == 2, "what is learned is not foreign"


def test_a_leaking_split_gives_no_verdict(tiny_bert: Path, sentences: list[str], home: Path, tmp_path: Path) -> None:
    given = dataclasses.replace(make_parts("scored_pairs", sentences), leaking=True)
    result = run_training(recipe(tiny_bert), given, home, tmp_path, Recorder())  # type: ignore[arg-type]
    assert result.verdict["outcome"] == "not_judged" and "leaks" in result.verdict["sentence"]
    assert result.verdict["after"] is not None


def test_scratch_learns_its_word_pieces_and_leaves_its_base(sentences: list[str], home: Path, tmp_path: Path) -> None:
    results = []
    for name in ("one", "two"):
        results.append(run_training(recipe("scratch"), make_parts("scored_pairs", sentences), home, tmp_path / name, Recorder()))  # type: ignore[arg-type]
    assert results[0].metrics == results[1].metrics, "same seed, same result"
    base = SentenceTransformer(tmp_path / "one" / "base", device="cpu")
    tuned = SentenceTransformer(tmp_path / "one" / "model", device="cpu")
    assert base.tokenize(["router"]) == tuned.tokenize(["router"])


def test_the_baseline_is_the_base_as_it_comes_not_the_untrained_stack(
    tiny_bert: Path, sentences: list[str], home: Path, tmp_path: Path
) -> None:
    given = make_parts("scored_pairs", sentences)
    plain = run_training(recipe(tiny_bert, max_steps=1), given, home, tmp_path / "plain", Recorder())  # type: ignore[arg-type]
    dense = run_training(recipe(tiny_bert, layers="pooling:cls,dense:8", max_steps=1), given, home, tmp_path / "dense", Recorder())  # type: ignore[arg-type]
    assert dense.metrics["before"] == plain.metrics["before"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": "cuda"}, "asks for a CUDA GPU"),
        ({"device": "mps"}, "asks for an Apple GPU"),
        ({"device": "cpu", "precision": "fp16"}, "fp16 needs a CUDA GPU"),
    ],
)
def test_a_device_that_is_not_there(settings: dict, message: str) -> None:
    if settings == {"device": "cuda"} and torch.cuda.is_available():
        pytest.skip("this machine has a CUDA GPU")
    if settings["device"] == "mps" and torch.backends.mps.is_available():
        pytest.skip("this machine has an Apple GPU")
    with pytest.raises(ConfigError, match=message):
        run_module.choose_device(TrainingConfig(**settings))


def test_more_devices_than_the_run_can_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert run_module.choose_device(TrainingConfig(devices=2)) == torch.device("cuda:1")
    assert run_module.choose_device(TrainingConfig(devices=1)) == torch.device("cuda")
    assert run_module.choose_device(TrainingConfig(devices=3, device="cpu")) == torch.device("cpu")
    with pytest.raises(ConfigError, match=r"`devices` 3 asks for more GPUs than this run can see, which is 2; use as many"):
        run_module.choose_device(TrainingConfig(devices=3))


def test_the_clock_waits_for_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is still under way when a pause begins belongs to the time before it."""
    clock = [0.0]
    monkeypatch.setattr(run_module.time, "perf_counter", lambda: clock[0])
    pending = [0.0]

    def wait_for(device: torch.device) -> None:
        clock[0] += pending[0]
        pending[0] = 0.0

    monkeypatch.setattr(run_module, "wait_for", wait_for)
    watch = run_module._Stopwatch(torch.device("cuda"))
    pending[0] = 3.0
    with watch.paused():
        pending[0] = 10.0
    assert watch.seconds == 3.0
    pending[0] = 2.0
    assert watch.seconds == 3.0, "to read it in a step waits for nothing"
    assert watch.stop() == 5.0


@pytest.mark.parametrize(
    ("device", "total", "every"), [("cpu", 100, 1), ("cuda", 100, 10), ("cuda", 3, 3), ("cuda", 100_000, 50), ("cpu", 100_000, 50)]
)
def test_on_a_gpu_the_loss_is_fetched_now_and_then(device: str, total: int, every: int, tmp_path: Path) -> None:
    settings = TrainingConfig(), torch.device(device), Precision("fp32", "as asked for"), total, 1e-4
    arguments = run_module._arguments(*settings, "bert", tmp_path)
    assert arguments.logging_steps == every
    assert (arguments.ddp_find_unused_parameters, arguments.ddp_broadcast_buffers) == (False, False)
    assert run_module._arguments(*settings, "mpnet", tmp_path).ddp_find_unused_parameters


def test_too_little_memory_is_named_by_what_was_done(
    tiny_bert: Path, sentences: list[str], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_memory(*given: Any, **named: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(SentenceTransformer, "encode", out_of_memory)
    with pytest.raises(RunError, match=r"while a model on [\d,]+ rows that it does not train on was measured; shorten"):
        run_training(recipe(tiny_bert), make_parts("scored_pairs", sentences), home, tmp_path, Recorder())  # type: ignore[arg-type]


@pytest.mark.parametrize("number", ["nan", "inf"])  # what fp16 makes of too large a number
def test_a_loss_that_is_no_number_ends_the_run_in_words(
    number: str, tiny_bert: Path, sentences: list[str], home: Path, tmp_path: Path
) -> None:
    given = make_parts("scored_pairs", sentences)
    broken = given.train.map(lambda row: {"score": float(number)})
    settings = recipe(tiny_bert, loss=LossSpec("CosineSimilarityLoss"))
    with pytest.raises(RunError, match="no longer a number at step 1"):
        run_training(settings, dataclasses.replace(given, train=broken), home, tmp_path, Recorder())  # type: ignore[arg-type]


CHANGES = {
    "epochs": 2,
    "batch_size": 4,
    "learning_rate": 5e-4,
    "warmup_ratio": 0.5,
    "max_steps": 3,
    "eval_steps": 2,
    "weight_decay": 0.5,
    "max_grad_norm": 0.01,
    "micro_batch_size": 2,
    "precision": "fp32" if choose_precision("auto", torch.device("cpu"), 32).name == "bf16" else "bf16",
    "cuda_graphs": "on",
    "seed": 1,
}


def observe(tiny_bert: Path, sentences: list[str], home: Path, folder: Path, **settings: Any) -> str:
    listener = Recorder()
    run_training(recipe(tiny_bert, **settings), make_parts("scored_pairs", sentences), home, folder, listener)  # type: ignore[arg-type]
    weights = SentenceTransformer(folder / "model", device="cpu").encoder.auto_model.embeddings.word_embeddings.weight
    return json.dumps([listener.train, listener.evaluations, weights.double().sum().item()])


@pytest.fixture(scope="module")
def usual(tiny_bert: Path, sentences: list[str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a run with the usual settings tells, found out once."""
    folder = tmp_path_factory.mktemp("usual")
    return observe(tiny_bert, sentences, folder / "home", folder / "out")


def test_the_same_settings_give_the_same_run(usual: str, tiny_bert: Path, sentences: list[str], home: Path, tmp_path: Path) -> None:
    assert observe(tiny_bert, sentences, home, tmp_path / "again") == usual


@pytest.mark.parametrize("name", CHANGES)
def test_every_setting_does_something(
    name: str, usual: str, tiny_bert: Path, sentences: list[str], home: Path, tmp_path: Path
) -> None:
    assert observe(tiny_bert, sentences, home, tmp_path / "changed", **{name: CHANGES[name]}) != usual


def test_every_setting_is_tried_or_belongs_to_another_room() -> None:
    # The split, the verdict of small sets, the device, the supervisor.
    elsewhere = {"validation_fraction", "test_fraction", "cross_validation", "device", "devices"}
    assert set(CHANGES) | elsewhere == {field.name for field in dataclasses.fields(TrainingConfig)}
