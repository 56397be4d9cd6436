"""The layers a network can be built from, as one table.

A new layer is a class in `workbench.models` plus one entry here; the page's form, `--layers`, the file format and the
contract tests follow from the entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from workbench.recipe.parameters import Parameter

Port = Literal["text", "tokens", "sentence"]
"""What flows between layers: text, token vectors (tokens x width), or one sentence vector (width)."""

PORT_WORDS: Mapping[Port, str] = {"text": "text", "tokens": "token vectors", "sentence": "a sentence vector"}

POOLING_MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
"""In the order in which sentence-transformers' six booleans concatenate them."""

ACTIVATIONS: Mapping[str, str] = {
    "tanh": "torch.nn.modules.activation.Tanh",
    "identity": "torch.nn.modules.linear.Identity",
    "relu": "torch.nn.modules.activation.ReLU",
    "gelu": "torch.nn.modules.activation.GELU",
    "silu": "torch.nn.modules.activation.SiLU",
    "sigmoid": "torch.nn.modules.activation.Sigmoid",
    "leaky_relu": "torch.nn.modules.activation.LeakyReLU",
    "elu": "torch.nn.modules.activation.ELU",
    "mish": "torch.nn.modules.activation.Mish",
    "softplus": "torch.nn.modules.activation.Softplus",
}
"""Name in a spec -> dotted path written to files. Reading looks paths up here and never imports them."""


@dataclass(frozen=True)
class LayerEntry:
    """One kind of layer.

    Attributes:
        kind: Name in specs and in `--layers`.
        title: Class name, as the field knows it.
        cls: Where the class is, `module:Class`, imported only when the network is built.
        consumes: What it takes in.
        produces: What it returns.
        parameters: What a user may set.
        help: One sentence that a domain expert understands.
        positional: Parameters that `kind:value:value` fills, in order.
        width_argument: Constructor argument that receives the incoming width, or None.
        width: Outgoing width from checked parameters and incoming width.
        num_parameters: Trainable numbers from checked parameters and incoming width.
    """

    kind: str
    title: str
    cls: str
    consumes: Port
    produces: Port
    help: str
    parameters: tuple[Parameter, ...] = ()
    positional: tuple[str, ...] = ()
    width_argument: str | None = None
    width: Callable[[Mapping[str, Any], int], int] = lambda params, width: width
    num_parameters: Callable[[Mapping[str, Any], int], int] = lambda params, width: 0


LAYERS: Mapping[str, LayerEntry] = {
    entry.kind: entry
    for entry in (
        LayerEntry(
            kind="transformer",
            title="Transformer",
            cls="workbench.models.transformer:Transformer",
            consumes="text",
            produces="tokens",
            help="The base encoder: splits text into tokens and turns each into a vector that knows its context.",
            parameters=(
                Parameter(
                    "max_seq_length",
                    "int",
                    None,
                    "Longer texts are cut off after this many tokens; empty keeps the encoder's own limit.",
                    minimum=4,
                    maximum=32768,
                    optional=True,
                    unit="tokens",
                    habitual="64 to 512",
                ),
            ),
            positional=("max_seq_length",),
        ),
        LayerEntry(
            kind="pooling",
            title="Pooling",
            cls="workbench.models.pooling:Pooling",
            consumes="tokens",
            produces="sentence",
            help="Turns the token vectors of a text into one sentence vector; several modes are put side by side.",
            parameters=(
                Parameter(
                    "pooling_mode",
                    "choices",
                    ("mean",),
                    "How the token vectors are combined; mean is the usual choice.",
                    choices=POOLING_MODES,
                ),
                Parameter("include_prompt", "bool", True, "Whether the tokens of a prompt take part in the pooling."),
            ),
            positional=("pooling_mode",),
            width_argument="word_embedding_dimension",
            width=lambda params, width: width * len(params["pooling_mode"]),
        ),
        LayerEntry(
            kind="dense",
            title="Dense",
            cls="workbench.models.dense:Dense",
            consumes="sentence",
            produces="sentence",
            help="A learned linear map to another width, followed by an activation function.",
            parameters=(
                Parameter(
                    "out_features", "int", 256, "Width of the vector it returns.", 1, 65536, unit="numbers", habitual="128 to 768"
                ),
                Parameter(
                    "activation_function",
                    "choice",
                    "tanh",
                    "Applied to each number; tanh keeps them between -1 and 1, identity changes nothing.",
                    choices=tuple(ACTIVATIONS),
                ),
                Parameter("bias", "bool", True, "Whether a learned constant is added."),
            ),
            positional=("out_features", "activation_function"),
            width_argument="in_features",
            width=lambda params, width: params["out_features"],
            num_parameters=lambda params, width: (width + int(params["bias"])) * params["out_features"],
        ),
        LayerEntry(
            kind="normalize",
            title="Normalize",
            cls="workbench.models.normalize:Normalize",
            consumes="sentence",
            produces="sentence",
            help="Scales every sentence vector to length 1, so that dot product and cosine agree.",
        ),
        LayerEntry(
            kind="dropout",
            title="Dropout",
            cls="workbench.models.dropout:Dropout",
            consumes="sentence",
            produces="sentence",
            help="While training, sets a random share of the numbers to zero; does nothing afterwards.",
            parameters=(
                Parameter("dropout", "float", 0.2, "Share of the numbers set to zero.", 0.0, 0.95, habitual="0.05 to 0.3"),
            ),
            positional=("dropout",),
        ),
        LayerEntry(
            kind="layernorm",
            title="LayerNorm",
            cls="workbench.models.layer_norm:LayerNorm",
            consumes="sentence",
            produces="sentence",
            help="Centres and scales each vector, then applies a learned scale and shift.",
            width_argument="dimension",
            num_parameters=lambda params, width: 2 * width,
        ),
    )
}
