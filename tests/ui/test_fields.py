import dataclasses

import pytest

from workbench.errors import ConfigError
from workbench.recipe import LOSSES, TRAINING_PARAMETERS, LossSpec, TrainingConfig
from workbench.ui import fields


def test_every_training_field_is_shown():
    assert set(fields.SHOWN) == {item.name for item in dataclasses.fields(TrainingConfig)}
    assert set(fields.FRONT) <= set(fields.SHOWN)


def test_every_shown_field_has_a_label():
    assert set(fields.LABELS) == set(fields.SHOWN) | set(fields.LOSS_PARAMETERS)


def test_every_loss_parameter_has_one_widget():
    for entry in LOSSES.values():
        for parameter in entry.parameters:
            assert fields.LOSS_PARAMETERS[parameter.name].type == parameter.type


@pytest.mark.parametrize(
    "config",
    [
        TrainingConfig(),
        TrainingConfig(
            epochs=0.5, batch_size=8, learning_rate=3e-5, max_steps=7, micro_batch_size=4, precision="fp32", device="cuda:1"
        ),
    ],
)
def test_the_form_gives_back_what_it_shows(config):
    shown = {name: fields.to_widget(parameter, getattr(config, name)) for name, parameter in fields.SHOWN.items()}
    assert fields.read_training(shown) == config


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("epochs", None, "is empty"),
        ("batch_size", 2.5, "whole number"),
        ("learning_rate", "fast", "or auto"),
        ("learning_rate", None, "usual value is auto"),
        ("device", "tpu", "cuda:N"),
        ("precision", "int8", "one of"),
    ],
)
def test_a_bad_value_is_named(name, value, words):
    problem = fields.find_problem(name, value)
    assert problem is not None
    assert words in problem
    assert name in problem


def test_good_values_have_no_problem():
    config = TrainingConfig()
    for name, parameter in fields.SHOWN.items():
        assert fields.find_problem(name, fields.to_widget(parameter, getattr(config, name))) is None


def test_widgets_follow_from_the_table():
    import gradio as gr

    with gr.Blocks():
        for parameter in TRAINING_PARAMETERS:
            widget = fields.create_field(parameter, parameter.default, "train")
            assert widget.elem_id == f"train-{parameter.name}".replace("_", "-")
            assert parameter.help in widget.info


def test_a_loss_takes_only_its_own_parameters():
    values = {"scale": 12.0, "margin": 0.4, "triplet_margin": 2.0}
    assert fields.read_loss("ContrastiveLoss", values) == LossSpec("ContrastiveLoss", {"margin": 0.4})
    assert fields.read_loss(None, values) is None
    assert fields.read_loss("CosineSimilarityLoss", values) == LossSpec("CosineSimilarityLoss")


def test_a_bad_loss_is_refused():
    with pytest.raises(ConfigError, match="`scale` of CoSENTLoss"):
        fields.read_loss("CoSENTLoss", {"scale": 0})
    with pytest.raises(ConfigError, match="There is no loss"):
        fields.read_loss("NoLoss", {})
