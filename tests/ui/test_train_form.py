import dataclasses

import pytest

from workbench.data import import_file
from workbench.errors import ConfigError
from workbench.recipe import LossSpec
from workbench.ui import Context, Draft, fields, load_draft, save_draft, update_draft
from workbench.ui.train_form import as_shown, take_form


@pytest.fixture
def context(settings):
    context = Context(settings)
    yield context
    context.close()


@pytest.fixture
def planned(home, pairs_csv):
    data = import_file(pairs_csv, home, columns={"sentence1": "left", "sentence2": "right", "score": "similarity"}, name="pairs")
    draft = Draft(base="scratch", data=data.ref)
    save_draft(home, draft)
    return draft


def filled(draft, context, **typed):
    """What is in a form that was filled from a draft, and then typed in."""
    shown = as_shown(draft, context)
    values = {name: fields.to_widget(parameter, getattr(shown.training, name)) for name, parameter in fields.SHOWN.items()}
    loss = {f"loss_{name}": shown.loss.params.get(name, parameter.default) for name, parameter in fields.LOSS_PARAMETERS.items()}
    return {"name": shown.name, "watch": "\n".join(shown.watch), "loss": shown.loss.name, **loss, **values, **typed}


def test_a_form_that_nobody_touched_changes_nothing(context, planned, home):
    taken = take_form(context, planned, filled(planned, context), follow=False)
    assert (taken.draft, taken.elsewhere, taken.fits) == (planned, (), True)
    assert load_draft(home) == planned


def test_what_was_typed_is_saved_beside_what_another_window_has_changed(context, planned, home):
    values = filled(planned, context, seed=7, name=" mine ")
    update_draft(home, base="mini", allow_leaking_split=True)
    taken = take_form(context, planned, values, follow=False)
    assert taken.elsewhere == ("base scratch → mini", "random split not allowed → allowed")
    draft = load_draft(home)
    assert (draft.base, draft.allow_leaking_split, draft.training.seed, draft.name) == ("mini", True, 7, "mine")
    assert taken.fits, "the form shows no base"


def test_what_both_have_changed_is_as_typed_and_no_surprise(context, planned, home):
    update_draft(home, training=dataclasses.replace(planned.training, epochs=9.0), touched=("epochs",))
    taken = take_form(context, planned, filled(planned, context, epochs=2), follow=False)
    assert taken.elsewhere == () and taken.draft.training.epochs == 2


def test_only_settings_that_were_typed_are_touched_and_an_objective_only_when_chosen(context, planned, home):
    take_form(context, planned, filled(planned, context, epochs=2))
    draft = load_draft(home)
    assert (draft.touched, draft.loss, draft.watch) == (("epochs",), None, None)
    taken = take_form(context, draft, filled(draft, context, loss="CosineSimilarityLoss", loss_scale=3.0))
    assert taken.draft.loss == LossSpec("CosineSimilarityLoss")
    assert not taken.fits, "the parameters of another objective are not shown yet"


def test_a_form_filled_from_what_has_changed_meanwhile_must_be_filled_again(context, planned, home):
    update_draft(home, loss=LossSpec("CoSENTLoss", {"scale": 7.0}))
    taken = take_form(context, planned, filled(planned, context), follow=False)
    assert taken.elsewhere == ("objective CoSENTLoss (scale 5) → CoSENTLoss (scale 7)",) and not taken.fits


def test_a_value_that_cannot_be_used_saves_nothing(context, planned, home):
    with pytest.raises(ConfigError, match="epochs"):
        take_form(context, planned, filled(planned, context, epochs=-1, name="mine"))
    assert load_draft(home) == planned
