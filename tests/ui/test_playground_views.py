"""What the views of the playground say, without a browser and without a model."""

from pathlib import Path

import numpy as np
import pytest

from workbench.errors import DataError, InputError
from workbench.models import TokenCounts
from workbench.playground import HeldOut, Hit, Quality, Threshold
from workbench.playground.process import Found, Read
from workbench.playground.quality import SizeQuality
from workbench.ui.pages import playground_views as views
from workbench.ui.text_source import Collection
from workbench.ui.waiting import Done, Waiting, follow, stage_words

LIMIT = 8


class Encoder:
    """Two models: `length` looks at the number of letters, `vowels` at the share of them."""

    def encode(self, model, texts, tell=None):
        rows = [[len(text), 10.0, 0.0] if model == "length" else [sum(map(text.count, "aeiou")), 1.0, len(text)] for text in texts]
        return np.array(rows, dtype=np.float32)

    def count(self, model, texts, tell=None):
        lengths = np.array([len(text.split()) + 2 for text in texts])
        none = np.zeros(len(texts), dtype=np.int64)
        alike = [(0, 1)] if len(texts) > 1 and min(lengths) > LIMIT else []
        return Read(TokenCounts(LIMIT, 2, lengths, none, none.astype(bool)), alike)

    def search(self, model, corpus, queries, tell=None):
        from workbench.playground import cosines

        return Found(cosines(self.encode(model, queries), self.encode(model, corpus)), 12.3, 0.001, model == "vowels")

    def project(self, model, texts, method, tell=None):
        return self.encode(model, texts)[:, :2], [0.6, 0.2] if method == "pca" else []

    def sizes(self, model, texts, tell=None):
        from workbench.playground import measure_sizes

        return measure_sizes(self.encode(model, texts))

    def quality(self, model, held_out, tell=None):
        assert held_out.folder is not None
        sizes = [SizeQuality(4, "float32", 16, 0.612345678), SizeQuality(4, "int8", 4, 0.6), SizeQuality(4, "binary", 1, -0.1)]
        return Quality("spearman_cosine", 64, tuple(sizes))


class FakeContext:
    encoder = Encoder()
    home = Path("/nowhere")


NAMES = {"length": "Length", "vowels": "Vowels"}
MODELS = ["length", "vowels"]


def say(model, stage):
    pass


def search(texts, query, k=2, models=MODELS):
    return views.search_view(FakeContext(), models, Collection(tuple(texts)), query, k, NAMES, say)


def test_a_search_says_how_places_differ():
    view = search(["bbb", "aaaaaaaaaaaa", "aei"], "aeiou")
    first, second = view["panels"]
    assert first["title"] == "Length" and first["time"] == "3 texts encoded in 12 s, searched in under 0.01 s"
    assert second["time"].startswith("3 texts encoded before")
    assert [hit["text"] for hit in first["hits"]] == ["bbb", "aei"]
    assert [hit["badge"] for hit in first["hits"]] == ["new (other: 3.)", "= same"]
    assert "Most like “aeiou”." in view["note"]
    first, second = search(["bbb", "aaaaaaaaaaaa", "aei"], "aeiou", k=3)["panels"]
    assert [hit["badge"] for hit in first["hits"]] == ["▲ up 2", "= same", "▼ down 2"]
    assert [hit["badge"] for hit in second["hits"]] == ["▲ up 2", "= same", "▼ down 2"]


def test_a_text_is_no_neighbour_of_its_own():
    view = search(["aeiou", "aei"], "aeiou", models=["length"])
    (panel,) = view["panels"]
    assert [hit["text"] for hit in panel["hits"]] == ["aei"] and panel["hits"][0]["badge"] == ""
    assert "The text itself is left out" in view["note"]
    assert panel["time"].startswith("2 texts"), "all of them are encoded, so that the next query finds them remembered"


@pytest.mark.parametrize(
    ("texts", "query", "reason"), [(["a"], "  ", "what to look for"), ([], "a", "nothing to search in"), (["a"], "a", "nothing to")]
)
def test_a_search_without_texts_or_query(texts, query, reason):
    with pytest.raises(InputError, match=reason):
        search(texts, query)


