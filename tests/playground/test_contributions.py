import numpy as np
import pytest
from torch import nn

from workbench import SentenceTransformer, models
from workbench.errors import DataError
from workbench.playground.contributions import contributions, exact

FIRST, SECOND = "Please reset my router", "please move the phone and the router today"


def build(tiny_bert, *, mode="mean", after=(), limit=None):
    encoder = models.Transformer(str(tiny_bert), max_seq_length=limit)
    pooling = models.Pooling(encoder.get_word_embedding_dimension(), mode)
    return SentenceTransformer(modules=[encoder, pooling, *after], device="cpu")


def cosine(model, first, second):
    vectors = model.encode([first, second], normalize_embeddings=True)
    return float(vectors[0] @ vectors[1])


def test_the_parts_of_a_cosine_add_up_to_it():
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=(4, 8)), generator.normal(size=(6, 8))
    value, (first, second) = exact(x, y)
    u, v = x.sum(axis=0), y.sum(axis=0)
    assert value == pytest.approx(u @ v / np.linalg.norm(u) / np.linalg.norm(v))
    assert first.sum() == pytest.approx(value) and second.sum() == pytest.approx(value)
    assert exact(np.zeros((2, 8)), y)[0] == 0


@pytest.mark.parametrize("mode", ["mean", "mean_sqrt_len_tokens", "weightedmean"])
def test_for_pooled_sums_the_words_add_up_to_the_models_cosine(tiny_bert, mode):
    model = build(tiny_bert, mode=mode, after=[models.Normalize()])
    answer = contributions(model, FIRST, SECOND)
    assert answer["method"] == "exact"
    assert answer["cosine"] == pytest.approx(cosine(model, FIRST, SECOND), abs=1e-5)
    for side in answer["sides"]:
        assert sum(side["scores"]) == pytest.approx(answer["cosine"], abs=1e-6)
    first, second = answer["sides"]
    assert first["words"] == ["[CLS]", "Please", "reset", "my", "router", "[SEP]"]
    assert first["special"] == [True, False, False, False, False, True]
    assert second["words"][1:-1] == SECOND.split() and len(second["scores"]) == len(second["words"])


def test_a_cut_model_decomposes_what_it_keeps(tiny_bert):
    model = build(tiny_bert)
    model.truncate_dim = 8
    assert contributions(model, FIRST, SECOND)["cosine"] == pytest.approx(cosine(model, FIRST, SECOND), abs=1e-5)


@pytest.mark.parametrize("stack", ["cls", "max", "dense", "two"])
def test_elsewhere_each_word_is_left_out_once(tiny_bert, stack):
    mode = {"cls": "cls", "max": "max", "two": ("mean", "max")}.get(stack, "mean")
    model = build(tiny_bert, mode=mode, after=[models.Dense(32, 16, activation_function=nn.Tanh())] if stack == "dense" else [])
    answer = contributions(model, FIRST, SECOND)
    assert answer["method"] == "occlusion"
    whole = cosine(model, FIRST, SECOND)
    assert answer["cosine"] == pytest.approx(whole, abs=1e-5)
    first, _ = answer["sides"]
    assert first["words"] == FIRST.split() and not any(first["special"])
    without = cosine(model, "Please my router", SECOND)
    assert first["scores"][1] == pytest.approx(whole - without, abs=1e-5)


def test_word_pieces_of_one_word_are_added_up(tiny_bert):
    model = build(tiny_bert)
    assert len(model.tokenize(["rebooting"])[0]) > 3
    side = contributions(model, "rebooting", "router")["sides"][0]
    assert side["words"] == ["[CLS]", "rebooting", "[SEP]"]


def test_a_prompt_is_no_part_of_the_text(tiny_bert):
    model = build(tiny_bert)
    model.prompts, model.default_prompt_name = {"query": "check: "}, "query"
    answer = contributions(model, FIRST, SECOND)
    assert answer["method"] == "occlusion" and answer["sides"][0]["words"] == FIRST.split()
    assert answer["cosine"] == pytest.approx(cosine(model, FIRST, SECOND), abs=1e-5)


def test_what_the_model_does_not_read_is_said(tiny_bert):
    side = contributions(build(tiny_bert, limit=6), "please reset my router and my phone", "router")["sides"][0]
    assert side["cut"] and len(side["words"]) <= 6


def test_a_text_without_words_is_refused(tiny_bert):
    with pytest.raises(DataError, match="finds no words"):
        contributions(build(tiny_bert), " ", "router")
