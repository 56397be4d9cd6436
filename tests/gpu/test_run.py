"""Runs on a GPU: the losses of the CPU, every loss, every precision, gradient caching, and no wait within a step."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.test_run import Recorder, make_parts, recipe
from workbench.errors import RunError
from workbench.losses import build_loss
from workbench.models import SentenceTransformer
from workbench.models.attention_gpu import try_kernel
from workbench.recipe import LOSSES, LossSpec
from workbench.training import run_training
from workbench.training.batch import Collate
from workbench.training.distributed import ALONE
from workbench.training.tokens import Tokens
from workbench.training.trainer import TrainedNetwork

pytestmark = pytest.mark.gpu


def base(tiny_bert: Path, folder: Path, dropout: float) -> Path:
    shutil.copytree(tiny_bert, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def without_dropout(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return base(tiny_bert, tmp_path_factory.mktemp("bases") / "plain", 0.0)


@pytest.fixture(scope="module")
def with_dropout(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return base(tiny_bert, tmp_path_factory.mktemp("bases") / "dropping", 0.1)


def losses(folder: Path, sentences: list[str], home: Path, output: Path, device: str, **settings: Any) -> list[float]:
    listener = Recorder()
    given = make_parts("scored_pairs", sentences, rows=160)
    settings = {"device": device, "max_steps": 20, "precision": "fp32", "learning_rate": 1e-4, **settings}
    result = run_training(recipe(folder, **settings), given, home, output, listener)  # type: ignore[arg-type]
    assert result is not None and result.status == "completed" and result.device.partition(":")[0] == device
    return [point["loss"] for point in listener.train]


def test_losses_are_those_of_the_cpu(
    without_dropout: Path, sentences: list[str], home: Path, tmp_path: Path, device: torch.device
) -> None:
    wanted = losses(without_dropout, sentences, home, tmp_path / "cpu", "cpu")
    found = losses(without_dropout, sentences, home, tmp_path / "there", device.type)
    steps = len(wanted) // len(found)  # on a GPU the loss is fetched now and then, the mean since the last time
    wanted = np.reshape(wanted, (len(found), steps)).mean(axis=1).tolist()
    assert found == pytest.approx(wanted, abs=1e-4)
    half = losses(without_dropout, sentences, home, tmp_path / "half", device.type, precision="bf16")
    assert half == pytest.approx(found, abs=2e-2)


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_gradient_caching_gives_the_same_losses(
    precision: str, without_dropout: Path, sentences: list[str], home: Path, tmp_path: Path, device: torch.device
) -> None:
    try_kernel.cache_clear()  # the kernel is tried in the middle of a checkpoint
    settings = {"device": device.type, "precision": precision}
    parts = losses(without_dropout, sentences, home, tmp_path / "parts", micro_batch_size=3, **settings)
    whole = losses(without_dropout, sentences, home, tmp_path / "whole", **settings)
    assert parts == pytest.approx(whole, abs=2e-2 if precision == "bf16" else 1e-4)


def test_gradient_caching_replays_dropout(
    with_dropout: Path, sentences: list[str], home: Path, tmp_path: Path, device: torch.device
) -> None:
    try_kernel.cache_clear()
    found = losses(
        with_dropout, sentences, home, tmp_path, device.type, micro_batch_size=3, precision="bf16", learning_rate=1e-3, max_steps=60
    )
    assert np.isfinite(found).all() and np.mean(found[-3:]) < np.mean(found[:3])


def test_fp16_ends_with_losses_that_are_numbers(
    with_dropout: Path, sentences: list[str], home: Path, tmp_path: Path, gpu: torch.device
) -> None:
    assert np.isfinite(losses(with_dropout, sentences, home, tmp_path, gpu.type, precision="fp16")).all()


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss(name: str, with_dropout: Path, sentences: list[str], home: Path, tmp_path: Path, device: torch.device) -> None:
    kind = LOSSES[name].kinds[0]
    listener = Recorder()
    settings = recipe(with_dropout, kind, loss=LossSpec(name), device=device.type, max_steps=3, precision="bf16")
    result = run_training(settings, make_parts(kind, sentences), home, tmp_path, listener)  # type: ignore[arg-type]
    assert result is not None and result.steps == 3
    assert listener.train and all(np.isfinite(point["loss"]) for point in listener.train)


def test_too_little_memory_ends_in_words(
    with_dropout: Path, sentences: list[str], home: Path, tmp_path: Path, gpu: torch.device
) -> None:
    torch.cuda.empty_cache()
    taken = torch.cuda.memory_reserved(gpu)
    torch.cuda.set_per_process_memory_fraction((taken + (8 << 20)) / torch.cuda.get_device_properties(gpu).total_memory, gpu)
    try:
        with pytest.raises(RunError, match="The GPU ran out of memory while"):
            losses(with_dropout, sentences, home, tmp_path, gpu.type, batch_size=160)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, gpu)
        torch.cuda.empty_cache()


def test_no_step_waits_for_the_gpu(with_dropout: Path, sentences: list[str], gpu: torch.device) -> None:
    model = SentenceTransformer(with_dropout, device=gpu)
    tokens = Tokens(model, [sentences[:60], sentences[60:120]])
    network = TrainedNetwork(model, build_loss(LossSpec("CoSENTLoss"), 32, 0).to(gpu), ALONE, None).train()
    collate = Collate(tokens, np.linspace(0, 1, 60))
    batches = [collate(range(12 * step, 12 * step + 12)).to(gpu) for step in range(5)]
    for step, batch in enumerate(batches):
        torch.cuda.set_sync_debug_mode("error" if step == 4 else "default")
        try:
            with torch.autocast("cuda", dtype=torch.bfloat16):
                value = network(batch)
            value.backward()
        finally:
            torch.cuda.set_sync_debug_mode("default")
