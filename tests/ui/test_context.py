import json
import os
import shutil
import threading

import pytest

from workbench.errors import ModelError
from workbench.ui import Context


@pytest.fixture
def context(settings):
    context = Context(settings)
    yield context
    context.close()


def test_a_base_is_looked_up_again_once_its_files_have_changed(context, tmp_path, monkeypatch):
    from workbench import models

    asked = []
    describe = models.describe_base
    monkeypatch.setattr("workbench.models.describe_base", lambda *given: asked.append(given) or describe(*given))
    folder = tmp_path / "encoder"
    folder.mkdir()
    config = folder / "config.json"
    for width, looked_up in ((32, 1), (32, 1), (64, 2)):
        text = json.dumps({"model_type": "bert", "hidden_size": width, "vocab_size": 300, "max_position_embeddings": 64})
        if not config.exists() or config.read_text() != text:
            config.write_text(text)
            os.utime(config, ns=(width, width))
        assert context.describe_base(str(folder)).width == width
        assert len(asked) == looked_up
    shutil.rmtree(folder)
    with pytest.raises(ModelError, match="There is no base model"):
        context.describe_base(str(folder))


def test_a_question_that_is_asked_again_is_answered_once(context):
    started, told, asked = threading.Event(), threading.Event(), []

    def work():
        asked.append("once")
        started.set()
        told.wait(30)
        return "answer"

    first = threading.Thread(target=context.answer_once, args=("w1", 1, work))
    first.start()
    assert started.wait(30)
    assert context.answer_once("w1", 1, work) is None, "still in the making"
    told.set()
    first.join(30)
    assert context.answer_once("w1", 1, work) == "answer", "the first answer may have been lost"
    assert asked == ["once"]
    assert context.answer_once("w2", 1, lambda: "other") == "other"


def test_a_question_that_failed_may_be_asked_again(context):
    with pytest.raises(ZeroDivisionError):
        context.answer_once("w1", 1, lambda: 1 / 0)
    assert context.answer_once("w1", 1, lambda: "answer") == "answer"
