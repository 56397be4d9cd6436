"""What the browser sends is never trusted; what it gets back says where each problem stands."""

import dataclasses

import pytest

from workbench.recipe import LAYERS, ArchitectureSpec, EncoderInfo, LayerSpec
from workbench.settings import Settings
from workbench.ui.components.layer_stack import (
    MAX_LAYERS,
    acknowledge,
    decline,
    describe_kinds,
    describe_replaced,
    fail,
    propagate,
    read_document,
    redirect,
    write_document,
)
from workbench.ui.context import WINDOWS_REMEMBERED, Context

ENCODER = EncoderInfo("tiny", "folder", "bert", width=384, num_parameters=1000, max_seq_length=256, max_positions=512)


def document(*layers, **fields):
    items = [{"id": f"b{index}", "kind": kind, "params": params} for index, (kind, params) in enumerate(layers)]
    return read_document({"epoch": 3, "rev": 7, "ask": 5, "base": "tiny", "saved": "", "layers": items, **fields})


def kinds(read):
    return [block.spec.kind for block in read.blocks]


def test_a_sound_document_is_read_as_it_is():
    read = document(
        ("transformer", {}), ("pooling", {"pooling_mode": ["max", "mean"]}), ("dense", {"out_features": 128, "bias": False})
    )
    assert (read.epoch, read.rev, read.base) == (3, 7, "tiny")
    assert [block.id for block in read.blocks] == ["b0", "b1", "b2"]
    assert read.complete
    assert read.architecture.to_text() == "pooling:max+mean,dense:128:bias=false"


def test_unknown_kinds_and_parameters_are_dropped():
    read = document(("transformer", {}), ("exec", {"code": "x"}), ("pooling", {"shell": "rm"}), ("normalize", {"p": 2}))
    assert kinds(read) == ["transformer", "pooling", "normalize"]
    assert dict(read.blocks[1].spec.params) == {"pooling_mode": ("mean",), "include_prompt": True}
    assert dict(read.blocks[2].spec.params) == {}
    assert read.complete


def test_there_is_one_transformer_and_it_is_first():
    read = document(("pooling", {}), ("transformer", {}), ("dense", {}), ("transformer", {}))
    assert kinds(read) == ["transformer", "pooling", "dense"]
    assert len({block.id for block in read.blocks}) == 3


@pytest.mark.parametrize(
    "value", [None, "text", 5, [], {"layers": "x"}, {"layers": [None, 3, {"kind": ["pooling"]}, {"kind": None}]}]
)
def test_what_is_no_document_becomes_an_empty_stack(value):
    read = read_document(value)
    assert kinds(read) == ["transformer"]
    assert (read.epoch, read.rev, read.base, read.saved) == (0, 0, "", "")


def test_ids_are_unique_and_harmless():
    items = [
        {"id": name, "kind": kind}
        for name, kind in [("a", "transformer"), ("a", "pooling"), ("<img>", "dense"), (7, "dense"), ("x" * 99, "dense")]
    ]
    ids = [block.id for block in read_document({"layers": items}).blocks]
    assert ids[0] == "a"
    assert len(set(ids)) == 5
    assert all(name.replace("-", "").isalnum() for name in ids)


def test_numbers_of_the_protocol_are_whole_and_not_negative():
    read = document(("transformer", {}), epoch=-1, rev=True, base=3, saved=None)
    assert (read.epoch, read.rev, read.base, read.saved) == (0, 0, "", "")


