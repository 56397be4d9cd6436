"""The catalogue of base encoders: what can be trained on, and what is known of each without loading it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.errors import ModelError
from workbench.models.folder import is_model_folder, read_folder
from workbench.models.kept import follow_pointer
from workbench.recipe.architecture import EncoderInfo

SCRATCH = "scratch"

BUNDLED: Mapping[str, Path] = {"mini": Path(__file__).parent / "mini"}
"""Encoders that ship with the workbench; one whose folder is not there is not offered."""

DEFAULT_BASE = "mini" if BUNDLED["mini"].is_dir() else SCRATCH

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.\-]*(/[A-Za-z0-9][\w.\-]*)?")

MULTILINGUAL = "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"
"""What is named to whoever has texts in a language that an encoder was not made for."""

_SUGGESTIONS = (
    ("sentence-transformers/all-MiniLM-L6-v2", "English; small and quick, the usual first choice"),
    ("sentence-transformers/all-mpnet-base-v2", "English; larger and better"),
    (MULTILINGUAL, "50 languages"),
    ("bert-base-uncased", "English; a plain encoder that was never trained on sentences"),
)

_DESCRIPTION_FILES = ("*.json", "*/config.json")
_NOT_FOR_DESCRIPTION = ("tokenizer.json", "vocab.json", "*.index.json", "onnx/*", "openvino/*")
_MODEL_FILES = ("*.json", "*.txt", "*.model", "*.safetensors", "*/config.json", "*/*.safetensors")
_NOT_FOR_MODEL = ("onnx/*", "openvino/*")


@dataclass(frozen=True)
class BaseEntry:
    """One line of the list of base encoders.

    Attributes:
        name: What `--base` takes.
        title: What the list shows.
        description: One sentence.
        source: `bundled`, `scratch`, `hub` or `folder`.
        available: Whether it can be used with no network.
    """

    name: str
    title: str
    description: str
    source: str
    available: bool


def list_bases(home: Path) -> list[BaseEntry]:
    """Return the encoders to offer: bundled, untrained, folders under `home/models`, cached, then well-known Hub names."""
    entries = [
        BaseEntry(name, f"{name} (bundled)", "Ships with the workbench; needs no network.", "bundled", True)
        for name, folder in BUNDLED.items()
        if folder.is_dir()
    ]
    entries.append(
        BaseEntry(
            SCRATCH,
            "scratch (untrained)",
            "A small encoder with random weights whose tokens are learned from your data.",
            SCRATCH,
            True,
        )
    )
    models = home / "models"
    if models.is_dir():
        folders = sorted(folder for folder in models.iterdir() if is_model_folder(folder))
        entries += [BaseEntry(str(folder), folder.name, "In the workbench's models folder.", "folder", True) for folder in folders]
    cached = _cached_hub_names()
    entries += [BaseEntry(name, name, "From the Hub, already on this machine.", "hub", True) for name in cached]
    entries += [
        BaseEntry(name, name, f"{text}; downloaded on first use.", "hub", False)
        for name, text in _SUGGESTIONS
        if name not in cached
    ]
    return entries


def search_hub(query: str, limit: int = 20) -> list[BaseEntry]:
    """Search the Hub for sentence encoders by name; where the Hub cannot be reached, the cached ones that match.

    Args:
        query: Words of a model name.
        limit: How many to return at most.

    Raises:
        ModelError: If the Hub cannot be reached and nothing cached matches.
    """
    import huggingface_hub

    try:
        found = list(huggingface_hub.HfApi().list_models(search=query, filter="sentence-similarity", sort="downloads", limit=limit))
    except Exception as error:
        cached = [name for name in _cached_hub_names() if query.lower() in name.lower()]
        if cached:
            return [
                BaseEntry(name, name, "Already on this machine; the Hub cannot be reached.", "hub", True) for name in cached[:limit]
            ]
        raise ModelError(
            f"The Hub cannot be reached ({_first_line(error)}), and no cached model matches {query!r}; "
            f"choose a local folder, or try again when online.",
            field="base",
        ) from None
    cached_names = set(_cached_hub_names())
    return [
        BaseEntry(model.id, model.id, f"{model.downloads or 0:,} downloads a month.", "hub", model.id in cached_names)
        for model in found
    ]


def describe_base(name: str, home: Path) -> EncoderInfo:
    """Return what is known of a base encoder, from its small files alone.

    Args:
        name: A bundled name, `scratch`, a folder, or a Hub name.
        home: The workbench's home; a folder name under `home/models` is found too.

    Raises:
        ModelError: If there is no such encoder, or it cannot be read or reached.
    """
    if name == SCRATCH:
        from workbench.recipe.scratch import SCRATCH_INFO

        return SCRATCH_INFO
    source, folder = _find(name, home, _download_description)
    read = read_folder(folder)
    count = read.num_parameters() or _count_on_hub(name)
    return EncoderInfo(
        name=name,
        source=source,
        model_type=str(read.config.get("model_type", "unknown")),
        width=read.width,
        num_parameters=count,
        max_seq_length=read.max_seq_length,
        max_positions=read.max_positions,
        layers=read.layers,
        vocab_size=int(read.config.get("vocab_size", 0)),
    )


def describe_run_base(info: EncoderInfo, name: str) -> EncoderInfo:
    """Return the facts of a run's model under the run's id."""
    return replace(info, name=name, source="run")


def resolve_base(name: str, home: Path) -> Path:
    """Return the folder with all files of a base encoder, downloading a Hub model when needed.

    Raises:
        ModelError: If there is no such encoder, or it cannot be reached.
    """
    return _find(name, home, _download_model)[1]


def find_base(name: str, home: Path) -> Path | None:
    """Return the folder of a base encoder as far as it is on this machine; None for `scratch`, and where it would have to be downloaded.

    Raises:
        ModelError: If there is no such encoder.
    """
    import huggingface_hub
    from huggingface_hub import errors

    if name == SCRATCH:
        return None
    try:
        return _find(name, home, lambda name: Path(huggingface_hub.snapshot_download(name, local_files_only=True)))[1]
    except (errors.LocalEntryNotFoundError, ValueError, OSError):
        return None


def _find(name: str, home: Path, download: Callable[[str], Path]) -> tuple[str, Path]:
    text = name.strip()
    if text in BUNDLED:
        if not BUNDLED[text].is_dir():
            raise ModelError(
                f"The bundled encoder {text!r} is not part of this copy of the workbench; use scratch or a folder.", field="base"
            )
        return "bundled", BUNDLED[text]
    for named in (Path(text).expanduser(), home / "models" / text):
        candidate = follow_pointer(named)
        if text and candidate.is_dir():
            if not is_model_folder(candidate):
                raise ModelError(
                    f"The folder `{candidate}` holds no model: neither modules.json nor config.json is in it.", field="base"
                )
            return "folder", candidate.resolve()
    looks_like_path = text.startswith((".", "/", "~")) or "\\" in text or text.count("/") > 1
    if looks_like_path or not _HUB_NAME.fullmatch(text):
        raise ModelError(f"There is no base model {name!r}: no such folder, and it is no Hub name (owner/name).", field="base")
    return "hub", download(text)


def _download_description(name: str) -> Path:
    return _download(name, list(_DESCRIPTION_FILES), list(_NOT_FOR_DESCRIPTION))


def _download_model(name: str) -> Path:
    folder = _download(name, list(_MODEL_FILES), list(_NOT_FOR_MODEL))
    if not any(folder.glob("*.safetensors")) and not any(folder.glob("*/*.safetensors")):
        # Old repositories have pickled weights only; they are read with weights_only=True.
        folder = _download(name, [*_MODEL_FILES, "pytorch_model.bin", "*/pytorch_model.bin"], list(_NOT_FOR_MODEL))
    return folder


def _download(name: str, allow: list[str], ignore: list[str]) -> Path:
    import huggingface_hub
    from huggingface_hub import errors

    try:
        folder = Path(huggingface_hub.snapshot_download(name, allow_patterns=allow, ignore_patterns=ignore))
    except errors.GatedRepoError:
        raise ModelError(
            f"The Hub model {name!r} is gated; accept its terms on the Hub and log in with `hf auth login`.", field="base"
        ) from None
    except errors.RepositoryNotFoundError:
        raise ModelError(
            f"There is no base model {name!r}: no such folder here and no such model on the Hub.", field="base"
        ) from None
    except Exception as error:
        raise ModelError(
            f"There is no folder {name!r}, and the Hub cannot be reached to look for a model of that name ({_first_line(error)}); "
            "choose `scratch` or a local folder, or try again when online.",
            field="base",
        ) from None
    if not is_model_folder(folder):
        raise ModelError(f"The Hub repository {name!r} holds no encoder (no config.json); choose another model.", field="base")
    return folder


def _count_on_hub(name: str) -> int:
    """Return the parameter count the Hub states in the weights' header; 0 where it cannot be had."""
    import huggingface_hub

    try:
        metadata = huggingface_hub.get_safetensors_metadata(name)
    except Exception:  # a count is nice to have: offline, pickled weights and local folders have none
        return 0
    return int(sum(metadata.parameter_count.values()))


def _cached_hub_names() -> list[str]:
    import huggingface_hub

    try:
        cache = huggingface_hub.scan_cache_dir()
    except Exception:  # no cache yet
        return []
    return sorted(repo.repo_id for repo in cache.repos if repo.repo_type == "model" and _is_encoder(repo))


def _is_encoder(repo: Any) -> bool:
    names = {file.file_name for revision in repo.revisions for file in revision.files}
    return "config.json" in names and any(name.endswith((".safetensors", ".bin")) for name in names)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160].rstrip(".")
