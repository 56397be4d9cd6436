import json
import os
import shutil
import threading

import pytest

from workbench.data import import_file
from workbench.errors import ModelError
from workbench.ui import Context
from workbench.ui.draft import Draft
from workbench.ui.pages.train import describe_plan


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


KOREAN = [
    "무선 네트워크 비밀번호를 어떻게 바꾸나요",
    "기사님이 오지 않았어요",
    "요금이 너무 많이 나왔습니다",
    "계약을 해지하고 싶어요",
]


@pytest.fixture
def korean(context, tmp_path):
    path = tmp_path / "korean.csv"
    rows = [f"{KOREAN[row % 4]} {row},{KOREAN[(row + 1) % 4]} {row},{row % 6}" for row in range(120)]
    path.write_text("\n".join(["sentence1,sentence2,score", *rows]), encoding="utf-8")
    return import_file(path, context.home)


@pytest.fixture
def plan(context, monkeypatch):
    monkeypatch.setattr("workbench.ui.pages.train.notice", lambda words, tone, basis=None: (words, tone))
    return lambda base, data: describe_plan(context, Draft(base=base, data=data.ref))


def test_the_plan_says_what_the_encoder_was_not_made_for(plan, korean, monkeypatch):
    words, tone = plan("mini", korean)
    assert "unknown to `mini`" in words and "paraphrase-multilingual-MiniLM-L12-v2" in words and tone == "warning"
    assert words.startswith("mini ("), "the plan itself stays"
    monkeypatch.setattr("workbench.runs.read_dataset", lambda recipe, home: pytest.fail("it was looked up already"))
    assert plan("mini", korean) == (words, tone)


def test_of_texts_that_are_read_as_they_are_nothing_is_said(context, plan, korean):
    words, tone = plan("scratch", korean)
    assert "made for" not in words and tone == "plain"
    assert context.not_read(Draft(base="someone/not-here", data=korean.ref).to_recipe()) == ()
