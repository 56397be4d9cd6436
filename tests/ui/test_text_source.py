import pytest

from workbench.errors import InputError
from workbench.playground import ExampleSet, save_examples
from workbench.settings import Settings
from workbench.ui.context import Context
from workbench.ui.text_source import NO_LABEL, guess_columns, read_collection, read_columns, typed_text
from workbench.ui.uploads import SAMPLE, store_upload


@pytest.fixture
def context(home):
    home.mkdir()
    return Context(Settings(home=home))


def upload(context, tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return store_upload(path, context.home)


def test_typed_lines_are_counted_once_and_blank_ones_not_at_all(context):
    collection = read_collection(context, " one\n\none \n two  words\n", "", None, None)
    assert collection.texts == ("one", "two words") and collection.labels == () and collection.name == ""
    assert collection.first(1).texts == ("one",)


def test_blank_lines_make_groups_that_come_back_as_they_were_typed(context):
    typed = "cancel it\nend it\n\n\nmove it\n  \nwhere is it\nwhere did it go"
    collection = read_collection(context, typed, "", None, None)
    assert collection.labels == ("group 1", "group 1", "group 2", "group 3", "group 3")
    assert typed_text(collection) == "cancel it\nend it\n\nmove it\n\nwhere is it\nwhere did it go"
    assert read_collection(context, typed_text(collection), "", None, None) == collection
    for without in ("a\nb\nc", "a\n\nb\n\nc", "\n\na\nb\n"):
        assert read_collection(context, without, "", None, None).labels == ()
    assert typed_text(read_collection(context, "a\nb", "", None, None)) == "a\nb"


def test_a_column_of_a_file_with_its_labels(context, tmp_path):
    token = upload(context, tmp_path, "mails.csv", "id,subject,text\n1,bill,too high\n2,move,new flat\n3,bill,too high\n")
    collection = read_collection(context, "typed", token, "text", "subject")
    assert collection.texts == ("too high", "new flat") and collection.labels == ("bill", "move")
    assert collection.name == "mails.csv, column text"
    assert read_collection(context, "", token, "text", NO_LABEL).labels == ()
    with pytest.raises(InputError, match=r"no column 'body'; choose one of id, subject, text"):
        read_collection(context, "", token, "body", None)


def test_lines_of_a_text_file_are_texts_even_the_first(context, tmp_path):
    token = upload(context, tmp_path, "lines.txt", "name, and more\nother\n")
    assert read_collection(context, "", token, "line", None).texts == ("name, and more", "other")


def test_the_texts_of_a_link(context):
    name = save_examples(ExampleSet(texts=("a", "b"), labels=("x", "y"), name="old.csv"), context.home)
    collection = read_collection(context, "typed", f"set:{name}", None, None)
    assert (collection.texts, collection.labels, collection.name) == (("a", "b"), ("x", "y"), "old.csv")


def test_what_is_gone_is_said_in_words(context):
    with pytest.raises(InputError, match="gone from the server"):
        read_collection(context, "", "0" * 32, "text", None)


@pytest.mark.parametrize(
    ("columns", "guess"),
    [
        ({"id": [str(i) for i in range(9)], "text": ["some words"] * 9}, ("text", NO_LABEL)),
        ({"topic": ["a", "b"] * 9, "text": [f"some longer words {i}" for i in range(18)]}, ("text", "topic")),
        ({"score": ["1", "4,5"] * 9, "text": [f"some longer words {i}" for i in range(18)]}, ("text", NO_LABEL)),
        ({"label": ["1", "0"] * 9, "text": [f"some longer words {i}" for i in range(18)]}, ("text", "label")),
        ({"one": ["some words here"] * 3, "other": ["some more words here"] * 3}, ("one", NO_LABEL)),
        ({"only": ["a", "b"]}, ("only", NO_LABEL)),
    ],
)
def test_columns_are_guessed(columns, guess):
    assert guess_columns(columns) == guess


def test_the_sample_texts(context):
    from workbench.ui.uploads import upload_path

    assert guess_columns(read_columns(upload_path(SAMPLE, context.home))) == ("sentence1", NO_LABEL)
    assert len(read_collection(context, "", SAMPLE, "sentence1", None).texts) > 400