@pytest.mark.parametrize(
    ("hit", "badge", "change"),
    [
        (Hit(1, 0, "a", 0.5, 4, 3), "▲ up 3", "up"),
        (Hit(2, 0, "a", 0.5, 1, -1), "▼ down 1", "down"),
        (Hit(2, 0, "a", 0.5, 2, 0), "= same", "same"),
        (Hit(2, 0, "a", 0.5, 1204, None), "new (other: 1,204.)", "new"),
        (Hit(2, 0, "a", 0.5), "", ""),
    ],
)
def test_changes_of_place_are_words(hit, badge, change):
    row = views.hit_row(hit)
    assert (row["badge"], row["change"], row["score"]) == (badge, change, "0.500")


def test_maps_lie_alike_and_leave_out_what_is_too_much(monkeypatch):
    monkeypatch.setattr(views, "MOST_POINTS", 3)
    collection = Collection(("a", "bb", "ccc", "dddd"), ("x", "y", "x", "y"))
    view = views.map_view(FakeContext(), MODELS, collection, "pca", NAMES, say)
    assert view["texts"] == ["a", "bb", "ccc"] and view["labels"] == ["x", "y", "x"]
    assert view["note"] == "The first 3 of 4 texts are drawn."
    first, second = view["panels"]
    assert "80%" in first["caption"] and "Turned to lie like the first" in second["caption"]
    assert len(first["x"]) == len(first["y"]) == 3
    with pytest.raises(InputError, match="at least three different texts, one per line; there are 2"):
        views.map_view(FakeContext(), MODELS, Collection(("a", "b")), "pca", NAMES, say)


def test_sizes_of_both_models():
    texts = tuple(f"text {'a' * index}" for index in range(8))
    view = views.sizes_view(FakeContext(), MODELS, Collection(texts), NAMES, say)
    assert [panel["title"] for panel in view["panels"]] == ["Length", "Vowels"]
    assert view["panels"][0]["sizes"][0] == {"width": 3, "precision": "float32", "bytes": 12, "spearman": 1.0, "neighbours": 1.0}
    for panel in view["panels"]:
        assert panel["measure"] == "agreement" and "7 nearest" in panel["source"] and "8 texts" in panel["source"]
        assert "belongs to no run" in panel["source"], "why it is agreement and no quality is said"


def test_sizes_of_a_run_are_its_quality_on_its_test_rows(monkeypatch):
    import workbench.playground

    found = {"length": HeldOut(Path("run"), "the run “Mine”", 0.5, None, "Not judged: too few."), "vowels": HeldOut(None, "no run")}
    monkeypatch.setattr(workbench.playground, "find_held_out", lambda model, home: found[model])
    view = views.sizes_view(FakeContext(), ["length"], Collection(()), NAMES, say)
    (panel,) = view["panels"]
    assert panel["measure"] == "quality" and panel["metric"] == "spearman_cosine" and "rank correlation" in panel["words"]
    assert panel["source"] == "Quality on the 64 test rows of the run “Mine”. Not judged: too few." and panel["base"] == 0.5
    assert panel["sizes"][0] == {"width": 4, "precision": "float32", "bytes": 16, "value": 0.61235}
    both = views.sizes_view(FakeContext(), MODELS, Collection(("a", "bb", "ccc")), NAMES, say)
    assert [panel["measure"] for panel in both["panels"]] == ["quality", "agreement"]
    with pytest.raises(InputError, match="at least three"):
        views.sizes_view(FakeContext(), MODELS, Collection(()), NAMES, say)


def test_all_pairs_of_two_models_and_what_is_left_out(monkeypatch):
    monkeypatch.setattr(views, "MOST_SENTENCES", 2)
    heatmaps, rows, note = views.matrix_view(FakeContext(), MODELS, Collection(("a", "bb", "c")), NAMES, say)
    assert [panel["title"] for panel in heatmaps["panels"]] == ["Length", "Vowels"] and len(rows) == 1
    assert note == "The first 2 of 3 texts are compared."
    with pytest.raises(InputError, match="at least two different texts, one per line; there is 1"):
        views.matrix_view(FakeContext(), MODELS, Collection(("a",)), NAMES, say)


def panels_of(collection, models=MODELS):
    return views.matrix_view(FakeContext(), models, collection, NAMES, say)[0]["panels"]


def test_without_thresholds_colours_are_shares_of_the_pairs_shown():
    length, vowels = panels_of(Collection(("a", "bb", "aeiou aeiou")))
    assert length["matches"] is None and "share of the pairs" in length["words"] and length["groups"] == ""
    shades = sorted(length["shades"][row][column] for row, column in ((0, 1), (0, 2), (1, 2)))
    assert shades == [0.0, 0.5, 1.0] == sorted(vowels["shades"][row][column] for row, column in ((0, 1), (0, 2), (1, 2)))
    assert length["places"][0] == [0, 1, 3] and length["matrix"][0][1] > length["matrix"][0][2]


