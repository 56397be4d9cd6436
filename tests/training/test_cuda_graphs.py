"""Steps replayed from what was recorded train the same network, and whatever is in the way is said as text."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.gpu.test_run import base
from tests.models.test_families import family  # noqa: F401
from tests.training import test_run
from tests.training.recorded_steps import Recorder, Tape
from tests.training.test_trainer import losses, make_trainer
from workbench.losses import build_loss
from workbench.models import SentenceTransformer
from workbench.models.transformer import PACKED_FAMILIES
from workbench.recipe import LOSSES, LossSpec, TrainingConfig
from workbench.training import run_training
from workbench.training.batch import Batch, Collate
from workbench.training.bucketing import Buffers
from workbench.training.cuda_graphs import CudaRecorder, GraphedSteps, Trial, graph_steps
from workbench.training.distributed import ALONE, ProcessGroup
from workbench.training.embedding_rows import find_occurring_words
from workbench.training.tokens import Tokens
from workbench.training.trainer import TrainedNetwork

CPU = torch.device("cpu")
GRAPH = inspect.signature(torch.cuda.graph.__init__)


@pytest.fixture(scope="module")
def plain_bert(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without dropout, whose numbers depend on the sizes."""
    return base(tiny_bert, tmp_path_factory.mktemp("bases") / "plain", 0.0)


class Told(list[str]):
    """What was said."""

    def __call__(self, text: str) -> None:
        self.append(text)


def make_network(folder: Path, name: str, width: int = 32) -> TrainedNetwork:
    torch.manual_seed(0)
    return TrainedNetwork(SentenceTransformer(folder, device="cpu"), build_loss(LossSpec(name), width, 2), ALONE, None).train()


def make_graphs(network: TrainedNetwork, record: Recorder | None, **options: Any) -> GraphedSteps:
    return GraphedSteps(network.model, network, CPU, record, options.pop("tell", Told()), **options)


def trained(network: TrainedNetwork, batches: list[Batch], graphs: GraphedSteps | None) -> list[float]:
    """Return the losses of a few steps of gradient descent. What a batch was copied from is spoilt at once: nothing may read it any more."""
    optimizer = torch.optim.SGD([weight for weight in network.parameters() if weight.requires_grad], lr=0.05)
    found = []
    for batch in batches:
        optimizer.zero_grad()
        if graphs is None:
            value = network(batch)
            value.backward()
        else:
            bucketed = graphs.fill_up(batch)
            assert bucketed is not None
            fill = Buffers.fill

            def fill_and_spoil(self: Buffers, given: Any, fill: Callable[..., None] = fill) -> None:
                fill(self, given)
                given.numbers.fill_(10**9)
                if given.labels is not None:
                    given.labels.fill_(99)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Buffers, "fill", fill_and_spoil)
                value = graphs.step(network, bucketed)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        found.append(value.detach())
    return [value.item() for value in found]  # which later steps have not changed


def weights(network: TrainedNetwork) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in network.parameters()])


def make_batches(network: TrainedNetwork, name: str, sentences: list[str], count: int = 8) -> list[Batch]:
    kind = LOSSES[name].kinds[0]
    columns = [sentences[start : start + 120] for start in (0, 40, 80)][: 3 if kind == "triplets" else 2]
    labels = {"scored_pairs": np.random.default_rng(0).random(120), "triplets": None, "pairs": None}.get(kind, np.arange(120) % 2)
    collate = Collate(Tokens(network.model, columns), labels)
    return [collate(range(12 * number, 12 * number + 12)) for number in range(count)]


