"""What a model folder holds, read without torch and without importing anything a file names.

Reads both forms of a sentence-transformers folder: the one written up to version 5.3, which this workbench writes, and
the one since 5.4. A plain transformers folder (config.json, weights, tokenizer) has no layers of its own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.errors import ModelError
from workbench.recipe.architecture import LayerSpec
from workbench.recipe.layers import ACTIVATIONS, LAYERS, POOLING_MODES

_FILE_STEMS: Mapping[str, str] = {
    "transformer": "transformer",
    "pooling": "pooling",
    "dense": "dense",
    "normalize": "normalize",
    "dropout": "dropout",
    "layernorm": "layer_norm",
}
_TYPE_ROOTS = (
    "sentence_transformers.models",
    "sentence_transformers.base.modules",
    "sentence_transformers.sentence_transformer.modules",
)


def _type_names(kind: str) -> tuple[str, ...]:
    title, stem = LAYERS[kind].title, _FILE_STEMS[kind]
    return tuple(f"{root}.{tail}" for root in _TYPE_ROOTS for tail in (title, f"{title}.{title}", f"{stem}.{title}"))


KIND_OF_TYPE: Mapping[str, str] = {name: kind for kind in LAYERS for name in _type_names(kind)}
"""Every `type` of modules.json that is read, and the layer kind it stands for. Anything else is refused, never imported."""

LEGACY_BOOLEANS: Mapping[str, str] = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}

TRANSFORMER_CONFIGS = tuple(
    f"sentence_{family}_config.json" for family in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)

OFFSET_FAMILIES = frozenset({"roberta", "xlm-roberta", "camembert", "mpnet", "xlm-roberta-xl", "data2vec-text"})
"""Their position vectors start behind the padding index, so two of them are never used."""


@dataclass(frozen=True)
class ModuleOnDisk:
    """One entry of modules.json.

    Attributes:
        kind: Layer kind.
        path: The module's folder; the model folder itself for an encoder at the root.
        config: Its parsed config file, {} where it has none.
    """

    kind: str
    path: Path
    config: Mapping[str, Any] = field(default_factory=dict)

    def spec(self) -> LayerSpec:
        """Return the layer as data.

        Raises:
            ModelError: If the file asks for something no layer here can do.
        """
        return LayerSpec(self.kind, _READERS[self.kind](self.config, self.path))


@dataclass(frozen=True)
class ModelFolder:
    """A folder with an encoder, and perhaps layers after it.

    Attributes:
        path: The folder.
        encoder: Where config.json, weights and tokenizer are.
        config: The encoder's config.json.
        max_seq_length: Where it cuts texts, in word pieces.
        max_positions: The most word pieces it can be set to.
        do_lower_case: Whether texts are lower-cased before the tokenizer sees them.
        modules: All modules, the encoder first; only the encoder for a plain transformers folder.
        settings: config_sentence_transformers.json, {} where there is none.
    """

    path: Path
    encoder: Path
    config: Mapping[str, Any]
    max_seq_length: int
    max_positions: int
    do_lower_case: bool
    modules: tuple[ModuleOnDisk, ...]
    settings: Mapping[str, Any]

    @property
    def layers(self) -> tuple[LayerSpec, ...]:
        """The layers after the encoder."""
        return tuple(module.spec() for module in self.modules[1:])

    @property
    def width(self) -> int:
        """Length of a token vector.

        Raises:
            ModelError: If config.json does not say.
        """
        for key in ("hidden_size", "dim", "d_model", "n_embd"):
            if isinstance(self.config.get(key), int):
                return int(self.config[key])
        raise ModelError(f"`{self.encoder / 'config.json'}` names no width (hidden_size); this is no text encoder.", field="base")

    def num_parameters(self) -> int:
        """Count the encoder's numbers from its safetensors headers; 0 where only another weight format is there."""
        return sum(_count_safetensors(file) for file in sorted(self.encoder.glob("*.safetensors")))


def is_model_folder(path: Path) -> bool:
    """Return whether the folder looks like a model: modules.json or config.json."""
    return (path / "modules.json").is_file() or (path / "config.json").is_file()


def read_folder(path: Path) -> ModelFolder:
    """Read what a model folder says of itself.

    Args:
        path: A sentence-transformers or a plain transformers folder.

    Raises:
        ModelError: If files are missing or unreadable, or a module type is not one of ours.
    """
    if not path.is_dir():
        raise ModelError(f"There is no model folder `{path}`.", field="base")
    modules = _read_modules(path) if (path / "modules.json").is_file() else (ModuleOnDisk("transformer", path),)
    if not modules or modules[0].kind != "transformer":
        first = LAYERS[modules[0].kind].title if modules else "nothing"
        raise ModelError(f"`{path / 'modules.json'}` starts with {first}; the first module must be a Transformer.", field="base")
    encoder = modules[0].path
    if not (encoder / "config.json").is_file():
        raise ModelError(f"`{encoder}` holds no config.json, so it is no encoder; choose a folder that does.", field="base")
    config = read_json(encoder / "config.json")
    length, positions, lower = _read_lengths(encoder, config)
    settings_file = path / "config_sentence_transformers.json"
    settings = read_json(settings_file) if settings_file.is_file() else {}
    return ModelFolder(path, encoder, config, length, positions, lower, modules, settings)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ModelError: If the file is missing, not JSON, or not an object.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"`{path}` cannot be read: {error}.", field="base") from None
    if not isinstance(data, dict):
        raise ModelError(f"`{path}` must hold a JSON object, got {type(data).__name__}.", field="base")
    return data


