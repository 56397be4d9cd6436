"""Steps replayed as CUDA graphs: the numbers of the steps themselves, dropout's draws, and what happens where none can be recorded."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.gpu.test_run import losses, with_dropout, without_dropout  # noqa: F401
from tests.training.test_run import Recorder, make_parts, recipe
from workbench.losses import build_loss
from workbench.models import SentenceTransformer
from workbench.recipe import KINDS, LOSSES, LossSpec
from workbench.training import cuda_graphs, run_training
from workbench.training.batch import Batch, Collate
from workbench.training.cuda_graphs import CudaRecorder, GraphedSteps
from workbench.training.distributed import ALONE
from workbench.training.tokens import Tokens
from workbench.training.trainer import TrainedNetwork

pytestmark = pytest.mark.gpu


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each step that was recorded."""
    counted: list[int] = []
    call = CudaRecorder.__call__

    def counting(self: CudaRecorder, step: Any) -> Any:
        replay = call(self, step)
        counted.append(1)
        return replay

    monkeypatch.setattr(CudaRecorder, "__call__", counting)
    return counted


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("bf16", 2e-2)])
def test_replayed_steps_have_the_losses_of_plain_ones(
    precision: str,
    tolerance: float,
    without_dropout: Path,  # noqa: F811
    sentences: list[str],
    home: Path,
    tmp_path: Path,
    device: torch.device,
    recorded: list[int],
) -> None:
    given = {"device": device.type, "precision": precision}
    wanted = losses(without_dropout, sentences, home, tmp_path / "off", cuda_graphs="off", **given)
    assert recorded == []
    found = losses(without_dropout, sentences, home, tmp_path / "on", cuda_graphs="on", **given)
    assert found == pytest.approx(wanted, abs=tolerance)
    assert bool(recorded) == (device.type == "cuda")


def test_fp16_learns(
    with_dropout: Path,  # noqa: F811
    sentences: list[str],
    home: Path,
    tmp_path: Path,
    gpu: torch.device,
    recorded: list[int],
) -> None:
    options = {"precision": "fp16", "cuda_graphs": "on", "learning_rate": 1e-3, "max_steps": 60}
    found = losses(with_dropout, sentences, home, tmp_path, gpu.type, **options)
    assert recorded and np.isfinite(found).all() and np.mean(found[-3:]) < np.mean(found[:3])


def test_auto_says_what_it_chose(
    with_dropout: Path,  # noqa: F811
    sentences: list[str],
    home: Path,
    tmp_path: Path,
    device: torch.device,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cuda_graphs, "WORTH_STEPS", 1)
    listener = Recorder()
    settings = recipe(with_dropout, device=device.type, max_steps=60)
    result = run_training(settings, make_parts("scored_pairs", sentences, 160), home, tmp_path, listener)  # type: ignore[arg-type]
    assert result is not None and result.status == "completed"
    said = [message for message in listener.messages if "CUDA graphs" in message]
    assert len(said) == (device.type == "cuda") and all("ms with them and" in message for message in said)


def steps(
    folder: Path, sentences: list[str], device: torch.device, record: Any, look: Any = None, name: str = "CoSENTLoss"
) -> tuple[list[float], list[str]]:
    """Return the losses of ten steps from one seed, the last of which must not wait for the GPU, and what was said."""
    torch.manual_seed(3)
    model = SentenceTransformer(folder, device=device)
    network = TrainedNetwork(model, build_loss(LossSpec(name), 32, 2).to(device), ALONE, None).train()
    columns = [sentences[start : start + 80] for start in (0, 60, 120)][: len(KINDS[LOSSES[name].kinds[0]].texts)]
    labels = np.arange(80) % 2 if name == "SoftmaxLoss" else np.linspace(0, 1, 80)
    collate = Collate(Tokens(model, columns), labels)
    told: list[str] = []
    graphs = GraphedSteps(model, network, device, record, told.append, grain=512)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    torch.manual_seed(4)

    def forward(batch: Batch) -> torch.Tensor:
        value: torch.Tensor = network(batch)
        if look is not None:
            look(value)
        return value

    found = []
    for step in range(10):
        batch = graphs.fill_up(collate(range(8 * step, 8 * step + 8)))
        assert batch is not None
        if device.type == "cuda" and step == 9 and look is None:
            torch.cuda.set_sync_debug_mode("error")
        try:
            value = graphs.step(forward, batch)
        finally:
            if device.type == "cuda":
                torch.cuda.set_sync_debug_mode("default")
        found.append(value.item())
        optimizer.step()
        optimizer.zero_grad()
    assert record is None or told or any(graphs.buckets.values())
    return found, told


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_recorded(name: str, without_dropout: Path, sentences: list[str], device: torch.device) -> None:  # noqa: F811
    plain, _ = steps(without_dropout, sentences, device, None, name=name)
    recorder = CudaRecorder(device) if device.type == "cuda" else None
    replayed, told = steps(without_dropout, sentences, device, recorder, name=name)
    assert told == [] and np.isfinite(plain).all() and replayed == pytest.approx(plain, rel=1e-2, abs=1e-3)


def test_dropout_draws_at_each_replay_what_the_step_itself_would(
    with_dropout: Path,  # noqa: F811
    sentences: list[str],
    gpu: torch.device,
) -> None:
    plain, _ = steps(with_dropout, sentences, gpu, None)
    replayed, told = steps(with_dropout, sentences, gpu, CudaRecorder(gpu))
    assert told == [] and replayed == pytest.approx(plain, abs=1e-3)


@pytest.mark.parametrize("where", ["everywhere", "in the capture"])
def test_a_step_that_waits_is_not_recorded_and_the_training_goes_on(
    where: str,
    with_dropout: Path,  # noqa: F811
    sentences: list[str],
    gpu: torch.device,
) -> None:
    def look(value: torch.Tensor) -> None:
        if where == "everywhere" or torch.cuda.is_current_stream_capturing():
            value.item()

    plain, _ = steps(with_dropout, sentences, gpu, None)
    found, told = steps(with_dropout, sentences, gpu, CudaRecorder(gpu), look)
    assert len(told) == 1 and told[0].startswith("CUDA graphs are left out from here on")
    assert torch.cuda.current_stream(gpu) == torch.cuda.default_stream(gpu)
    assert found == pytest.approx(plain, abs=1e-3)
