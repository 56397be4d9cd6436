"""Model folders: written in the form every sentence-transformers version reads, read in both forms.

Nothing a file names is imported, and weights are safetensors; a legacy pytorch_model.bin is read with weights_only=True.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from workbench.errors import ModelError
from workbench.json_text import dump_json
from workbench.models.folder import ModelFolder, ModuleOnDisk
from workbench.models.layer import Layer
from workbench.models.loading import loading
from workbench.models.pooling import Pooling
from workbench.models.stack import build_layer
from workbench.models.transformer import Transformer
from workbench.models.weights import read_header
from workbench.recipe.architecture import LayerSpec
from workbench.recipe.layers import LAYERS, POOLING_MODES

_TYPE_PREFIX = "sentence_transformers.models."
_TITLES = {entry.cls.partition(":")[2]: entry.title for entry in LAYERS.values()}

LEGACY_VERSION = "5.3.0"
"""The sentence-transformers version whose file format is written."""


def load_modules(folder: ModelFolder, max_seq_length: int | None = None) -> list[Layer]:
    """Load all modules of a folder, weights included.

    Args:
        folder: What `read_folder` found. A plain transformers folder gets mean pooling.
        max_seq_length: Another limit than the folder's own.

    Raises:
        ModelError: If weights are missing or do not fit.
    """
    encoder = Transformer(folder.encoder, max_seq_length)
    if max_seq_length is None:
        encoder.max_seq_length = folder.max_seq_length
    modules: list[Layer] = [encoder]
    width = encoder.get_word_embedding_dimension()
    for on_disk in folder.modules[1:]:
        spec = on_disk.spec()
        layer = build_layer(spec, width)
        _load_weights(layer, on_disk)
        modules.append(layer)
        width = spec.entry.width(spec.params, width)
    if len(modules) == 1:
        modules.append(build_layer(default_pooling(folder), width))
    return modules


def default_pooling(folder: ModelFolder) -> LayerSpec:
    """Return the pooling of a folder that names none: the last token for a decoder, the mean for everything else."""
    architecture = (folder.config.get("architectures") or [""])[0]
    decoder = architecture.endswith("ForCausalLM") and folder.config.get("is_causal", True) is not False
    return LayerSpec("pooling", {"pooling_mode": "lasttoken" if decoder else "mean"})


def save_modules(modules: Sequence[nn.Module], path: Path, settings: Mapping[str, Any]) -> None:
    """Write a sentence-transformers folder.

    Args:
        modules: The encoder first.
        path: Folder to write to; made if missing.
        settings: Prompts, similarity function and the like, for config_sentence_transformers.json.
    """
    path.mkdir(parents=True, exist_ok=True)
    entries = []
    for index, module in enumerate(modules):
        title = _TITLES[type(module).__name__]
        relative = "" if isinstance(module, Transformer) else f"{index}_{title}"
        entries.append({"idx": index, "name": str(index), "path": relative, "type": _TYPE_PREFIX + title})
        if isinstance(module, Transformer):
            module.save(path)
            _write_json(path / "sentence_bert_config.json", module.config())
        elif isinstance(module, Layer):
            _save_layer(module, path / relative)
    versions = {
        "sentence_transformers": LEGACY_VERSION,
        "transformers": importlib.metadata.version("transformers"),
        "pytorch": str(torch.__version__),
    }
    _write_json(path / "config_sentence_transformers.json", {"__version__": versions, **settings})
    # Last, because a folder with modules.json counts as complete.
    _write_json(path / "modules.json", entries)


def _save_layer(layer: Layer, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    config = layer.config()
    if isinstance(layer, Pooling):
        order = [mode for mode in POOLING_MODES if mode in layer.pooling_mode]
        if list(layer.pooling_mode) != order:
            # Six booleans cannot say in which order several modes are concatenated; only readers from 5.4 on can.
            config = {
                "embedding_dimension": layer.word_embedding_dimension,
                "pooling_mode": list(layer.pooling_mode),
                "include_prompt": layer.include_prompt,
            }
    if config:
        _write_json(folder / "config.json", config)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in layer.state_dict().items()}
    if weights:
        save_file(weights, str(folder / "model.safetensors"))


def _load_weights(layer: Layer, on_disk: ModuleOnDisk) -> None:
    wanted = layer.state_dict()
    if not wanted:
        return
    weights = _read_weights(on_disk.path)
    missing = sorted(set(wanted) - set(weights))
    wrong = [name for name in wanted if name in weights and wanted[name].shape != weights[name].shape]
    if missing or wrong:
        words = f"lack {', '.join(missing)}" if missing else f"have another shape for {', '.join(wrong)}"
        raise ModelError(f"The weights in `{on_disk.path}` {words}; the folder is damaged or not complete.", field="base")
    tensors = {name: weights[name].float() for name in wanted}
    layer.load_state_dict(tensors)


def _read_weights(folder: Path) -> dict[str, Tensor]:
    with loading(f"The layer in `{folder}`"):
        if (folder / "model.safetensors").is_file():
            read_header(folder / "model.safetensors")
            return load_file(str(folder / "model.safetensors"))
        if (folder / "pytorch_model.bin").is_file():
            weights = torch.load(folder / "pytorch_model.bin", map_location="cpu", weights_only=True)
            if not isinstance(weights, dict) or not all(isinstance(weight, Tensor) for weight in weights.values()):
                raise ModelError(
                    f"`{folder / 'pytorch_model.bin'}` holds more than named tensors; it is no file of weights.", field="base"
                )
            return dict(weights)
    raise ModelError(f"`{folder}` holds no model.safetensors; the folder is not complete.", field="base")


def _write_json(path: Path, data: Any) -> None:
    path.write_text(dump_json(data, indent=2) + "\n", encoding="utf-8")
