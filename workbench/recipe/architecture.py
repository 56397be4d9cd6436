"""The network as data: a list of layers executed consecutively, checked before anything is built."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.errors import ArchitectureError, ConfigError
from workbench.recipe.layers import LAYERS, PORT_WORDS, LayerEntry, Port
from workbench.recipe.parameters import check_parameters, parse_options

BYTES_PER_NUMBER = 4
"""Sentence vectors are float32 unless someone asks for less."""


@dataclass(frozen=True)
class LayerSpec:
    """One layer: its kind and all its parameters, defaults filled in.

    Attributes:
        kind: A key of `LAYERS`.
        params: Parameter name -> value.

    Raises:
        ConfigError: If the kind or a parameter is unknown, or a value is out of range.
    """

    kind: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the kind, fill in defaults and check each value."""
        if self.kind not in LAYERS:
            raise ConfigError(f"There is no layer kind {self.kind!r}; there are: {', '.join(LAYERS)}.", field="layers")
        entry = LAYERS[self.kind]
        object.__setattr__(self, "params", check_parameters(entry.parameters, self.params, entry.title))

    @property
    def entry(self) -> LayerEntry:
        """The table entry of this kind."""
        return LAYERS[self.kind]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {"kind": self.kind, "params": {k: list(v) if isinstance(v, tuple) else v for k, v in self.params.items()}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LayerSpec:
        """Read what `to_dict` wrote.

        Raises:
            ConfigError: If it is not a layer.
        """
        if not isinstance(data, Mapping) or not isinstance(data.get("kind"), str):
            raise ConfigError(f"A layer must be an object with `kind` and `params`, got {data!r}.", field="layers")
        return cls(data["kind"], data.get("params") or {})

    def to_text(self) -> str:
        """Return it as `--layers` writes it, parameters at their default left out."""
        words = [self.kind]
        for parameter in self.entry.parameters:
            value = self.params[parameter.name]
            if value != parameter.default or parameter.name in self.entry.positional[:1]:
                text = (
                    "+".join(value) if isinstance(value, tuple) else str(value).lower() if isinstance(value, bool) else str(value)
                )
                words.append(f"{parameter.name}={text}" if parameter.name not in self.entry.positional[:1] else text)
        return ":".join(words)


@dataclass(frozen=True)
class EncoderInfo:
    """What is known of a base encoder without loading it.

    Attributes:
        name: As the user gave it.
        source: `hub`, `folder`, `bundled`, `scratch` or `run`.
        model_type: The architecture family as its config.json names it ("bert").
        width: Length of a token vector.
        num_parameters: Trainable numbers of the encoder.
        max_seq_length: Where it cuts texts unless told otherwise, in tokens.
        max_positions: The most tokens it can be set to; longer texts have no position vectors.
        layers: The layers that come after the encoder in its folder; empty for a plain encoder.
        pretrained: False for an encoder with random weights.
        vocab_size: Number of tokens, 0 where not known.
    """

    name: str
    source: str
    model_type: str
    width: int
    num_parameters: int
    max_seq_length: int
    max_positions: int
    layers: tuple[LayerSpec, ...] = ()
    pretrained: bool = True
    vocab_size: int = 0


@dataclass(frozen=True)
class LayerState:
    """A layer after width propagation.

    Attributes:
        port: What it returns.
        width: Width of what it returns; None below an error.
        num_parameters: Its trainable numbers; 0 below an error.
        problem: Why it cannot stand here, and what to change; None where it can.
    """

    port: Port
    width: int | None
    num_parameters: int
    problem: str | None = None


@dataclass(frozen=True)
class ArchitectureSpec:
    """Layers executed consecutively, the encoder first.

    Attributes:
        layers: The first takes text, the last returns the sentence vector.
    """

    layers: tuple[LayerSpec, ...]

    def __post_init__(self) -> None:
        """Accept any iterable of layers."""
        object.__setattr__(self, "layers", tuple(self.layers))

    @classmethod
    def default(cls) -> ArchitectureSpec:
        """Return the Sentence-BERT stack: encoder and mean pooling."""
        return cls((LayerSpec("transformer"), LayerSpec("pooling")))

    def propagate(self, encoder: EncoderInfo) -> tuple[LayerState, ...]:
        """Carry port and width through the stack.

        Args:
            encoder: Facts of the base encoder.

        Returns:
            One state a layer. The first illegal layer carries the reason; the layers behind it have no width.
        """
        states: list[LayerState] = []
        port: Port = "text"
        width: int | None = 0
        for index, layer in enumerate(self.layers):
            entry = layer.entry
            if width is None:
                states.append(LayerState(entry.produces, None, 0))
                continue
            problem = self._problem(index, port, encoder)
            if problem:
                width = None
                states.append(LayerState(entry.produces, None, 0, problem))
                continue
            if layer.kind == "transformer":
                width, count = encoder.width, encoder.num_parameters
            else:
                count = entry.num_parameters(layer.params, width)
                width = entry.width(layer.params, width)
            port = entry.produces
            states.append(LayerState(port, width, count))
        return tuple(states)

    def _problem(self, index: int, port: Port, encoder: EncoderInfo) -> str | None:
        layer = self.layers[index]
        entry = layer.entry
        if entry.consumes == port:
            limit = layer.params.get("max_seq_length")
            if limit and limit > encoder.max_positions:
                return (
                    f"Transformer is asked for {limit} tokens, but {encoder.name} takes {encoder.max_positions} at most; "
                    f"lower `max_seq_length` or leave it empty."
                )
            return None
        if index == 0:
            return f"The first layer must take text, but {entry.title} takes {PORT_WORDS[entry.consumes]}; start with Transformer."
        if entry.consumes == "text":
            return f"{entry.title} takes text and can only stand first; remove this layer."
        before = self.layers[index - 1].entry.title
        if entry.consumes == "tokens":
            return (
                f"{entry.title} takes token vectors, but {before} before it returns {PORT_WORDS[port]}; "
                f"remove this {entry.title}, or move it before the layer that pools."
            )
        return f"{entry.title} takes a sentence vector, but {before} before it returns {PORT_WORDS[port]}; put a Pooling layer between them."

    def problem(self, encoder: EncoderInfo) -> ArchitectureError | None:
        """Return the first reason why the stack cannot be built, or None."""
        if not self.layers:
            return ArchitectureError("The stack is empty; start with Transformer and Pooling.", layer=0)
        states = self.propagate(encoder)
        for index, state in enumerate(states):
            if state.problem:
                return ArchitectureError(f"Layer {index + 1}: {state.problem}", layer=index)
        if states[-1].port != "sentence":
            title = self.layers[-1].entry.title
            return ArchitectureError(
                f"The stack ends with {title}, which returns {PORT_WORDS[states[-1].port]}; add a Pooling layer at the end.",
                layer=len(states) - 1,
            )
        return None

    def validate(self, encoder: EncoderInfo) -> None:
        """Check the whole stack.

        Raises:
            ArchitectureError: With the reason and the index of the layer to change.
        """
        problem = self.problem(encoder)
        if problem:
            raise problem

    def width(self, encoder: EncoderInfo) -> int:
        """Return the length of the sentence vector.

        Raises:
            ArchitectureError: If the stack cannot be built.
        """
        self.validate(encoder)
        width = self.propagate(encoder)[-1].width
        assert width is not None
        return width

    def num_parameters(self, encoder: EncoderInfo) -> int:
        """Return the number of trainable numbers of all layers."""
        return sum(state.num_parameters for state in self.propagate(encoder))

    def bytes_per_vector(self, encoder: EncoderInfo) -> int:
        """Return the size of one sentence vector in bytes, stored as float32."""
        return BYTES_PER_NUMBER * self.width(encoder)

    def to_list(self) -> list[dict[str, Any]]:
        """Return plain JSON data."""
        return [layer.to_dict() for layer in self.layers]

    @classmethod
    def from_list(cls, data: Iterable[Mapping[str, Any]]) -> ArchitectureSpec:
        """Read what `to_list` wrote.

        Raises:
            ConfigError: If an item is not a layer.
        """
        return cls(tuple(LayerSpec.from_dict(item) for item in data))

    def to_json(self) -> str:
        """Return it as a JSON document."""
        return json.dumps(self.to_list())

    @classmethod
    def from_json(cls, text: str) -> ArchitectureSpec:
        """Read what `to_json` wrote.

        Raises:
            ConfigError: If the text is not such a document.
        """
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigError(f"The architecture is not JSON: {error}.", field="layers") from None
        if not isinstance(data, list):
            raise ConfigError(f"An architecture must be a list of layers, got {type(data).__name__}.", field="layers")
        return cls.from_list(data)

    def to_text(self) -> str:
        """Return the layers after the encoder as `--layers` takes them."""
        return ",".join(layer.to_text() for layer in self.layers[1:])


def parse_layers(text: str) -> tuple[LayerSpec, ...]:
    """Read `kind[:value][:key=value]...,kind...`: the layers after the encoder.

    Args:
        text: E.g. `pooling:mean+max,dense:256:tanh:bias=false,normalize`.

    Raises:
        ConfigError: On an unknown kind, parameter or value.
    """
    layers = []
    for item in text.split(","):
        kind, *words = (word.strip() for word in item.strip().split(":"))
        kind = kind.lower()
        if kind not in LAYERS or kind == "transformer":
            known = ", ".join(name for name in LAYERS if name != "transformer")
            raise ConfigError(f"`--layers` knows no layer {kind!r}; it knows: {known}.", field="layers")
        entry = LAYERS[kind]
        layers.append(LayerSpec(kind, parse_options(entry.parameters, entry.positional, words, entry.title)))
    return tuple(layers)
