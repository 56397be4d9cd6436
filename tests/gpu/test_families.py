"""Every packed family gives the CPU's vectors on a GPU."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.models.test_families import family  # noqa: F401
from workbench.models import SentenceTransformer
from workbench.models.transformer import PACKED_FAMILIES

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("family", sorted(PACKED_FAMILIES), indirect=True)
def test_vectors_are_those_of_the_cpu(
    family: tuple[str, Path],  # noqa: F811
    sentences: list[str],
    device: torch.device,
) -> None:
    texts = [*sentences[:20], "router", "", " ".join(sentences[:15])]
    there, here = (SentenceTransformer(family[1], device=place) for place in (device, "cpu"))
    assert there.encoder.packs
    assert np.abs(there.encode(texts) - here.encode(texts)).max() < 1e-4
    vectors = there.encode(texts, convert_to_tensor=True)
    assert there.similarity(here.encode(texts), vectors).shape == (len(texts), len(texts))


@pytest.mark.parametrize("family", sorted(PACKED_FAMILIES), indirect=True)
def test_a_step_under_autocast_is_near_the_cpus(
    family: tuple[str, Path],  # noqa: F811
    sentences: list[str],
    device: torch.device,
) -> None:
    def vectors(place: torch.device, half: bool) -> torch.Tensor:
        model = SentenceTransformer(family[1], device=place)
        ids = sorted(model.tokenize(sentences[:8]), key=len)
        with torch.autocast(place.type, dtype=torch.bfloat16, enabled=half):
            found = model(model.encoder.collate(ids, place))["sentence_embedding"]
            found.float().square().sum().backward()
        return found.detach().float().cpu()

    exact = vectors(torch.device("cpu"), False)
    assert float((vectors(device, True) - exact).norm() / exact.norm()) < 0.05