@pytest.mark.parametrize("name", LOSSES)
def test_replayed_steps_train_the_same_network(name: str, plain_bert: Path, sentences: list[str]) -> None:
    plain = make_network(plain_bert, name)
    start = weights(plain).clone()
    wanted = trained(plain, make_batches(plain, name, sentences), None)
    for recorder in (Recorder(), None):
        network = make_network(plain_bert, name)
        graphs = make_graphs(network, recorder, grain=512)
        assert trained(network, make_batches(network, name, sentences), graphs) == pytest.approx(wanted, abs=1e-4)
        assert float((weights(network) - weights(plain)).norm() / (weights(plain) - start).norm()) < 1e-3
        if recorder is not None:
            assert recorder.recorded == 1 and recorder.replayed == 6, "from the third time on"


@pytest.mark.parametrize("family", sorted(PACKED_FAMILIES), indirect=True)
def test_every_packed_family_is_replayed(family: tuple[str, Path], sentences: list[str]) -> None:  # noqa: F811
    told = []
    for recorder in (None, Recorder()):
        network = make_network(family[1], "CoSENTLoss").eval()  # without dropout
        graphs = None if recorder is None else make_graphs(network, recorder, grain=512)
        told.append(trained(network, make_batches(network, "CoSENTLoss", sentences, 5), graphs))
        if recorder is not None:
            assert recorder.replayed == 3 and graphs is not None
            ((bucket, recorded),) = graphs.buckets.items()
            assert recorded and any(shape[:1] == (bucket.tokens,) for shape in recorder.shapes)
            square = [shape for shape in recorder.shapes if shape[-2:] == (bucket.tokens, bucket.tokens)]
            assert square == [], "a mask of tokens by tokens would outgrow any memory"
    assert told[1] == pytest.approx(told[0], abs=1e-4)


def test_recorded_steps_take_turns(plain_bert: Path, sentences: list[str]) -> None:
    told = []
    for recorder in (None, Recorder()):
        network = make_network(plain_bert, "CoSENTLoss")
        collate = Collate(Tokens(network.model, [sentences[:100], sentences[100:]]), np.random.default_rng(0).random(100))
        batches = [collate(range(start, start + (5 if step % 2 else 8))) for step, start in enumerate(range(0, 80, 8))]
        graphs = None if recorder is None else make_graphs(network, recorder)
        told.append(trained(network, batches, graphs))
        if graphs is not None:
            assert list(graphs.buckets.values()) == [True, True]
    assert told[1] == pytest.approx(told[0], abs=1e-4)


def test_one_step_has_the_gradients_of_the_plain_one(plain_bert: Path, sentences: list[str]) -> None:
    network = make_network(plain_bert, "CoSENTLoss")
    batches = make_batches(network, "CoSENTLoss", sentences)
    graphs = make_graphs(network, Recorder(), grain=512)
    for number, batch in enumerate(batches[:5]):
        network(batch).backward()
        wanted = {name: weight.grad for name, weight in network.named_parameters()}
        gradient = weights_gradient(network)
        network.zero_grad()
        graphs.step(network, graphs.fill_up(batch))  # type: ignore[arg-type]
        for name, weight in network.named_parameters():
            if wanted[name] is None:
                assert weight.grad is None
            else:
                error = float((weight.grad - wanted[name]).norm() / gradient.norm())  # type: ignore[operator]
                assert error < 1e-5, (number, name)
        network.zero_grad()


def test_a_scale_multiplies_the_gradients_and_not_the_loss(plain_bert: Path, sentences: list[str]) -> None:
    network = make_network(plain_bert, "CoSENTLoss")
    graphs = make_graphs(network, Recorder(), grain=512)
    batch = make_batches(network, "CoSENTLoss", sentences)[0]
    told = []
    for scale in (None, 1.0, 4.0, 0.5):
        value = graphs.step(network, graphs.fill_up(batch), None if scale is None else torch.tensor(scale))  # type: ignore[arg-type]
        told.append((value.item(), weights_gradient(network)))
    assert len({value for value, _ in told}) == 1
    for (_, gradient), scale in zip(told, (1.0, 1.0, 4.0, 0.5), strict=True):
        assert torch.allclose(gradient, scale * told[0][1], rtol=1e-4, atol=1e-7)


