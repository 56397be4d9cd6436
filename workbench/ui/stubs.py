"""Gradio imported without what it does for editors."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

_MODULE = "gradio.component_meta"
_WRITER = "create_or_modify_pyi"


@contextmanager
def without_stub_files() -> Iterator[None]:
    """Let Gradio write no `.pyi` file while it is imported in the block.

    At each start it parses the source of every component and renders a file for editors beside it, which is nearly half of what the
    import takes, and a surprise where packages cannot be written to. Where a version has no such function, all stays as it is.
    """
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        with suppress(ValueError):
            sys.meta_path.remove(finder)


class _Finder(MetaPathFinder):
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != _MODULE:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Quiet(spec.loader)
        return spec


class _Quiet(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        if hasattr(module, _WRITER):
            setattr(module, _WRITER, _write_nothing)


def _write_nothing(*arguments: Any, **options: Any) -> None:
    pass
