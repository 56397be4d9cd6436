"""A stack is checked, and its widths and sizes are known, before anything is built."""

import json

import pytest

from workbench.errors import ArchitectureError, ConfigError
from workbench.recipe import LAYERS, ArchitectureSpec, EncoderInfo, LayerSpec, parse_layers

ENCODER = EncoderInfo("some/encoder", "hub", "bert", width=384, num_parameters=1000, max_seq_length=256, max_positions=512)


def stack(text: str, **encoder: object) -> ArchitectureSpec:
    return ArchitectureSpec((LayerSpec("transformer", encoder), *parse_layers(text)))


def test_widths_and_sizes_follow_the_layers() -> None:
    spec = stack("pooling:mean+max,dense:256:tanh,layernorm,normalize")
    states = spec.propagate(ENCODER)
    assert [state.width for state in states] == [384, 768, 256, 256, 256]
    assert [state.port for state in states] == ["tokens", "sentence", "sentence", "sentence", "sentence"]
    assert [state.num_parameters for state in states] == [1000, 0, 768 * 256 + 256, 512, 0]
    assert spec.width(ENCODER) == 256
    assert spec.num_parameters(ENCODER) == 1000 + 768 * 256 + 256 + 512
    assert spec.bytes_per_vector(ENCODER) == 1024


@pytest.mark.parametrize(
    ("text", "layer", "reason"),
    [
        ("dense:64", 1, "put a Pooling layer between"),
        ("pooling,pooling", 2, "remove this Pooling"),
        ("pooling,dense:64,pooling:cls", 3, "token vectors, but Dense before it"),
        ("normalize", 1, "sentence vector, but Transformer"),
    ],
)
def test_an_illegal_stack_says_why_and_where(text: str, layer: int, reason: str) -> None:
    spec = stack(text)
    with pytest.raises(ArchitectureError, match=reason) as caught:
        spec.validate(ENCODER)
    assert caught.value.layer == layer
    states = spec.propagate(ENCODER)
    assert reason in (states[layer].problem or "")
    assert all(state.width is None for state in states[layer:])


def test_stacks_without_an_end_or_a_beginning() -> None:
    with pytest.raises(ArchitectureError, match="add a Pooling layer at the end"):
        ArchitectureSpec((LayerSpec("transformer"),)).validate(ENCODER)
    with pytest.raises(ArchitectureError, match="start with Transformer"):
        ArchitectureSpec((LayerSpec("pooling"),)).validate(ENCODER)
    with pytest.raises(ArchitectureError, match="empty"):
        ArchitectureSpec(()).validate(ENCODER)
    with pytest.raises(ArchitectureError, match="only stand first"):
        ArchitectureSpec((LayerSpec("transformer"), LayerSpec("transformer"))).validate(ENCODER)


def test_a_length_the_encoder_has_no_positions_for() -> None:
    stack("pooling", max_seq_length=512).validate(ENCODER)
    with pytest.raises(ArchitectureError, match="takes 512 at most"):
        stack("pooling", max_seq_length=513).validate(ENCODER)


def test_json_round_trip_and_text_round_trip() -> None:
    spec = stack("pooling:cls+mean:include_prompt=false,dense:128:relu:bias=false,dropout:0.3,layernorm,normalize")
    assert ArchitectureSpec.from_json(spec.to_json()) == spec
    assert json.loads(spec.to_json()) == spec.to_list()
    assert parse_layers(spec.to_text()) == spec.layers[1:]


@pytest.mark.parametrize("kind", [kind for kind in LAYERS if kind != "transformer"])
def test_every_layer_survives_its_own_text(kind: str) -> None:
    layer = LayerSpec(kind)
    assert parse_layers(layer.to_text()) == (layer,)
    assert layer.entry.help.endswith(".")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pool", "knows no layer 'pool'"),
        ("transformer", "knows no layer"),
        ("pooling:average", "one or several different ones of cls"),
        ("pooling:mean+mean", "different"),
        ("dense:zero", "whole number from 1 up to 65536.*'zero'"),
        ("dense:0", "from 1"),
        ("dense:64:tanh:5", "takes no further value"),
        ("dense:64:size=4", "no parameter `size`"),
        ("dense:64:out_features=4", "given twice"),
        ("dropout:1.5", "up to 0.95"),
        ("dense:64:bias=maybe", "true or false"),
    ],
)
def test_bad_text_names_the_value(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_layers(text)


@pytest.mark.parametrize(
    "data", ["[1]", '{"kind": "dense"}', "nonsense", '[{"kind": "lstm"}]', '[{"kind": "dense", "params": {"x": 1}}]']
)
def test_json_that_is_no_architecture(data: str) -> None:
    with pytest.raises(ConfigError):
        ArchitectureSpec.from_json(data)
