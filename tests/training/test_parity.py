"""Twenty steps of ours against twenty steps of sentence-transformers' model and loss, on the same batches."""

from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset

from tests.training.test_run import GivenSplits, Recorder, make_part
from workbench.models import SentenceTransformer
from workbench.recipe import ArchitectureSpec, Recipe, TrainingConfig, parse_loss
from workbench.training import run_training
from workbench.training.sampler import ShuffledBatches
from workbench.training.tokens import Tokens

STEPS, BATCH, RATE = 20, 8, 1e-3


@pytest.fixture
def still_bert(tiny_bert: Path, tmp_path: Path) -> Path:
    """The tiny encoder without dropout, so that both sides see the same numbers."""
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(tiny_bert)
    model.config.hidden_dropout_prob = model.config.attention_probs_dropout_prob = 0.0
    model.save_pretrained(tmp_path / "still")
    AutoTokenizer.from_pretrained(tiny_bert).save_pretrained(tmp_path / "still")
    return tmp_path / "still"


def train_with_oracle(folder: Path, part: Dataset, batches: list[list[int]]) -> tuple[list[float], np.ndarray]:
    """Return losses and final word vectors of a plain loop: AdamW, two warm-up steps, linear decay, gradients clipped at 1."""
    from sentence_transformers import SentenceTransformer as Oracle
    from sentence_transformers import losses
    from transformers import get_linear_schedule_with_warmup

    model = Oracle(str(folder), device="cpu")
    model.train()
    loss = losses.CoSENTLoss(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)
    schedule = get_linear_schedule_with_warmup(optimizer, 2, STEPS)
    values = []
    for rows in batches:
        columns = [model.tokenize([part[role][row] for row in rows]) for role in ("sentence1", "sentence2")]
        value = loss(columns, torch.tensor([part["score"][row] for row in rows]))
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        values.append(value.item())
    return values, model[0].auto_model.embeddings.word_embeddings.weight.detach().numpy()


@pytest.mark.filterwarnings("ignore")
def test_losses_and_weights_equal_sentence_transformers(still_bert: Path, sentences: list[str], home: Path, tmp_path: Path) -> None:
    part = make_part("scored_pairs", sentences, 160, 3)
    config = TrainingConfig(max_steps=STEPS, batch_size=BATCH, learning_rate=RATE, device="cpu", precision="fp32", eval_steps=1000)
    recipe = Recipe(str(still_bert), "data", ArchitectureSpec.default(), parse_loss("CoSENTLoss"), training=config)
    listener = Recorder()
    run_training(recipe, GivenSplits("scored_pairs", part, None, None), home, tmp_path / "out", listener)  # type: ignore[arg-type]

    model = SentenceTransformer(still_bert, device="cpu")
    tokens = Tokens(model, [list(part["sentence1"]), list(part["sentence2"])])
    batches = list(ShuffledBatches(tokens, BATCH, config.seed))[:STEPS]
    values, weights = train_with_oracle(still_bert, part, batches)
    ours = [point["loss"] for point in listener.train]
    assert ours == pytest.approx(values, rel=1e-4)
    tuned = (
        SentenceTransformer(tmp_path / "out" / "model", device="cpu")
        .encoder.auto_model.embeddings.word_embeddings.weight.detach()
        .numpy()
    )
    assert np.linalg.norm(tuned - weights) / np.linalg.norm(weights) < 1e-4
