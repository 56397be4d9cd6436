import pytest

from workbench.errors import InputError
from workbench.playground import ExampleSet, open_examples, save_examples
from workbench.playground.examples import LARGEST


def test_a_set_opens_as_it_was_saved_and_the_same_one_has_the_same_name(home):
    examples = ExampleSet("a", "base:a", "search", ("one", "zwei"), ("x", "y"), "file.csv", ("p", "q"), "query", 5, "pca")
    name = save_examples(examples, home)
    assert open_examples(name, home) == examples
    assert save_examples(examples, home) == name
    assert save_examples(ExampleSet("a"), home) != name
    assert len(list((home / "examples").iterdir())) == 2


@pytest.mark.parametrize(("name", "reason"), [("../../etc/passwd", "names no examples"), ("0" * 16, "not on this machine")])
def test_a_link_to_nothing_is_said_in_words(home, name, reason):
    with pytest.raises(InputError, match=reason):
        open_examples(name, home)


def test_a_broken_or_newer_file(home):
    name = save_examples(ExampleSet("a"), home)
    path = home / "examples" / f"{name}.json"
    path.write_text('{"first": "b", "colour": "blue"}')
    assert open_examples(name, home) == ExampleSet("b")
    path.write_text("{")
    with pytest.raises(InputError, match="cannot be read any more"):
        open_examples(name, home)


def test_what_is_too_large_for_a_link_is_refused(home):
    with pytest.raises(InputError, match="use fewer texts"):
        save_examples(ExampleSet(texts=("x" * (LARGEST + 1),)), home)
