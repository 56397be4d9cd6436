"""`scratch`: a small BERT with random weights whose tokens are learned from the user's own texts."""

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
        texts: What the vocabulary is learned from: training texts only, or test words would be known beforehand. Gone through twice.
        seed: For the weights.
    """
    tokenizer = learn_word_pieces(texts, SCRATCH_VOCAB_SIZE)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=SCRATCH_INFO.max_seq_length, **_SPECIAL)
    config = BertConfig(vocab_size=tokenizer.get_vocab_size(), pad_token_id=0, attention_probs_dropout_prob=0.0)
    config.update(dict(SCRATCH_SHAPE))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        # With the pooler that no one uses, since other readers expect its weights and warn of their absence.
        model = BertModel(config)
    return Transformer.from_parts(model, wrapped, SCRATCH_INFO.max_seq_length, SCRATCH_INFO.max_positions)


def learn_word_pieces(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Return a lower-casing WordPiece tokenizer whose vocabulary depends on the texts alone.

    The trainer numbers the pieces that continue a word in the order of a hash table, which changes with every process, and
    breaks ties by number. Handing it those pieces beforehand, sorted, makes the vocabulary the same every time.

    Args:
        texts: What to learn from; gone through twice.
        vocab_size: Most pieces it may have.
    """
    normalizer, pre_tokenizer = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    words = (word for text in texts for word, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(text)))
    characters = {character for word in words for character in word}
    pieces = [*_SPECIAL.values(), *sorted(f"##{character}" for character in characters)]
    draft = _tokenizer(models.WordPiece(unk_token="[UNK]"), normalizer, pre_tokenizer)
    draft.train_from_iterator(
        texts, trainers.WordPieceTrainer(vocab_size=vocab_size, min_frequency=2, special_tokens=pieces, show_progress=False)
    )
    # A new tokenizer from the vocabulary alone, in which the continuing pieces are no special tokens.
    tokenizer = _tokenizer(models.WordPiece(vocab=draft.get_vocab(), unk_token="[UNK]"), normalizer, pre_tokenizer)
    tokenizer.add_special_tokens(list(_SPECIAL.values()))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    return tokenizer


def _tokenizer(
    model: models.WordPiece, normalizer: normalizers.Normalizer, pre_tokenizer: pre_tokenizers.PreTokenizer
) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    return tokenizer
