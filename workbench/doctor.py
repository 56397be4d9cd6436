"""What is installed, what is there, and what would not work and why."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

from workbench.errors import InputError
from workbench.settings import check_readable, is_open_to_others, is_ours

PACKAGES = (
    "torch",
    "transformers",
    "accelerate",
    "datasets",
    "tokenizers",
    "safetensors",
    "huggingface_hub",
    "gradio",
    "pandas",
    "plotly",
)
_LOW_DISK_GIB = 2.0


def examine(home: Path) -> dict[str, Any]:
    """Look around.

    Args:
        home: The workbench's home.

    Returns:
        versions, devices, home (path, writable, free space), tokenised data sets kept for the next run, bases that need no network,
        and problems as text.
    """
    problems: list[str] = []
    versions = {"workbench": _version("workbench") or _own_version(), "python": platform.python_version()}
    for package in PACKAGES:
        version = _version(package)
        versions[package] = version or "missing"
        if version is None:
            problems.append(f"{package} is not installed; run `pip install -r requirements.txt`.")
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        problems.append(f"Python {versions['python']} is not among the versions the workbench is written for (3.11 to 3.13).")
    facts = _home(home)
    try:
        check_readable(home)
        place = home
    except InputError as error:
        problems.append(error.message)
        place = Path(os.devnull)  # what comes with the workbench is there all the same
    if facts["shared"]:
        problems.append(
            f"Other users of this machine may look into the home `{home}`, which also holds other things and is therefore left as it "
            "is; choose a folder of its own with --home, or close it (`chmod 700`)."
        )
    if not facts["writable"]:
        problems.append(f"The home `{home}` cannot be written to; choose another with --home.")
    if facts["free_gib"] < _LOW_DISK_GIB:
        problems.append(f"Only {facts['free_gib']:.1f} GiB are free under `{home}`; a run of a large model may need more.")
    return {
        "versions": versions,
        "devices": _devices() if versions["torch"] != "missing" else [],
        "home": facts,
        "tokens": _tokens(place),
        "bases": _bases(place),
        "problems": problems,
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _own_version() -> str:
    from workbench import __version__

    return __version__


def _devices() -> list[dict[str, str]]:
    import torch

    from workbench.training.precision import has_bf16

    def bf16(device: str) -> str:
        return ", fast bf16" if has_bf16(torch.device(device)) else ""

    cores = os.cpu_count() or 1
    devices = [
        {
            "name": "cpu",
            "description": f"{platform.processor() or platform.machine()}, {cores} cores, {torch.get_num_threads()} threads{bf16('cpu')}",
        }
    ]
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        memory = f"{properties.total_memory / 2**30:.0f} GiB"
        devices.append({"name": f"cuda:{index}", "description": f"{properties.name}, {memory}{bf16(f'cuda:{index}')}"})
    if torch.backends.mps.is_available():
        devices.append({"name": "mps", "description": "Apple GPU"})
    return devices


def _home(home: Path) -> dict[str, Any]:
    existing = home
    while not _is_there(existing):
        existing = existing.parent
    return {
        "path": str(home),
        "exists": existing == home,
        "shared": existing == home and os.access(home, os.R_OK) and is_open_to_others(home) and not is_ours(home),
        "writable": os.access(existing, os.W_OK),
        "free_gib": round(shutil.disk_usage(existing).free / 2**30, 2),
    }


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # inside a folder that this user may not enter
        return False


def _tokens(home: Path) -> dict[str, Any]:
    from workbench.training.token_cache import TOKENS_FOLDER, TokenCache

    sizes = TokenCache(home).sizes()
    return {"path": str(home / TOKENS_FOLDER), "data_sets": len(sizes), "mib": round(sum(sizes.values()) / 2**20, 1)}


def _bases(home: Path) -> list[str]:
    from workbench.models import list_bases

    return [entry.name for entry in list_bases(home) if entry.available]
