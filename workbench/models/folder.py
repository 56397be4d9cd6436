"""What a model folder holds, read without torch and without importing anything a file names.

Reads both forms of a sentence-transformers folder: the one written up to version 5.3, which this workbench writes, and
the one since 5.4. A plain transformers folder (config.json, weights, tokenizer) has no layers of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.errors import ConfigError, ModelError
from workbench.json_text import load_json
from workbench.models.weights import read_header, refuse_non_finite, weight_files
from workbench.recipe.architecture import ArchitectureSpec, EncoderInfo, LayerSpec
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
        try:
            return LayerSpec(self.kind, _READERS[self.kind](self.config, self.path))
        except ConfigError as error:
            raise ModelError(f"`{self.path / 'config.json'}`: {error}", field="base") from None


@dataclass(frozen=True)
class ModelFolder:
    """A folder with an encoder, and perhaps layers after it.

    Attributes:
        path: The folder.
        encoder: Where config.json, weights and tokenizer are.
        config: The encoder's config.json.
        max_seq_length: Where it cuts texts, in tokens.
        max_positions: The most tokens it can be set to.
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
        for key in _WIDTHS:
            if key in self.config:
                return int(self.config[key])
        raise ModelError(f"`{self.encoder / 'config.json'}` names no width (hidden_size); this is no text encoder.", field="base")

    def num_parameters(self) -> int:
        """Count the encoder's numbers from its safetensors headers; 0 where only another weight format is there."""
        return sum(
            math.prod(tensor.shape)
            for file in weight_files(self.encoder)
            for name, tensor in read_header(file).items()
            if not name.endswith("position_ids")
        )

    def check_numbers(self) -> None:
        """Look through all weights, which takes as long as reading the files.

        Raises:
            ModelError: If a file of weights is damaged, or a weight is NaN or infinite.
        """
        refuse_non_finite([module.path for module in self.modules])


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
    config = _check_config(read_json(encoder / "config.json"), encoder / "config.json")
    length, positions, lower = _read_lengths(encoder, config)
    settings_file = path / "config_sentence_transformers.json"
    settings = _check_settings(read_json(settings_file), settings_file) if settings_file.is_file() else {}
    folder = ModelFolder(path, encoder, config, length, positions, lower, modules, settings)
    if len(modules) > 1:
        _check_order(folder)
    return folder


