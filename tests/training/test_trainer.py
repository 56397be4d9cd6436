"""Batches made ahead in a thread train the same network, and the thread never outlives the training."""

import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers import TrainerCallback, TrainingArguments

from workbench.errors import RunError
from workbench.losses import build_loss
from workbench.models import SentenceTransformer
from workbench.recipe import LossSpec, TrainingConfig
from workbench.training.batch import Batch, Collate
from workbench.training.distributed import ALONE
from workbench.training.precision import Precision
from workbench.training.run import _train
from workbench.training.sampler import ShuffledBatches
from workbench.training.tokens import Tokens
from workbench.training.trainer import SentenceTrainer, TrainedNetwork

ROWS, SIZE = 40, 8


class Watched(Collate):
    """Notes which thread makes each batch, and breaks at the one it is told to."""

    breaks_at: int | None = None

    def __init__(self, tokens: Tokens, labels: np.ndarray) -> None:
        super().__init__(tokens, labels)
        self.threads: list[str] = []

    def __call__(self, rows: Sequence[int]) -> Batch:
        self.threads.append(threading.current_thread().name)
        if len(self.threads) == self.breaks_at:
            raise OSError("the disk is gone")
        return super().__call__(rows)


def make_trainer(
    tiny_bert: Path, sentences: list[str], folder: Path, ahead: bool, *callbacks: TrainerCallback, rehearse: bool | None = None
) -> tuple[SentenceTrainer, Watched]:
    torch.manual_seed(0)
    model = SentenceTransformer(tiny_bert, device="cpu")
    tokens = Tokens(model, [sentences[:ROWS], sentences[ROWS : 2 * ROWS]])
    collate = Watched(tokens, np.linspace(0, 1, ROWS))
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=SIZE,
        num_train_epochs=2,
        use_cpu=True,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        logging_steps=1,
    )
    trainer = SentenceTrainer(
        TrainedNetwork(model, build_loss(LossSpec("CoSENTLoss"), 32, 0), ALONE, None),
        ShuffledBatches(tokens, SIZE, seed=1),
        collate,
        Precision("fp32", "as asked for"),
        ahead,
        rehearse,
        args=arguments,
        callbacks=list(callbacks),
    )
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer, collate


def losses(trainer: SentenceTrainer) -> list[float]:
    return [point["loss"] for point in trainer.state.log_history if "loss" in point]


def batch_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("next-batch")]


def test_batches_made_ahead_train_the_same(tiny_bert: Path, sentences: list[str], tmp_path: Path) -> None:
    plain, in_turn = make_trainer(tiny_bert, sentences, tmp_path, False)
    plain.train()
    trainer, collate = make_trainer(tiny_bert, sentences, tmp_path, True)
    trainer.train()
    assert losses(trainer) == losses(plain) and len(losses(plain)) == 2 * ROWS // SIZE
    assert set(in_turn.threads) == {threading.current_thread().name}
    assert {name.startswith("next-batch") for name in collate.threads} == {True}
    assert len(collate.threads) == len(in_turn.threads)
    assert batch_threads() == []
    trainer.train()  # a second time, with a thread of its own
    assert batch_threads() == []


def test_the_next_batch_is_asked_for_before_the_step(tiny_bert: Path, sentences: list[str], tmp_path: Path) -> None:
    trainer, _ = make_trainer(tiny_bert, sentences, tmp_path, True)
    asked, seen = [], []
    make, step = trainer._make, trainer.training_step
    trainer._make = lambda rows: (asked.append(tuple(rows)), make(rows))[1]  # type: ignore[method-assign]
    trainer.training_step = lambda *given: (seen.append(len(asked)), step(*given))[1]  # type: ignore[method-assign]
    trainer.train()
    assert seen[: ROWS // SIZE - 1] == list(range(2, ROWS // SIZE + 1))


def test_a_batch_that_cannot_be_made_ends_the_training(tiny_bert: Path, sentences: list[str], tmp_path: Path) -> None:
    trainer, collate = make_trainer(tiny_bert, sentences, tmp_path, True)
    collate.breaks_at = 3
    with pytest.raises(OSError, match="the disk is gone"):
        trainer.train()
    assert batch_threads() == []


def test_a_stop_ends_the_thread(tiny_bert: Path, sentences: list[str], tmp_path: Path) -> None:
    class Stop(TrainerCallback):
        def on_step_end(self, args: object, state: object, control: transformers.TrainerControl, **kwargs: object) -> None:
            control.should_training_stop = True

    trainer, _ = make_trainer(tiny_bert, sentences, tmp_path, True, Stop())
    trainer.train()
    assert trainer.state.global_step == 1 and batch_threads() == []


@pytest.mark.parametrize("packs", [True, False])
def test_the_heaviest_batch_goes_first_and_changes_nothing(
    packs: bool, tiny_bert: Path, sentences: list[str], tmp_path: Path
) -> None:
    told: list[Any] = []
    for rehearse in (False, True):
        trainer, _ = make_trainer(tiny_bert, sentences, tmp_path, False, rehearse=rehearse)
        trainer._network.model.encoder._packs["cpu"] = packs
        seen: list[int] = []
        made = trainer._make_now

        def noted(rows: Sequence[int], made: Any = made, seen: list[int] = seen) -> Batch:
            batch = made(rows)
            lengths = [len(ids) for ids in batch.token_ids]
            seen.append(sum(lengths) if packs else len(lengths) * max(lengths))
            return batch

        trainer._make_now = noted  # type: ignore[method-assign]
        trainer.train()
        padding = trainer._network.padding
        told.append((seen[: ROWS // SIZE], seen))
        told.append((losses(trainer), padding.positions, padding.padded, trainer.rows_seen))
    (first_epoch, plain), wanted, (_, rehearsed), found = told
    assert found == wanted
    assert Counter(rehearsed) - Counter(plain) == Counter([max(first_epoch)])
    assert max(first_epoch) in rehearsed[1:3], "it goes before the first step, for which one or two are ready"


def test_too_little_memory_shows_before_the_first_step(tiny_bert: Path, sentences: list[str], tmp_path: Path) -> None:
    trainer, _ = make_trainer(tiny_bert, sentences, tmp_path, False, rehearse=True)
    config = TrainingConfig(batch_size=SIZE)

    def out_of_memory(batch: Batch) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    trainer._network.forward = out_of_memory  # type: ignore[method-assign,assignment]
    with pytest.raises(RunError, match="while training on batches of 8 rows; set `micro_batch_size` to 4") as caught:
        _train(trainer, ALONE, config)
    assert caught.value.field == "micro_batch_size" and trainer.state.global_step == 0