def weights_gradient(network: TrainedNetwork) -> Tensor:
    return torch.cat([weight.grad.flatten() for weight in network.parameters() if weight.grad is not None])


def test_words_that_are_trained_alone(plain_bert: Path, sentences: list[str]) -> None:
    found = []
    for recorder in (None, Recorder()):
        torch.manual_seed(0)
        model = SentenceTransformer(plain_bert, device="cpu")
        tokens = Tokens(model, [sentences[:4] * 3, sentences[2:6] * 3])
        words = find_occurring_words(model, tokens, 0.0)
        assert words is not None
        network = TrainedNetwork(model, build_loss(LossSpec("CoSENTLoss"), 32, 0), ALONE, None, words).train()
        collate = Collate(tokens, np.linspace(0, 1, 12))
        graphs = None if recorder is None else make_graphs(network, recorder)
        with words.trained():
            trained(network, [collate(range(12)) for _ in range(5)], graphs)
            if graphs is not None:
                assert recorder is not None and recorder.replayed == 3 and words.weight.grad is not None
        found.append(model.encoder.auto_model.get_input_embeddings().weight.detach())
    start = SentenceTransformer(plain_bert, device="cpu").encoder.auto_model.get_input_embeddings().weight.detach()
    assert float((found[0] - found[1]).norm() / (found[0] - start).norm()) < 1e-3


def test_the_stand_in_reads_what_was_recorded_and_nothing_else() -> None:
    static, other = torch.zeros(3), torch.ones(3)
    result, picked = torch.zeros(3), [2.0]
    tape = Tape()
    with tape:
        result.copy_(static * 2 + other * picked[0])
    static, fresh = static.fill_(5.0), other
    other, picked = torch.full((3,), 100.0), [7.0]
    tape.replay()
    assert result.tolist() == [12.0] * 3, "the program's variables point elsewhere by now, which a graph does not notice"
    fresh.fill_(0.0)
    tape.replay()
    assert result.tolist() == [10.0] * 3
    with pytest.raises(RuntimeError, match="not permitted when stream is capturing"), Tape():
        static.sum().item()


def test_a_step_that_reads_another_batch_would_be_noticed(plain_bert: Path, sentences: list[str]) -> None:
    network = make_network(plain_bert, "CoSENTLoss")
    batches = make_batches(network, "CoSENTLoss", sentences)
    wanted = trained(make_network(plain_bert, "CoSENTLoss"), batches, None)
    forward, kept = network.forward, []

    def with_kept_labels(batch: Batch) -> Tensor:
        kept.append(batch.labels.clone())  # type: ignore[union-attr]
        return forward(Batch(batch.token_ids, batch.columns, kept[0], batch.features))

    network.forward = with_kept_labels  # type: ignore[method-assign]
    found = trained(network, batches, make_graphs(network, Recorder(), grain=512))
    assert max(abs(mine - other) for mine, other in zip(found, wanted, strict=True)) > 1e-3


def test_the_bucket_that_was_not_met_for_longest_goes(plain_bert: Path, sentences: list[str]) -> None:
    network = make_network(plain_bert, "CoSENTLoss")
    collate = Collate(Tokens(network.model, [sentences[:100], sentences[100:]]), np.linspace(0, 1, 100))
    sizes = {name: collate(range(rows)) for name, rows in (("a", 5), ("b", 6), ("c", 7))}
    recorder = Recorder()
    graphs = make_graphs(network, recorder, most=2)
    for name in "aaabbbac":
        trained(network, [sizes[name]], graphs)
    assert [bucket.rows for bucket in graphs.buckets] == [5, 7] and list(graphs.buckets.values()) == [True, False]
    assert recorder.recorded == 2
    trained(network, [sizes["b"]], graphs)
    assert [bucket.rows for bucket in graphs.buckets] == [7, 6] and recorder.recorded == 2
    graphs.release()
    assert graphs.buckets == {}
    trained(network, [sizes["c"]] * 3, graphs)
    assert recorder.recorded == 3


