"""The drawing of the objective as data: one tower a text, the widths of the stack, the loss on top, and all of it as text."""

import pytest

from workbench.recipe import KINDS, LOSSES, ArchitectureSpec, EncoderInfo, LayerSpec, LossSpec, default_loss, parse_layers
from workbench.ui.components.towers import describe_towers, layer_values
from workbench.ui.draft import Draft
from workbench.ui.pages.build import caption

ENCODER = EncoderInfo("tiny", "folder", "bert", width=384, num_parameters=1000, max_seq_length=256, max_positions=512)


def towers(layers="pooling:mean,dense:256:tanh", kind="scored_pairs", loss=None):
    stack = ArchitectureSpec((LayerSpec("transformer"), *(parse_layers(layers) if layers else ())))
    return describe_towers(stack.layers, stack.propagate(ENCODER), kind, loss or default_loss(kind), "tiny", "as it is")


def test_a_pair_has_two_towers_with_the_layers_and_widths_of_the_stack():
    value = towers()
    assert value["towers"] == [{"name": "u", "role": "sentence1"}, {"name": "v", "role": "sentence2"}]
    assert value["layers"] == [
        {"title": "Transformer", "detail": "tiny", "out": "tokens × 384"},
        {"title": "Pooling", "detail": "mean", "out": "384"},
        {"title": "Dense", "detail": "256, tanh", "out": "256"},
    ]
    assert value["joins"] == ["cosine(u, v)"]
    assert (value["loss"]["name"], value["loss"]["target"]) == ("CoSENTLoss", "score")
    assert value["broken"] is False
    assert value["text"].startswith("Two towers with shared weights: sentence1 and sentence2 go through Transformer (tiny) giving")
    assert "On top: cosine(u, v). The loss is CoSENTLoss, compared with the score." in value["text"]


def test_a_triplet_has_three_and_its_negatives_are_candidates():
    value = towers(kind="triplets")
    assert [tower["name"] for tower in value["towers"]] == ["u", "v", "w"]
    assert [tower["role"] for tower in value["towers"]] == ["anchor", "positive", "negative"]
    assert value["candidates"] == ["v", "w"]
    assert value["loss"]["target"] is None
    assert "anchor, positive and negative go through" in value["text"] and "become u, v and w" in value["text"]


def test_the_classifier_on_u_v_and_their_difference():
    value = towers(kind="class_pairs")
    assert value["joins"] == ["[u; v; |u − v|]", "linear layer, 3 × width → classes"]
    assert value["loss"]["target"] == "label"


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_drawn_for_every_kind_it_trains_on(name):
    for kind in LOSSES[name].kinds:
        value = towers(kind=kind, loss=LossSpec(name))
        assert len(value["towers"]) == len(KINDS[kind].texts)
        assert value["loss"]["formula"] and name in value["text"]
        assert bool(value["candidates"]) == LOSSES[name].in_batch_negatives


@pytest.mark.parametrize("layers", ["dense:8", "pooling,pooling", ""])
def test_a_stack_that_cannot_be_built_is_drawn_as_broken(layers):
    value = towers(layers)
    assert value["broken"] is True
    assert "cannot be built yet" in value["text"]
    if layers:
        assert value["layers"][-1]["out"] == "?"


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ("pooling:mean+max", "mean+max"),
        ("pooling:mean:include_prompt=false", "mean, include_prompt=false"),
        ("dense:128:relu:bias=false", "128, relu, bias=false"),
        ("dropout:0.5", "0.5"),
        ("normalize", ""),
    ],
)
def test_a_box_says_what_makes_the_layer_what_it_is(layer, words):
    assert layer_values(parse_layers(layer)[0]) == words


def test_the_caption_says_what_is_assumed():
    class Dataset:
        name, rows, kind = "mine.csv", 12, "triplets"

    assert "No data set is chosen yet, so this is drawn for scored pairs" in caption(Draft(), None)
    assert caption(Draft(data="x"), Dataset) == (
        "mine.csv: 12 triplets, with MultipleNegativesRankingLoss, which fits them unless Train says otherwise."
    )
    assert "with TripletLoss as chosen in Train" in caption(Draft(loss=LossSpec("TripletLoss")), Dataset)
    assert "CoSENTLoss does not train on triplets" in caption(Draft(loss=LossSpec("CoSENTLoss")), Dataset)
