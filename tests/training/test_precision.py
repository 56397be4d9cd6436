"""`auto` takes bf16 where it is computed fast; who asks for a format gets that one."""

import pytest
import torch

from workbench.training import precision
from workbench.training.precision import choose_precision

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("wanted", "capability", "name", "tf32"),
    [
        ("auto", (9, 0), "bf16", True),
        ("auto", (8, 6), "bf16", True),
        ("auto", (7, 5), "fp32", None),
        ("fp32", (9, 0), "fp32", False),
        ("fp32", (7, 5), "fp32", None),
        ("fp16", (8, 0), "fp16", True),
        ("bf16", (7, 5), "bf16", None),
    ],
)
def test_on_a_gpu(monkeypatch, wanted, capability, name, tf32):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    chosen = choose_precision(wanted, CUDA)
    assert (chosen.name, chosen.tf32) == (name, tf32)
    assert chosen.arguments() == {"bf16": name == "bf16", "fp16": name == "fp16", "tf32": tf32}


@pytest.mark.parametrize(
    ("wanted", "instructions", "name"),
    [
        ("auto", {"_is_avx512_bf16_supported"}, "bf16"),
        ("auto", {"_is_amx_tile_supported"}, "bf16"),
        ("auto", set(), "fp32"),
        ("fp32", {"_is_amx_tile_supported"}, "fp32"),
        ("bf16", set(), "bf16"),
    ],
)
def test_on_a_processor(monkeypatch, wanted, instructions, name):
    for each in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, each, lambda each=each: each in instructions, raising=False)
    chosen = choose_precision(wanted, CPU)
    assert (chosen.name, chosen.tf32) == (name, None)


def test_a_torch_that_cannot_tell_computes_in_fp32(monkeypatch):
    for each in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, each, raising=False)
    assert choose_precision("auto", CPU).name == "fp32"
    assert choose_precision("auto", torch.device("mps")).name == "fp32"
    assert not precision._cpu_computes_bf16()