def test_a_step_that_cannot_be_recorded_runs_as_it_is(plain_bert: Path, sentences: list[str]) -> None:
    plain = make_network(plain_bert, "CoSENTLoss")
    wanted = trained(plain, make_batches(plain, "CoSENTLoss", sentences), None)
    network, told = make_network(plain_bert, "CoSENTLoss"), Told()
    forward = network.forward

    def looking(batch: Batch) -> Tensor:
        assert batch.labels is None or batch.labels.max().item() <= 1
        return forward(batch)

    network.forward = looking  # type: ignore[method-assign]
    recorder = Recorder()
    asked: list[float] = []
    graphs = make_graphs(network, recorder, grain=512, tell=told, trial=Trial(lambda: asked.append(0.0) or 0.0))  # type: ignore[func-returns-value]
    assert trained(network, make_batches(network, "CoSENTLoss", sentences), graphs) == pytest.approx(wanted, abs=1e-4)
    assert recorder.recorded == 0 and not graphs.wanted
    graphs.timed(make_batches(network, "CoSENTLoss", sentences, 1)[0], lambda: torch.zeros(()))
    assert asked == [], "nothing is left to be timed, and no step is waited for any more"
    assert len(told) == 1 and told[0].startswith(
        "CUDA graphs are left out from here on: a step could not be recorded (operation not permitted"
    )


@pytest.mark.parametrize(("plain", "graphed"), [(8.0, 3.0), (3.0, 8.0)])
def test_auto_times_steps_both_ways_and_says_what_it_chose(
    plain: float, graphed: float, plain_bert: Path, sentences: list[str], tmp_path: Path
) -> None:
    now, told = [0.0], Told()

    def pass_by(seconds: float) -> None:
        now[0] += seconds

    trainer, _ = make_trainer(plain_bert, sentences, tmp_path, False)
    trainer.args.num_train_epochs = 8
    network = trainer._network
    recorder = Recorder(lambda: pass_by(graphed / 1000), lambda: pass_by(100))
    trainer._graphs = make_graphs(network, recorder, tell=told, trial=Trial(lambda: now[0]))
    ways: list[str] = []
    run = trainer._forward_and_backward

    def noted(model: Any, batch: Any) -> Tensor:
        replayed = recorder.replayed
        pass_by(0 if not isinstance(batch, Batch) else plain / 1000)
        value = run(model, batch)
        ways.append("plain" if isinstance(batch, Batch) else "graph" if recorder.replayed > replayed else "bucket")
        return value

    trainer._forward_and_backward = noted  # type: ignore[method-assign]
    trainer.train()
    verb, last = ("used", "graph") if graphed < plain else ("left out", "plain")
    assert told == [
        f"CUDA graphs are {verb}: forward and backward of a step take {graphed:.1f} ms with them and {plain:.1f} ms without."
    ]
    assert len(ways) == 40 and ways[:13] == ["plain"] * 13 and ways[-3:] == [last] * 3
    # One batch may be made already when the matter is settled.
    assert ways.count("bucket") in {2, 2 + (last == "plain")}
    assert ways[13:].index("graph") <= 4 and ways.count("graph") >= 9 and (last == "graph") == (ways.count("graph") > 12)
    assert trainer._graphs.wanted == (last == "graph")


def test_auto_gives_up_where_no_size_comes_again() -> None:
    trial = Trial()
    assert not trial.wants_buckets
    for _ in range(13):
        trial.note_plain(1.0)
    for number in range(100):
        assert trial.wants_buckets and not trial.settled
        trial.note_bucketed(0.1 if number < 3 else None)
    assert trial.settled and not trial.wants_buckets
    assert trial.sentence.startswith("CUDA graphs are left out: of 100 batches only 3 had sizes that had come before")


