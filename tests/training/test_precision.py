"""In which numbers a run trains: who decides, what it says, and that measurements stay float32."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.test_run import Recorder, make_parts, recipe
from workbench.losses import CoSENTLoss
from workbench.models import SentenceTransformer
from workbench.training import run as run_module
from workbench.training import run_training
from workbench.training.precision import BF16_WIDTH, Precision, choose_precision, has_bf16

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda"), torch.device("mps")
CHECKS = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")


def fake_cpu(monkeypatch: pytest.MonkeyPatch, avx512_bf16: bool, amx: bool) -> None:
    for name, answer in zip(CHECKS, (avx512_bf16, amx), strict=True):
        monkeypatch.setattr(torch.cpu, name, lambda answer=answer: answer, raising=False)


def fake_gpu(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int]) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)


@pytest.mark.parametrize(("avx512_bf16", "amx"), [(False, False), (True, False), (False, True), (True, True)])
def test_a_cpu_with_bf16_takes_it_for_encoders_that_are_wide_enough(
    avx512_bf16: bool, amx: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_cpu(monkeypatch, avx512_bf16, amx)
    wide, narrow = (choose_precision("auto", CPU, width) for width in (BF16_WIDTH, BF16_WIDTH - 1))
    assert wide.name == ("bf16" if avx512_bf16 or amx else "fp32")
    assert narrow.name == "fp32"
    assert not wide.tf32 and not narrow.tf32


def test_a_torch_that_cannot_tell_means_no_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CHECKS:
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert not has_bf16(CPU)


@pytest.mark.parametrize(
    ("capability", "name"), [((6, 1), "fp32"), ((7, 5), "fp32"), ((8, 0), "bf16"), ((8, 9), "bf16"), ((12, 0), "bf16")]
)
def test_a_gpu_takes_bf16_and_tf32_from_ampere_on(capability: tuple[int, int], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_gpu(monkeypatch, capability)
    precision = choose_precision("auto", CUDA, 32)
    assert (precision.name, precision.tf32) == (name, name == "bf16")


@pytest.mark.parametrize("asked", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("device", [CPU, CUDA, MPS])
def test_what_is_asked_for_is_taken_and_no_product_is_rounded(
    asked: str, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_cpu(monkeypatch, True, True)
    fake_gpu(monkeypatch, (9, 0))
    precision = choose_precision(asked, device, 384)
    assert (precision.name, precision.tf32) == (asked, False)
    assert "as asked for" in precision.sentence


@pytest.mark.parametrize(
    ("device", "capability", "bf16", "width", "reason"),
    [
        (CPU, (0, 0), True, 384, "bf16: this CPU has bf16 arithmetic."),
        (CPU, (0, 0), True, 32, "fp32: an encoder 32 wide gains nothing"),
        (CPU, (0, 0), False, 384, "fp32: this CPU has no bf16 arithmetic"),
        (CUDA, (8, 0), False, 384, "bf16: this GPU has bf16 arithmetic."),
        (CUDA, (7, 5), True, 384, "fp32: this GPU has no bf16 arithmetic"),
        (MPS, (0, 0), True, 384, "fp32: bf16 is not known to pay on Apple GPUs."),
    ],
)
def test_the_choice_says_why(
    device: torch.device, capability: tuple[int, int], bf16: bool, width: int, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_cpu(monkeypatch, bf16, False)
    fake_gpu(monkeypatch, capability)
    assert reason in choose_precision("auto", device, width).sentence


@pytest.mark.parametrize("name", ["bf16", "fp32"])
def test_a_run_trains_in_it_and_measures_in_float32(
    name: str, tiny_bert: Path, sentences: list[str], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looks at what the encoder and the loss are given, and at how products are computed, in steps and in measurements."""
    monkeypatch.setattr(run_module, "choose_precision", lambda *given: Precision(name, "for the test", tf32=name == "bf16"))
    steps: set[Any] = set()
    measurements: set[Any] = set()
    losses: set[Any] = set()

    def look(model: SentenceTransformer, features: dict) -> dict:
        seen = steps if model.training else measurements
        seen.add((torch.is_autocast_enabled("cpu"), torch.backends.cuda.matmul.fp32_precision == "tf32"))
        return forward(model, features)

    def look_at_loss(loss: CoSENTLoss, embeddings: list, labels: torch.Tensor) -> torch.Tensor:
        losses.update((column.dtype, torch.is_autocast_enabled("cpu")) for column in embeddings)
        return cosent(loss, embeddings, labels)

    forward, cosent = SentenceTransformer.forward, CoSENTLoss.forward
    monkeypatch.setattr(SentenceTransformer, "forward", look)
    monkeypatch.setattr(CoSENTLoss, "forward", look_at_loss)
    listener = Recorder()
    result = run_training(recipe(tiny_bert), make_parts("scored_pairs", sentences), home, tmp_path, listener)  # type: ignore[arg-type]
    assert steps == {(name == "bf16", name == "bf16")}
    assert measurements == {(False, False)}
    assert losses == {(torch.float32, False)}
    assert result.precision == name
    assert listener.started is not None and listener.started[2]["precision"] == name
    assert f"Precision {name}: for the test. Weights and measurements are fp32." in listener.messages
    saved = SentenceTransformer(tmp_path / "model", device="cpu")
    assert {weight.dtype for weight in saved.parameters()} == {torch.float32}