def test_with_thresholds_each_model_decides_by_its_own(monkeypatch):
    import workbench.playground

    found = {"length": Threshold(0.999, "", 0.5), "vowels": Threshold(0.1, "")}
    monkeypatch.setattr(workbench.playground, "find_threshold", lambda model, home: found[model])
    groups = Collection(("a", "bb", "aeiou aeiou"), ("group 1", "group 1", "group 2"))
    length, vowels = panels_of(groups)
    assert length["matches"][0][1] is False and vowels["matches"][0][1] is True
    assert (length["shades"][0][1] < 0.5) and vowels["shades"][0][1] > 0.5
    assert length["groups"].startswith("Right about ") and "of 3 pairs" in length["groups"]
    assert "a cosine of 1.00" in length["words"] and "A pair of one group is above" in length["words"]
    found["vowels"] = Threshold(None, "is not known")
    length, vowels = panels_of(groups)
    assert length["matches"] is None and vowels["matches"] is None, "one kind of colour for both"
    assert length["groups"].startswith("A pair of one group is above one of two groups in ")


def test_what_is_not_read_is_said_once_for_both_models(monkeypatch):
    long = tuple(f"{'word ' * 10}{end}" for end in ("one", "two", "three"))
    note = views.matrix_view(FakeContext(), MODELS, Collection(long), NAMES, say)[2]
    assert note.count("3 of 3 texts are cut off after the 8 tokens that each of these models reads") == 1
    assert "the texts differ, but not in what each of these models reads" in note
    assert "cut off" in views.map_view(FakeContext(), MODELS, Collection(long), "pca", NAMES, say)["note"]
    found = search(["short", "shorter"], long[0])
    assert "Of what is searched for: The text is cut off after the 8 tokens" in found["note"]
    assert "cut off" not in search(["short", "shorter"], "x")["note"]


def test_results_below_the_threshold_are_no_match(monkeypatch):
    import workbench.playground

    monkeypatch.setattr(workbench.playground, "find_threshold", lambda model, home: Threshold(0.97, ""))
    panel = search(["bbb", "aaaaaaaaaaaa", "aei"], "aeiou", k=3, models=["length"])["panels"][0]
    assert panel["threshold"] == "0.97" and [hit["match"] for hit in panel["hits"]] == [True, True, False]


@pytest.mark.parametrize(
    ("cosine", "value", "words"),
    [(0.72, 0.71, "Above the run's threshold 0.71: counts"), (0.7, 0.71, "does not count"), (0.9, None, "no threshold")],
)
def test_a_threshold_in_words(cosine, value, words):
    assert words in views.verdict_words(cosine, Threshold(value, ""))
    decision = "" if value is None else "✓ Match" if cosine >= value else "No match"
    assert views.decision_words(cosine, Threshold(value, "")) == decision


def test_two_models_have_to_be_chosen():
    assert views.check_models("a", "a") == ["a"]
    with pytest.raises(InputError, match="Choose two models"):
        views.check_models("a", None)


def test_work_is_followed_in_words_to_its_end():
    def work(tell):
        tell("m", {"stage": "loading"})
        return 7

    steps = list(follow(work, {"m": "Model"}))
    assert steps[-1] == Done(7)
    assert [step.words for step in steps[:-1]] in ([], ["Loading Model …"])


def test_what_goes_wrong_in_the_work_goes_wrong_here():
    def work(tell):
        raise DataError("no words", "texts")

    with pytest.raises(DataError, match="no words"):
        list(follow(work, {}))


def test_news_reaches_whoever_waits():
    import threading

    go_on = threading.Event()

    def work(tell):
        tell("m", {"stage": "encoding", "done": 256, "total": 10_000})
        go_on.wait(30)

    steps = follow(work, {})
    assert next(steps) == Waiting("m: 256 of 10,000 texts are encoded …")
    go_on.set()
    assert next(steps) == Done(None)


@pytest.mark.parametrize("stage", ["starting", "waiting", "loading", "projecting", "something new"])
def test_every_stage_has_words(stage):
    words = stage_words("Model", {"stage": stage})
    assert words.endswith("…") and len(words) > 8