def test_a_trainer_on_buckets_trains_the_same(plain_bert: Path, sentences: list[str], tmp_path: Path) -> None:
    found = []
    for recorder in (None, Recorder()):
        for ahead in (False, True):
            trainer, _ = make_trainer(plain_bert, sentences, tmp_path, ahead, rehearse=True)
            network = trainer._network
            if recorder is not None:
                trainer._graphs = make_graphs(network, recorder)
            trainer.train()
            found.append(losses(trainer))
            assert (network.padding.fraction > 0) == (recorder is not None) and trainer.rows_seen == 80
            assert all(weight.grad is None for weight in network.parameters())
            if trainer._graphs is not None:
                assert trainer._graphs.buckets == {}, "what was recorded goes with the training"
    for other in found[1:]:
        assert other == pytest.approx(found[0], abs=1e-3)


@pytest.mark.parametrize(
    ("settings", "processes", "packs", "steps", "sentence"),
    [
        ({"cuda_graphs": "off"}, ALONE, True, 1000, None),
        ({"cuda_graphs": "on"}, ProcessGroup(0, 2), True, 1000, "several devices exchange vectors"),
        ({"cuda_graphs": "on", "micro_batch_size": 4}, ALONE, True, 1000, "`micro_batch_size` 4 embeds a batch in parts"),
        ({"cuda_graphs": "on"}, ALONE, False, 1000, "padded to their longest text"),
        ({}, ALONE, True, 299, "the run has 299 steps, and to try them out pays from 300 on"),
    ],
)
def test_what_is_in_the_way_is_said(
    settings: dict[str, Any], processes: ProcessGroup, packs: bool, steps: int, sentence: str | None, plain_bert: Path
) -> None:
    network, told = make_network(plain_bert, "CoSENTLoss"), Told()
    for kind in ("cpu", "cuda"):
        network.model.encoder._packs[kind] = packs
    assert graph_steps(TrainingConfig(**settings), network.model, network, torch.device("cuda:0"), processes, steps, told) is None
    assert (
        told == []
        if sentence is None
        else len(told) == 1 and told[0].startswith("CUDA graphs are left out: ") and sentence in told[0]
    )
    assert graph_steps(TrainingConfig(), network.model, network, CPU, processes, steps, told) is None, "a CPU is not asked"
    assert len(told) == (sentence is not None)


def test_parts_as_large_as_the_batch_are_no_parts(plain_bert: Path) -> None:
    network, told = make_network(plain_bert, "CoSENTLoss"), Told()
    config = TrainingConfig(cuda_graphs="on", micro_batch_size=32)
    graphs = graph_steps(config, network.model, network, CPU, ALONE, 1, told)
    assert graphs is not None and graphs.wanted
    assert told == [
        "CUDA graphs are on, as asked for: steps are filled up to sizes that come again, and `device` cpu has no graphs, so they run as they are."
    ]


def test_a_run_with_graphs_on_gives_the_numbers_of_one_without(
    plain_bert: Path, sentences: list[str], home: Path, tmp_path: Path
) -> None:
    told = {}
    for way in ("auto", "on"):
        listener = test_run.Recorder()
        settings = test_run.recipe(plain_bert, cuda_graphs=way, max_steps=8)
        given = test_run.make_parts("scored_pairs", sentences)
        result = run_training(settings, given, home, tmp_path / way, listener)  # type: ignore[arg-type]
        assert result is not None
        said = [message for message in listener.messages if "CUDA graphs" in message]
        told[way] = ([point["loss"] for point in listener.train], result.padding_fraction, said)
    assert told["auto"][1:] == (0.0, []), "a CPU is not asked"
    assert told["on"][0] == pytest.approx(told["auto"][0], abs=1e-3) and told["on"][1] > 0 and len(told["on"][2]) == 1