def _check_order(folder: ModelFolder) -> None:
    """Refuse modules that cannot follow one another, or make no sentence vector."""
    stack = ArchitectureSpec((LayerSpec("transformer"), *folder.layers))
    # Ports do not depend on the encoder, and its width is checked with its weights.
    info = EncoderInfo(str(folder.path), "folder", "", 1, 0, folder.max_seq_length, folder.max_positions)
    problem = stack.problem(info)
    if problem is not None:
        raise ModelError(f"`{folder.path / 'modules.json'}` describes no network that works. {problem}", field="base")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ModelError: If the file is missing, not JSON, or not an object.
    """
    try:
        data = load_json(path.read_text(encoding="utf-8"), float if path.name in _LENIENT else None)
    except (OSError, ValueError) as error:
        raise ModelError(f"`{path}` cannot be read: {error}.", field="base") from None
    if not isinstance(data, dict):
        raise ModelError(f"`{path}` must hold a JSON object, got {type(data).__name__}.", field="base")
    return data


def _read_modules(path: Path) -> tuple[ModuleOnDisk, ...]:
    try:
        entries = load_json((path / "modules.json").read_text(encoding="utf-8"))
        pairs = [(str(entry["type"]), str(entry.get("path", ""))) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"`{path / 'modules.json'}` cannot be read: {error}.", field="base") from None
    modules = []
    for type_name, relative in pairs:
        kind = KIND_OF_TYPE.get(type_name)
        if kind is None:
            known = ", ".join(entry.title for entry in LAYERS.values())
            raise ModelError(
                f"`{path / 'modules.json'}` asks for the module type {_short(type_name)}, which this workbench does not load; it loads {known}.",
                field="base",
            )
        try:
            folder = (path / relative).resolve()
            folder.exists()  # fails where the name is longer than names can be
        except (OSError, ValueError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ModelError(
                f"`{path / 'modules.json'}` names a folder that is none: {_short(relative)} ({reason}).", field="base"
            ) from None
        if folder != path.resolve() and path.resolve() not in folder.parents:
            raise ModelError(f"`{path / 'modules.json'}` points outside its folder: {_short(relative)}.", field="base")
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
        limit = max(1, limit - 2)
    tokenizer_file = encoder / "tokenizer_config.json"
    stated = read_json(tokenizer_file).get("model_max_length") if tokenizer_file.is_file() else None
    length: float = limit
    if isinstance(stated, int | float) and not isinstance(stated, bool) and 1 <= stated < 1e9:
        length = min(length, int(stated))
    lower = False
    for name in TRANSFORMER_CONFIGS:
        if (encoder / name).is_file():
            own = read_json(encoder / name)
            wanted = own.get("max_seq_length")
            if wanted is not None:
                length = min(limit, _positive(wanted, "max_seq_length", encoder / name))
            lower = bool(own.get("do_lower_case"))
            break
    if math.isinf(length):
        length = 512
    return int(length), int(max(length, limit) if math.isfinite(limit) else 32768), lower


_WIDTHS = ("hidden_size", "dim", "d_model", "n_embd")
_SIZES = (
    *_WIDTHS,
    "vocab_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "n_layers",
    "n_heads",
    "num_layers",
    "num_heads",
    "d_kv",
    "d_ff",
)
_LARGEST_SIZE = 1 << 31
_LENIENT = frozenset({"tokenizer_config.json"})
"""Here some tokenizers write a largest length of Infinity, which means none."""


def _positive(value: object, key: str, path: Path) -> int:
    if type(value) is not int or not 0 < value < _LARGEST_SIZE:
        raise ModelError(
            f"`{path}` has the {key} {_short(value)}, which must be a whole number from 1; the file is damaged.", field="base"
        )
    return value


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _check_config(config: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return an encoder's config.json, refused where what is read of it is not of its kind."""
    for key in _SIZES:
        if config.get(key) is not None:
            _positive(config[key], key, path)
        else:
            config.pop(key, None)
    kind, names = config.get("model_type"), config.get("architectures")
    if not isinstance(kind, str | None):
        raise ModelError(f"`{path}` has the model_type {_short(kind)}, which must be a name; the file is damaged.", field="base")
    if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise ModelError(
            f"`{path}` has the architectures {_short(names)}, which must be a list of names; the file is damaged.", field="base"
        )
    return config


def _check_settings(settings: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return config_sentence_transformers.json, refused where what is read of it is not of its kind."""
    prompts = settings.get("prompts")
    fits = {
        "prompts": prompts is None or (isinstance(prompts, dict) and all(isinstance(text, str) for text in prompts.values())),
        "default_prompt_name": isinstance(settings.get("default_prompt_name"), str | None),
        "similarity_fn_name": isinstance(settings.get("similarity_fn_name"), str | None),
    }
    for key, right in fits.items():
        if not right:
            raise ModelError(
                f"`{path}` has the {key} {_short(settings[key])}, which has another form; the file is damaged.", field="base"
            )
    chosen = settings.get("default_prompt_name")
    if chosen is not None and chosen not in (prompts or {}):
        raise ModelError(
            f"`{path}` has the default_prompt_name {_short(chosen)}, but no prompt of that name; correct it or take it out.",
            field="base",
        )
    if settings.get("truncate_dim") is not None:
        _positive(settings["truncate_dim"], "truncate_dim", path)
    return settings


def _read_pooling(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    if "pooling_mode" in config:
        modes = config["pooling_mode"]
        modes = list(modes) if isinstance(modes, list) else [modes]
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
    if not isinstance(dotted, str) or dotted not in names:
        raise ModelError(
            f"`{path / 'config.json'}` asks for the activation function {dotted!r}; known are {', '.join(names)}.", field="base"
        )
    if "out_features" not in config:
        raise ModelError(f"`{path / 'config.json'}` lacks out_features.", field="base")
    width = _positive(config["out_features"], "out_features", path / "config.json")
    return {"out_features": width, "activation_function": names[dotted], "bias": bool(config.get("bias", True))}


def _read_normalize(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    _require_sentence(config, path)
    return {}


def _read_dropout(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    share = config.get("dropout", 0.2)
    if not isinstance(share, int | float) or not 0 <= share < 1:
        raise ModelError(
            f"`{path / 'config.json'}` has the dropout {_short(share)}, which must be from 0 to below 1.", field="base"
        )
    return {"dropout": float(share)}


def _require_sentence(config: Mapping[str, Any], path: Path) -> None:
    for key in ("module_input_name", "module_output_name"):
        if config.get(key) not in (None, "sentence_embedding"):
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
