"""Facts that are remembered: what a base encoder does not read of a data set, and that the plan says it."""

import pytest

from workbench.data import import_file
from workbench.settings import Settings
from workbench.ui.context import Context
from workbench.ui.draft import Draft
from workbench.ui.pages.train import describe_plan

KOREAN = [
    "무선 네트워크 비밀번호를 어떻게 바꾸나요",
    "기사님이 오지 않았어요",
    "요금이 너무 많이 나왔습니다",
    "계약을 해지하고 싶어요",
]


@pytest.fixture
def context(home):
    home.mkdir()
    return Context(Settings(home=home))


@pytest.fixture
def korean(context, tmp_path):
    path = tmp_path / "korean.csv"
    rows = [f"{KOREAN[row % 4]} {row},{KOREAN[(row + 1) % 4]} {row},{row % 6}" for row in range(120)]
    path.write_text("\n".join(["sentence1,sentence2,score", *rows]), encoding="utf-8")
    return import_file(path, context.home)


@pytest.fixture
def plan(context, monkeypatch):
    monkeypatch.setattr("workbench.ui.pages.train.notice", lambda words, tone: (words, tone))
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
