import logging

import gradio as gr
import pytest

from workbench.errors import DataError, RunError
from workbench.ui.feedback import guarded, sentence


def test_a_sentence_for_the_user_is_shown_as_it_is():
    assert sentence(DataError("The file is empty.")) == "The file is empty."


def test_a_defect_is_logged_and_shown_without_its_text(caplog):
    with caplog.at_level(logging.ERROR, logger="workbench.ui"):
        text = sentence(KeyError("secret"))
    assert "secret" not in text
    assert "KeyError" in text
    assert "secret" in caplog.text


@pytest.mark.parametrize(("error", "title"), [(DataError("Words."), "Please check"), (RunError("Words."), "Error")])
def test_a_guarded_handler_raises_only_what_gradio_shows(error, title):
    def handler():
        raise error

    with pytest.raises(gr.Error) as caught:
        guarded(handler)()
    assert caught.value.message == "Words."
    assert caught.value.title == title


def test_a_guarded_handler_keeps_its_signature():
    def handler(first: int, event: gr.EventData) -> int:
        return first

    assert guarded(handler).__wrapped__ is handler
    assert guarded(handler)(3, None) == 3