def test_a_document_has_an_end():
    read = document(("transformer", {}), *[("normalize", {})] * 500)
    assert len(read.blocks) == MAX_LAYERS


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("dense", "out_features", "abc"),
        ("dense", "out_features", None),
        ("dense", "out_features", 0),
        ("dense", "out_features", 1.5),
        ("dense", "out_features", True),
        ("dense", "activation_function", "exec"),
        ("dense", "activation_function", ["tanh"]),
        ("dense", "activation_function", {}),
        ("dense", "bias", "yes"),
        ("pooling", "pooling_mode", []),
        ("pooling", "pooling_mode", ["mean", "mean"]),
        ("pooling", "pooling_mode", [["mean"]]),
        ("pooling", "pooling_mode", "middle"),
        ("dropout", "dropout", 2),
        ("dropout", "dropout", "9" * 1000),
        ("dense", "out_features", 10**400),
    ],
)
def test_a_wrong_value_is_an_error_of_its_field(kind, name, value):
    read = document(("transformer", {}), *([] if kind == "pooling" else [("pooling", {})]), (kind, {name: value}))
    block = read.blocks[-1]
    assert set(block.problems) == {name}
    assert f"`{name}`" in block.problems[name]
    assert len(block.problems[name]) < 600
    assert not read.complete
    (error,) = acknowledge(read, ENCODER)["errors"]
    assert (error["layer"], error["field"]) == (block.id, name)


def test_widths_go_through_the_stack():
    read = document(("transformer", {}), ("pooling", {"pooling_mode": ["mean", "max"]}), ("dense", {"out_features": 100}))
    ack = acknowledge(read, ENCODER, "--base tiny")
    assert [(item["port"], item["width"], item["num_parameters"]) for item in ack["info"]] == [
        ("tokens", 384, 1000),
        ("sentence", 768, 0),
        ("sentence", 100, 769 * 100),
    ]
    assert ack["errors"] == []
    assert ack["total"] == {"width": 100, "num_parameters": 1000 + 76900, "bytes": 400}
    assert (ack["ask"], ack["epoch"], ack["rev"], ack["saved"]) == (5, 3, 7, "--base tiny")


def test_an_encoder_that_does_not_say_how_large_it_is_makes_no_count():
    ack = acknowledge(document(("transformer", {}), ("pooling", {})), dataclasses.replace(ENCODER, num_parameters=0))
    assert [item["num_parameters"] for item in ack["info"]] == [None, 0]
    assert ack["total"]["num_parameters"] is None
    assert ack["total"]["width"] == 384


def test_the_reason_stands_on_the_first_illegal_block_and_widths_end_there():
    read = document(("transformer", {}), ("dense", {}), ("pooling", {}))
    states, errors = propagate(read, ENCODER)
    assert [state.width for state in states] == [384, None, None]
    (error,) = errors
    assert (error["layer"], error["field"]) == ("b1", None)
    assert "put a Pooling layer between" in error["message"]
    assert acknowledge(read, ENCODER)["total"] is None


def test_a_wrong_value_does_not_hide_an_illegal_block_above_it():
    read = document(("transformer", {}), ("dense", {}), ("pooling", {}), ("dense", {"out_features": "x"}))
    states, errors = propagate(read, ENCODER)
    assert [state.width for state in states] == [384, None, None, None]
    assert {(error["layer"], error["field"]) for error in errors} == {("b1", None), ("b3", "out_features")}


def test_widths_end_at_a_wrong_value():
    read = document(("transformer", {}), ("pooling", {}), ("dense", {"out_features": "x"}), ("normalize", {}))
    states, _ = propagate(read, ENCODER)
    assert [state.width for state in states] == [384, 384, None, None]


def test_a_stack_without_pooling_says_so_on_its_last_block():
    ack = acknowledge(document(("transformer", {})), ENCODER)
    (error,) = ack["errors"]
    assert error["layer"] == "b0"
    assert "add a Pooling layer at the end" in error["message"]
    assert ack["total"] is None


def test_a_text_length_beyond_the_encoder_is_an_error_of_the_field():
    ack = acknowledge(document(("transformer", {"max_seq_length": 513}), ("pooling", {})), ENCODER)
    (error,) = ack["errors"]
    assert (error["layer"], error["field"]) == ("b0", "max_seq_length")
    assert "512 at most" in error["message"]


def test_without_facts_the_answer_still_fits_the_question():
    ack = fail(document(("transformer", {}), ("pooling", {})), "No such encoder.")
    assert (ack["epoch"], ack["rev"], ack["total"], ack["saved"]) == (3, 7, None, None)
    assert ack["errors"] == [{"layer": "b0", "field": None, "message": "No such encoder."}]