def _read_modules(path: Path) -> tuple[ModuleOnDisk, ...]:
    try:
        entries = json.loads((path / "modules.json").read_text(encoding="utf-8"))
        pairs = [(str(entry["type"]), str(entry.get("path", ""))) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"`{path / 'modules.json'}` cannot be read: {error}.", field="base") from None
    modules = []
    for type_name, relative in pairs:
        kind = KIND_OF_TYPE.get(type_name)
        if kind is None:
            known = ", ".join(entry.title for entry in LAYERS.values())
            raise ModelError(
                f"`{path / 'modules.json'}` asks for the module type {type_name!r}, which this workbench does not load; it loads {known}.",
                field="base",
            )
        folder = (path / relative).resolve()
        if folder != path.resolve() and path.resolve() not in folder.parents:
            raise ModelError(f"`{path / 'modules.json'}` points outside its folder: {relative!r}.", field="base")
        config_file = folder / "config.json"
        # Normalize and older folders have no config, and the hub drops empty folders.
        config = read_json(config_file) if kind != "transformer" and config_file.is_file() else {}
        modules.append(ModuleOnDisk(kind, folder, config))
    return tuple(modules)


def _read_lengths(encoder: Path, config: Mapping[str, Any]) -> tuple[int, int, bool]:
    """Return (max_seq_length, max_positions, do_lower_case)."""
    positions = config.get("max_position_embeddings") or config.get("n_positions")
    limit = int(positions) if isinstance(positions, int) and positions > 0 else math.inf
    if config.get("model_type") in OFFSET_FAMILIES:
        limit -= 2
    tokenizer_file = encoder / "tokenizer_config.json"
    stated = read_json(tokenizer_file).get("model_max_length") if tokenizer_file.is_file() else None
    length: float = limit
    if isinstance(stated, int | float) and 0 < stated < 1e9:
        length = min(length, int(stated))
    lower = False
    for name in TRANSFORMER_CONFIGS:
        if (encoder / name).is_file():
            own = read_json(encoder / name)
            if isinstance(own.get("max_seq_length"), int):
                length = min(limit, own["max_seq_length"])
            lower = bool(own.get("do_lower_case"))
            break
    if math.isinf(length):
        length = 512
    return int(length), int(max(length, limit) if math.isfinite(limit) else 32768), lower


def _count_safetensors(file: Path) -> int:
    with file.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        if size > 100_000_000:
            raise ModelError(f"`{file}` is no safetensors file.", field="base")
        header = json.loads(stream.read(size))
    shapes = (item["shape"] for name, item in header.items() if name != "__metadata__" and not name.endswith("position_ids"))
    return sum(math.prod(shape) for shape in shapes)


def _read_pooling(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    if "pooling_mode" in config:
        modes = config["pooling_mode"]
        modes = [modes] if isinstance(modes, str) else list(modes)
    else:
        modes = [mode for mode in POOLING_MODES if config.get(LEGACY_BOOLEANS[mode])]
    unknown = [mode for mode in modes if mode not in POOLING_MODES]
    if unknown or not modes:
        raise ModelError(
            f"`{path / 'config.json'}` has the pooling modes {modes!r}; known are {', '.join(POOLING_MODES)}.", field="base"
        )
    return {"pooling_mode": tuple(modes), "include_prompt": bool(config.get("include_prompt", True))}


def _read_dense(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    _require_sentence(config, path)
    if config.get("use_residual"):
        raise ModelError(f"`{path / 'config.json'}` asks for a residual connection, which Dense does not have here.", field="base")
    names = {dotted: name for name, dotted in ACTIVATIONS.items()}
    dotted = config.get("activation_function", ACTIVATIONS["tanh"])
    if dotted not in names:
        raise ModelError(
            f"`{path / 'config.json'}` asks for the activation function {dotted!r}; known are {', '.join(names)}.", field="base"
        )
    if not isinstance(config.get("out_features"), int):
        raise ModelError(f"`{path / 'config.json'}` lacks out_features.", field="base")
    return {"out_features": config["out_features"], "activation_function": names[dotted], "bias": bool(config.get("bias", True))}


def _read_normalize(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    _require_sentence(config, path)
    return {}


def _read_dropout(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    return {"dropout": float(config.get("dropout", 0.2))}


def _require_sentence(config: Mapping[str, Any], path: Path) -> None:
    for key in ("module_input_name", "module_output_name"):
        if config.get(key) not in {None, "sentence_embedding"}:
            raise ModelError(
                f"`{path / 'config.json'}` works on {config[key]!r}; here this layer works on the sentence_embedding only.",
                field="base",
            )


_READERS = {
    "transformer": lambda config, path: {},
    "pooling": _read_pooling,
    "dense": _read_dense,
    "normalize": _read_normalize,
    "dropout": _read_dropout,
    "layernorm": lambda config, path: {},
}
