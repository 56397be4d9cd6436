"""A run through queue, supervisor and worker on a GPU, the playground encoding meanwhile."""

from pathlib import Path

import pytest
import torch
from datasets import Dataset

from tests.training.test_run import make_part
from workbench.playground import EncoderProcess
from workbench.recipe import Recipe, TrainingConfig
from workbench.runs import follow, submit

pytestmark = pytest.mark.gpu


def test_a_queued_run_completes_there_and_the_playground_goes_on(
    tiny_bert: Path, sentences: list[str], home: Path, tmp_path: Path, device: torch.device
) -> None:
    rows: Dataset = make_part("scored_pairs", sentences, 120, 0)
    rows.to_csv(tmp_path / "pairs.csv")
    settings = TrainingConfig(device=device.type, epochs=1, batch_size=8)
    with EncoderProcess(home) as encoder:
        before = encoder.encode(str(tiny_bert), sentences[:3])
        run = submit(Recipe(base=str(tiny_bert), data=str(tmp_path / "pairs.csv"), training=settings), home)
        meanwhile = encoder.encode(str(tiny_bert), sentences[:3])
        result = follow(run.run_id, home)
        after = encoder.encode(str(tiny_bert), sentences[:3])
    assert result.status == "completed" and result.device.partition(":")[0] == device.type
    assert abs(before - meanwhile).max() < 1e-4 and abs(before - after).max() < 1e-4