def test_what_python_writes_it_reads_back():
    layers = [LayerSpec("transformer"), *(LayerSpec(kind) for kind in LAYERS if kind != "transformer")]
    value = write_document("tiny", layers, "--base tiny", after=10**15)
    read = read_document(value)
    assert read.architecture == ArchitectureSpec(layers)
    assert (read.epoch, read.rev, read.base, read.saved) == (10**15 + 1, 0, "tiny", "--base tiny")


def test_a_document_may_give_way_to_edits_it_did_not_know_of():
    layers = [LayerSpec("transformer")]
    assert write_document("tiny", layers, "", 5, only_after=2)["replaces"] == {"epoch": 5, "rev": 2}
    assert write_document("tiny", layers, "", 5)["replaces"] is None


def test_a_later_document_has_a_higher_epoch():
    first = write_document("tiny", [LayerSpec("transformer")], "")
    assert write_document("tiny", [LayerSpec("transformer")], "", first["epoch"])["epoch"] > first["epoch"]


def test_the_script_knows_every_layer_and_every_parameter():
    table = {entry["kind"]: entry for entry in describe_kinds()}
    assert list(table) == list(LAYERS)
    for kind, entry in LAYERS.items():
        assert [parameter["name"] for parameter in table[kind]["parameters"]] == [parameter.name for parameter in entry.parameters]
        assert read_document(
            {"layers": [{"kind": kind, "params": {item["name"]: item["default"] for item in table[kind]["parameters"]}}]}
        ).complete


def test_every_block_says_what_goes_in_and_what_comes_out():
    ports = {entry["kind"]: entry["ports"] for entry in describe_kinds()}
    assert ports["transformer"] == ["text", "tokens", "token vectors"]
    assert ports["pooling"] == ["token vectors", "sentence vector"]
    assert ports["dense"] == ["sentence vector", "sentence vector"]


def test_sentence_vectors_have_a_size_in_bytes_and_token_vectors_have_none():
    ack = acknowledge(document(("transformer", {}), ("pooling", {}), ("dense", {"out_features": 100}), ("pooling", {})), ENCODER)
    assert [item["bytes"] for item in ack["info"]] == [None, 4 * 384, 400, None]


def test_a_stack_that_was_replaced_unseen_comes_along_for_undo():
    replaced = describe_replaced("tiny", [LayerSpec("transformer"), LayerSpec("pooling")], "--base tiny")
    assert acknowledge(document(("transformer", {}), ("pooling", {})), ENCODER, "x", replaced)["replaced"] == replaced
    assert read_document({**replaced, "epoch": 1}).architecture == ArchitectureSpec.default()


def test_the_window_is_told_apart_but_not_trusted():
    assert document(("transformer", {}), window="w1").window == "w1"
    assert document(("transformer", {}), window=["x"]).window == ""
    assert len(document(("transformer", {}), window="x" * 500).window) == 40


def test_an_edit_of_a_replaced_document_is_answered_with_what_replaced_it(home):
    context = Context(Settings(home=home))
    edited = document(("transformer", {}), ("pooling", {}), window="w1")
    news = write_document("tiny", [LayerSpec("transformer")], "--base tiny", after=edited.epoch)
    assert context.missed("w1", edited.epoch) is None
    context.issue("w1", news)
    assert context.missed("w1", edited.epoch) == news
    assert context.missed("w1", news["epoch"]) is None
    assert context.missed("w2", edited.epoch) is None
    assert redirect(edited, news) == {"ask": 5, "epoch": 0, "rev": 0, "news": news}
    assert decline(edited) == {"ask": 5, "epoch": 0, "rev": 0, "news": None}


def test_windows_are_forgotten_in_the_order_of_their_last_change(home):
    context = Context(Settings(home=home))
    for window in ["kept", *(f"w{index}" for index in range(WINDOWS_REMEMBERED - 1)), "kept", "new"]:
        context.issue(window, {"epoch": 9})
    assert context.missed("kept", 1)
    assert context.missed("w0", 1) is None
    assert len(context.issued) == WINDOWS_REMEMBERED


def test_a_window_without_a_name_misses_nothing(home):
    context = Context(Settings(home=home))
    context.issue("", {"epoch": 9})
    assert context.missed("", 1) is None
