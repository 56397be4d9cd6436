"""`scratch`: a small BERT with random weights whose word pieces are learned from the user's own texts."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from workbench.models.transformer import Transformer
from workbench.recipe.scratch import SCRATCH_INFO, SCRATCH_SHAPE, SCRATCH_VOCAB_SIZE

_SPECIAL = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}


def build_scratch(texts: Iterable[str], seed: int) -> Transformer:
    """Return an untrained encoder.

    Args:
        texts: What the vocabulary is learned from: training texts only, or test words would be known beforehand.
        seed: For the weights.
    """
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=SCRATCH_VOCAB_SIZE, min_frequency=2, special_tokens=list(_SPECIAL.values()), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=SCRATCH_INFO.max_seq_length, **_SPECIAL)
    config = BertConfig(vocab_size=tokenizer.get_vocab_size(), pad_token_id=0, attention_probs_dropout_prob=0.0, **SCRATCH_SHAPE)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertModel(config, add_pooling_layer=False)
    return Transformer.from_parts(model, wrapped, SCRATCH_INFO.max_seq_length, SCRATCH_INFO.max_positions)