class FakeCuda:
    """What `CudaRecorder` asks of torch.cuda, noted in order; capturing raises `error` at its end, as torch does."""

    def __init__(self, error: RuntimeError | None = None) -> None:
        self.calls: list[str] = []
        self.current = "main"
        self.mode: object = 0
        self.error = error
        self.default_generators = (self,)

    def step(self) -> None:
        self.calls.append(f"step on {self.current}, waiting {'is an error' if self.mode == 'error' else 'allowed'}")

    def current_stream(self, device: object) -> "FakeStream":
        return FakeStream(self, "main")

    def Stream(self, device: object) -> "FakeStream":
        return FakeStream(self, "side")

    @contextmanager
    def stream(self, chosen: "FakeStream") -> Iterator[None]:
        before, self.current = self.current, chosen.name
        try:
            yield
        finally:
            self.current = before

    def graph_pool_handle(self) -> str:
        return "pool"

    def CUDAGraph(self) -> "FakeCuda":
        return self

    def replay(self) -> None:
        self.calls.append("replay")

    def graph(self, *given: Any, **options: Any) -> "FakeCapture":
        bound = GRAPH.bind(self, *given, **options).arguments
        assert bound["cuda_graph"] is self and bound["pool"] == "pool"
        assert bound["stream"].name == "side" and bound["capture_error_mode"] == "thread_local"
        return FakeCapture(self)

    @contextmanager
    def fork_rng(self, devices: list[torch.device]) -> Iterator[None]:
        assert devices == [torch.device("cuda", 0)]
        yield
        self.calls.append("random numbers as before")

    def synchronize(self, device: object) -> None: ...

    def clone_state(self) -> str:
        return "new state"

    def graphsafe_set_state(self, state: str) -> None:
        self.calls.append(state)

    def get_sync_debug_mode(self) -> int:
        return 0

    def set_sync_debug_mode(self, mode: object) -> None:
        self.mode = mode


class FakeStream:
    def __init__(self, cuda: FakeCuda, name: str) -> None:
        self.cuda, self.name = cuda, name

    def wait_stream(self, other: "FakeStream") -> None:
        self.cuda.calls.append(f"{self.name} waits for {other.name}")


class FakeCapture:
    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda = cuda

    def __enter__(self) -> None:
        self.before, self.cuda.current = self.cuda.current, "side"
        self.cuda.calls.append("capture")

    def __exit__(self, *args: object) -> None:
        if self.cuda.error is not None:
            raise self.cuda.error  # and leaves its stream behind
        self.cuda.current = self.before


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    cuda = FakeCuda()
    for name in vars(FakeCuda) | {"default_generators": None}:
        if hasattr(torch.cuda, name) and not name.startswith("_"):
            monkeypatch.setattr(torch.cuda, name, getattr(cuda, name))
    monkeypatch.setattr(torch.random, "fork_rng", cuda.fork_rng)
    return cuda


def test_a_capture_follows_a_warm_up_on_its_stream(fake: FakeCuda) -> None:
    replay = CudaRecorder(torch.device("cuda", 0))(fake.step)
    replay()
    allowed = "step on side, waiting allowed"
    assert fake.calls == [
        *("side waits for main", allowed, allowed, "step on side, waiting is an error"),
        *("capture", allowed, "main waits for side", "random numbers as before", "replay"),
    ]
    assert fake.current == "main" and fake.mode == 0


@pytest.mark.parametrize("where", ["warm-up", "capture"])
def test_after_a_capture_that_failed_the_training_is_on_its_stream(where: str, fake: FakeCuda) -> None:
    fake.error = RuntimeError("capture invalidated") if where == "capture" else None

    def step() -> None:
        fake.step()
        if where == "warm-up" and fake.mode == "error":
            raise RuntimeError("called a synchronizing CUDA operation")

    with pytest.raises(RuntimeError, match="synchronizing" if where == "warm-up" else "invalidated"):
        CudaRecorder(torch.device("cuda", 0))(step)
    assert fake.current == "main" and fake.mode == 0
    assert ("capture" in fake.calls) == (where == "capture") and fake.calls[-2:] == ["new state", "main waits for side"]
