"""A learned linear map on the sentence vector."""

from __future__ import annotations

from typing import Any

from torch import nn

from workbench.errors import ConfigError
from workbench.models.layer import Features, SentenceLayer
from workbench.recipe.layers import ACTIVATIONS

_CLASSES: dict[str, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "identity": nn.Identity,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "mish": nn.Mish,
    "softplus": nn.Softplus,
}


class Dense(SentenceLayer):
    """Map the sentence vector to another width, then apply an activation function.

    Args:
        in_features: Width it takes.
        out_features: Width it returns.
        bias: Whether a learned constant is added.
        activation_function: A module from the table of activations or its name; None for Tanh, as the field has it.

    Raises:
        ConfigError: If the activation function is not one that a model folder can name.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, activation_function: nn.Module | str | None = None
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.activation_name = _activation_name(activation_function)
        self.linear = nn.Linear(in_features, out_features, bias=bias)
        self.activation_function = (
            activation_function if isinstance(activation_function, nn.Module) else _CLASSES[self.activation_name]()
        )

    def get_sentence_embedding_dimension(self) -> int:
        """Return the width of the sentence vector."""
        return self.out_features

    get_embedding_dimension = get_sentence_embedding_dimension

    def forward(self, features: Features) -> Features:
        """Read and write `sentence_embedding`: (rows, in_features) -> (rows, out_features)."""
        features["sentence_embedding"] = self.activation_function(self.linear(features["sentence_embedding"]))
        return features

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {
            "in_features": self.in_features,
            "out_features": self.out_features,
            "bias": self.linear.bias is not None,
            "activation_function": ACTIVATIONS[self.activation_name],
        }


def _activation_name(activation: nn.Module | str | None) -> str:
    if activation is None:
        return "tanh"
    for name, cls in _CLASSES.items():
        if activation == name or type(activation) is cls:
            return name
    got = activation if isinstance(activation, str) else type(activation).__name__
    raise ConfigError(f"`activation_function` must be one of {', '.join(_CLASSES)}, got {got!r}.", field="activation_function")
