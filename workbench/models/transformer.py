"""The encoder: text to token vectors."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    CONFIG_MAPPING,
    AutoModel,
    AutoModelForTextEncoding,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.utils.logging import disable_progress_bar

from workbench.errors import ModelError
from workbench.models import attention
from workbench.models.bases import resolve_base
from workbench.models.folder import OFFSET_FAMILIES, ModelFolder, read_folder, read_json
from workbench.models.layer import Features, Layer
from workbench.models.layout import PackedLayout, PaddedLayout, put_on
from workbench.models.loading import loading
from workbench.models.numerics import tf32
from workbench.models.quick_dropout import replace_dropout
from workbench.models.token_counts import TokenCounts, count_tokens
from workbench.models.token_ids import TokenIds
from workbench.models.weights import read_header, weight_files

logger = logging.getLogger(__name__)

if sys.stderr is None or not sys.stderr.isatty():
    # In a log file each step of a bar is one more line that says nothing.
    disable_progress_bar()

PACKED_FAMILIES = frozenset(
    {
        "albert",
        "bert",
        "camembert",
        "data2vec-text",
        "distilbert",
        "electra",
        "ernie",
        "modernbert",
        "nomic_bert",
        "roberta",
        "xlm-roberta",
        "xlm-roberta-xl",
    }
)
"""Families (`model_type` of config.json) tried on the packed path; the numeric check below decides for each loaded model. Others
cannot: MPNet, DeBERTa and T5 compute attention in a way of their own, with position biases that know no sentence boundaries."""

PACKED_DEVICES = frozenset({"cpu", "cuda"})
"""Kinds of device with a way to attend within packed sentences that was written for them."""

_WITH_DECODER = frozenset({"t5", "mt5", "umt5"})
_PACKING_TOLERANCE = 1e-4
_LONG_ENOUGH, _MOST_TOKENS = 96, 512


class Transformer(Layer):
    """A transformers encoder with its tokenizer, the first module of a network.

    Args:
        model_name_or_path: A folder or a Hub name.
        max_seq_length: Longer texts are cut off after this many tokens; None keeps the folder's own limit.

    Raises:
        ModelError: If there is no such model, it cannot be read, or it has no position vectors for that length.
    """

    def __init__(self, model_name_or_path: str | os.PathLike[str], max_seq_length: int | None = None) -> None:
        super().__init__()
        # A bare transformer may be named from anywhere; the models folder of a home is the workbench's own business.
        folder = read_folder(resolve_base(str(model_name_or_path), Path.cwd()))
        limit = max_seq_length or folder.max_seq_length
        model, tokenizer = _load_model(folder), _load_tokenizer(folder)
        _check_vocabulary(folder, model, tokenizer)
        self._set_up(model, tokenizer, limit, folder.max_positions, folder.do_lower_case)

    @classmethod
    def from_parts(
        cls, auto_model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, max_seq_length: int, max_positions: int
    ) -> Transformer:
        """Return an encoder made of a model and a tokenizer that are already in memory."""
        self = cls.__new__(cls)
        Layer.__init__(self)
        attention.register()
        auto_model.set_attn_implementation(_attention_for(auto_model.config.model_type))
        self._set_up(auto_model, tokenizer, max_seq_length, max_positions, do_lower_case=False)
        return self

    def _set_up(
        self,
        auto_model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        max_seq_length: int,
        max_positions: int,
        do_lower_case: bool,
    ) -> None:
        if max_seq_length > max_positions:
            raise ModelError(
                f"`max_seq_length` {max_seq_length} is more than the {max_positions} tokens this encoder takes.",
                field="max_seq_length",
            )
        replace_dropout(auto_model)
        self.auto_model = auto_model
        self.tokenizer = tokenizer
        self.do_lower_case = do_lower_case
        self.max_positions = max_positions
        self.max_seq_length = max_seq_length
        self._packs: dict[str, bool] = {}

    @property
    def family(self) -> str:
        """The `model_type` of its config.json."""
        return str(self.auto_model.config.model_type)

    def freeze_pooler(self) -> None:
        """Take a BERT's own pooler out of the training: no one looks at what it makes, so it has no gradient."""
        pooler = getattr(self.auto_model, "pooler", None)
        if isinstance(pooler, nn.Module):
            pooler.requires_grad_(False)

    def get_word_embedding_dimension(self) -> int:
        """Return the width of a token vector."""
        return int(self.auto_model.config.hidden_size)

    get_embedding_dimension = get_word_embedding_dimension

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the `input_ids` of each text, special tokens included, cut off at `max_seq_length`."""
        if not texts:
            return []
        cleaned = [text.strip().lower() if self.do_lower_case else text.strip() for text in texts]
        encoded = self.tokenizer(
            cleaned,
            truncation=True,
            max_length=self.max_seq_length,
            padding=False,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
        return list(encoded["input_ids"])

    def count_tokens(self, texts: Sequence[str], learned: bool = False) -> TokenCounts:
        """Return how many tokens each text has, is cut down to, and has that are unknown, see `token_counts.count_tokens`."""
        return count_tokens(self.tokenizer.backend_tokenizer, texts, self.max_seq_length, self.do_lower_case, learned)

    def collate(self, token_ids: Sequence[Sequence[int]], device: torch.device) -> Features:
        """Return features for one forward pass, packed where this encoder can, padded elsewhere.

        Args:
            token_ids: One list of tokens a row. Packed batches want them sorted by length.
            device: Where the encoder is.
        """
        ids = TokenIds.of(token_ids)
        flat, lengths = torch.from_numpy(ids.flat), ids.lengths
        if self.packs and len(ids) and lengths[0] > 0 and (lengths[1:] >= lengths[:-1]).all():
            return {"input_ids": put_on(device, flat), "layout": PackedLayout(lengths, device)}
        filled = torch.arange(int(lengths.max(initial=0))) < torch.from_numpy(lengths).unsqueeze(1)
        mask = filled.flip(1) if self.tokenizer.padding_side == "left" else filled
        input_ids = torch.full(mask.shape, self.tokenizer.pad_token_id or 0)
        input_ids[mask] = flat
        return {"input_ids": put_on(device, input_ids), "layout": PaddedLayout(put_on(device, mask))}

    def forward(self, features: Features) -> Features:
        """Read `input_ids` and `layout` (or `attention_mask`), write `token_embeddings`.

        Packed: `input_ids` (tokens,) gives (tokens, width). Padded: (rows, longest) gives (rows, longest, width).
        """
        input_ids: Tensor = features["input_ids"]
        layout = features.get("layout")
        if layout is None:
            layout = features["layout"] = PaddedLayout(features["attention_mask"])
        if isinstance(layout, PackedLayout):
            output = self.auto_model(
                input_ids=input_ids.unsqueeze(0),
                position_ids=layout.positions().unsqueeze(0) + self._first_position(),
                packed=layout,
                **self._packed_arguments(input_ids),
            )
            features["token_embeddings"] = output.last_hidden_state.squeeze(0)
        else:
            arguments: dict[str, Any] = {"input_ids": input_ids, "attention_mask": layout.mask.long()}
            features["token_embeddings"] = self.auto_model(**arguments).last_hidden_state
        return features

    def _first_position(self) -> int:
        """Return the number of the first position: RoBERTa and its kin count on behind their padding index."""
        config = self.auto_model.config
        return int(config.pad_token_id) + 1 if config.model_type in OFFSET_FAMILIES else 0

    def _packed_arguments(self, input_ids: Tensor) -> dict[str, Any]:
        """Return what keeps a family from deriving it from a row as long as the whole batch."""
        config = self.auto_model.config
        arguments: dict[str, Any] = {}
        if getattr(config, "type_vocab_size", 0):
            arguments["token_type_ids"] = torch.zeros_like(input_ids).unsqueeze(0)
        if "sliding_attention" in (getattr(config, "layer_types", None) or ()):
            arguments["attention_mask"] = dict.fromkeys(config.layer_types)  # it would build one of tokens by tokens
        return arguments

    @property
    def packs(self) -> bool:
        """Whether packed batches give this encoder's own numbers where it is now, found out once for each kind of device by trying."""
        kind = self.auto_model.device.type
        if kind not in self._packs:
            family = self.auto_model.config.model_type
            self._packs[kind] = family in PACKED_FAMILIES and kind in PACKED_DEVICES and self._packing_error() < _PACKING_TOLERANCE
            if not self._packs[kind]:
                logger.info("%s runs on padded batches sorted by length.", family)
        return self._packs[kind]

    @torch.no_grad()
    def _packing_error(self) -> float:
        """Return the largest relative difference between packed sentences and the same one by one."""
        was_training = self.training
        self.eval()
        generator = torch.Generator().manual_seed(0)
        vocabulary = int(self.auto_model.config.vocab_size)
        # Longer than any attention window, and together more tokens than there are positions.
        longest = min(
            self.max_seq_length, max(_LONG_ENOUGH, 2 * int(getattr(self.auto_model.config, "sliding_window", 0) or 0) + 3)
        )
        lengths = sorted(min(length, longest) for length in (2, 2, 5, 9, 17))
        lengths += [longest] * (min(self.max_positions, _MOST_TOKENS) // longest + 1)
        rows = [torch.randint(0, vocabulary, (length,), generator=generator) for length in lengths]
        pad = self.auto_model.config.pad_token_id
        if pad is not None:  # some families give it a position of its own, and no text holds it
            rows = [torch.where(row == pad, (pad + 1) % vocabulary, row) for row in rows]
        device = self.auto_model.device
        try:
            # In float32, whatever the caller computes in: the rounding of bf16 or TF32 alone is more than the tolerance.
            with torch.autocast(device.type, enabled=False), tf32(False):
                packed = self.forward({"input_ids": torch.cat(rows).to(device), "layout": PackedLayout(lengths, device)})[
                    "token_embeddings"
                ]
                single = [
                    self.forward(
                        {"input_ids": row.unsqueeze(0).to(device), "layout": PaddedLayout(torch.ones(1, len(row), device=device))}
                    )
                    for row in rows
                ]
        except (TypeError, ValueError, RuntimeError) as error:  # an encoder that takes no position_ids, say
            logger.info("The packed path does not run on this encoder: %s", error)
            return float("inf")
        finally:
            self.train(was_training)
        wanted = torch.cat([features["token_embeddings"].squeeze(0) for features in single])
        difference = (packed - wanted).abs().max() / wanted.abs().max().clamp(min=1e-6)
        return float(difference) if torch.isfinite(difference) else float("inf")

    def save(self, folder: Path) -> None:
        """Write weights, tokenizer and configs to the model's root."""
        self.auto_model.save_pretrained(folder)
        self.tokenizer.model_max_length = self.max_seq_length
        # What the last call set would otherwise be stored as the tokenizer's own habit.
        self.tokenizer.backend_tokenizer.no_truncation()
        self.tokenizer.backend_tokenizer.no_padding()
        self.tokenizer.save_pretrained(folder)

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {"max_seq_length": self.max_seq_length, "do_lower_case": self.do_lower_case}


def _attention_for(model_type: object) -> str:
    return attention.PACKED_ATTENTION if model_type in PACKED_FAMILIES else "sdpa"


def _load_model(folder: ModelFolder) -> PreTrainedModel:
    attention.register()
    for file in weight_files(folder.encoder):
        read_header(file)
    if folder.config.get("auto_map"):
        logger.warning(
            "`%s` names code of its own (auto_map in config.json), which is never run; its vectors may be others than those of its makers.",
            folder.encoder,
        )
    own_code = folder.config.get("auto_map") and folder.config.get("model_type") not in CONFIG_MAPPING
    if own_code:
        raise ModelError(
            f"The encoder in `{folder.encoder}` needs code of its own (auto_map in config.json), which is never run; choose another.",
            field="base",
        )
    with loading(f"The encoder in `{folder.encoder}`"):
        model, found = _from_pretrained(folder, {})
        prefix = _uniform_prefix(_lacking(found), found["unexpected_keys"])
        if prefix:
            model, found = _from_pretrained(folder, {f"^{re.escape(prefix)}": ""})
            logger.info("The names of all weights in `%s` begin with %r; they were read without it.", folder.encoder, prefix)
    _check_weights(folder, model, found)
    model.config.use_cache = False
    return model


def _from_pretrained(folder: ModelFolder, key_mapping: dict[str, str]) -> tuple[PreTrainedModel, dict[str, Any]]:
    """Return the encoder, and what transformers says of the names it looked for."""
    # AutoModel would add a decoder that no one uses.
    family = AutoModelForTextEncoding if folder.config.get("model_type") in _WITH_DECODER else AutoModel
    arguments = {
        "trust_remote_code": False,
        "local_files_only": True,
        "dtype": torch.float32,
        "output_loading_info": True,
        **({"key_mapping": key_mapping} if key_mapping else {}),
    }
    try:
        return family.from_pretrained(
            folder.encoder, attn_implementation=_attention_for(folder.config.get("model_type")), **arguments
        )
    except ValueError:  # a family may know only the plain way to attend
        return family.from_pretrained(folder.encoder, attn_implementation="eager", **arguments)


def _lacking(found: Mapping[str, Any]) -> list[str]:
    # Sentence vectors come from pooling layers of our own, so that an encoder's pooler is not used.
    return sorted(name for name in found["missing_keys"] if "pooler." not in name)


def _uniform_prefix(missing: Sequence[str], unexpected: Iterable[str]) -> str:
    """Return what stands before the names of all missing weights in the file (`module.`, say); empty if they are not there."""
    there = set(unexpected)
    for name in missing[:1]:
        for other in sorted(there):
            prefix = other.removesuffix(name)
            if prefix != other and prefix.endswith(".") and all(prefix + wanted in there for wanted in missing):
                return prefix
    return ""


_BUFFERS = frozenset({"position_ids", "token_type_ids", "inv_freq", "masked_bias"})
"""Not learned: each can be computed, and versions differ in whether they are saved."""


def _check_weights(folder: ModelFolder, model: PreTrainedModel, found: Mapping[str, Any]) -> None:
    """Refuse an encoder part of which transformers filled with random numbers or left out, both without an error.

    Only the pooler, heads of other tasks, and what is not learned may be missing or too many.

    Raises:
        ModelError: Naming the weights that are missing, too many, or of another shape.
    """
    parts = {name for name, _ in model.named_children()}
    own = re.compile(rf"(?:{re.escape(model.base_model_prefix)}\.)?([^.]+)\.")
    surplus = sorted(
        name
        for name in found["unexpected_keys"]
        if (match := own.match(name)) and match[1] in parts and "pooler." not in name and name.rpartition(".")[2] not in _BUFFERS
    )
    reshaped = sorted(str(entry[0] if isinstance(entry, tuple) else entry) for entry in found.get("mismatched_keys", ()))
    of = f"of {len(model.state_dict())} weights of the encoder in `{folder.encoder}` are"
    lacking = [name for name in _lacking(found) if name.rpartition(".")[2] not in _BUFFERS]
    for names, words in (
        (lacking, f"{of} missing"),
        (reshaped, f"{of} of another shape than config.json says"),
        (surplus, f"weights in `{folder.encoder}` belong to no part of the encoder that config.json describes"),
    ):
        if names:
            shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
            raise ModelError(
                f"{len(names)} {words}, for example {shown}; "
                "the folder is damaged, not complete, or its config.json belongs to another model. Download or save it again.",
                field="base",
            )


_ODD_TEXT = "a 1 \u00e9 \u6771 \u0e01 \U0001f600 \ufffd"
"""Hardly any tokenizer knows all of it: one that has no token for what it does not know fails here, not at a user's text."""


def _load_tokenizer(folder: ModelFolder) -> PreTrainedTokenizerFast:
    for file in sorted(folder.encoder.glob("*token*.json")):
        if file.name in {"tokenizer.json", "special_tokens_map.json", "added_tokens.json"}:
            read_json(file)
    with loading(f"The tokenizer in `{folder.encoder}`"):
        tokenizer = AutoTokenizer.from_pretrained(folder.encoder, use_fast=True, trust_remote_code=False, local_files_only=True)
        tokenizer(_ODD_TEXT)
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise ModelError(
            f"The tokenizer in `{folder.encoder}` has no fast form (tokenizer.json); choose another encoder.", field="base"
        )
    return tokenizer


def _check_vocabulary(folder: ModelFolder, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """Refuse a tokenizer that knows tokens for which the encoder has no vector.

    Raises:
        ModelError: With both numbers.
    """
    table = model.get_input_embeddings().weight
    assert isinstance(table, Tensor)
    rows = len(table)
    tokens = len(tokenizer)
    if tokens > rows:
        raise ModelError(
            f"The tokenizer in `{folder.encoder}` knows {tokens:,} tokens, and the encoder has vectors for {rows:,}: words were added to it "
            "and the encoder was not enlarged (resize_token_embeddings). Save the two together again, or choose another encoder.",
            field="base",
        )
