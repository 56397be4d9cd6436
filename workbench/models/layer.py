"""What every layer of the stack has in common."""

from __future__ import annotations

from typing import Any

from torch import nn

Features = dict[str, Any]
"""What flows through the stack: tensors by the field's names, and `layout` once there are token vectors."""


class Layer(nn.Module):
    """One module of the network: takes features, returns them with its own result added.

    Attributes:
        packed: Whether it reads tokens through `Layout` only; False makes the stack hand it padded ones.
    """

    packed = True

    def forward(self, features: Features) -> Features:
        """Run the layer; each subclass says what it reads and writes."""
        raise TypeError(f"{type(self).__name__} defines no forward.")

    def config(self) -> dict[str, Any]:
        """Return the keys of its config.json, in the form every sentence-transformers version reads."""
        return {}


class SentenceLayer(Layer):
    """A layer that maps the sentence vector to another one."""
