"""Each trouble a dry pass is there for, provoked; and that it builds what a run builds."""

import json

import datasets
import pytest
import torch

from workbench.errors import DataError, ModelError
from workbench.models import Dense, Pooling, SentenceTransformer, Transformer, build_network
from workbench.playground import DryPass, EncoderProcess, plan_dry_pass, run_dry_pass
from workbench.playground.dry_pass import DryPassRequest, choose_rows
from workbench.playground.network_probe import probe
from workbench.recipe import ArchitectureSpec, LayerSpec, parse_layers


def stack(text, **encoder):
    return ArchitectureSpec((LayerSpec("transformer", encoder), *parse_layers(text)))


@pytest.fixture
def table(sentences):
    return datasets.Dataset.from_dict(
        {"sentence1": sentences[:20], "sentence2": sentences[20:40], "score": [index / 20 for index in range(20)]}
    )


@pytest.fixture
def ask(tiny_bert, table, home):
    def ask(text="pooling:mean", base=None, **encoder):
        return plan_dry_pass(str(base or tiny_bert), stack(text, **encoder), table, home, 0)

    return ask


def look(model, request):
    return DryPass(**probe(model, request), seconds=0)


def severities(result):
    return [(finding.severity, finding.layer) for finding in result.findings]


def test_shapes_numbers_texts_and_cosines_of_a_sound_stack(ask, tiny_bert, home):
    request = ask("pooling:mean+max,dense:16:tanh,normalize")
    result = run_dry_pass(request)
    assert [layer.title for layer in result.layers] == ["Transformer", "Pooling", "Dense", "Normalize"]
    assert [layer.port for layer in result.layers] == ["tokens", "sentence", "sentence", "sentence"]
    assert [layer.shape for layer in result.layers[1:]] == [(6, 64), (6, 16), (6, 16)]
    assert result.layers[0].shape[0] == 6 and result.layers[0].shape[2] == 32
    assert result.layers[0].shape[1] == max(text.read for text in result.texts)
    assert all(layer.non_finite == 0 and layer.constant is False for layer in result.layers)
    assert all(-1 <= layer.lowest < layer.highest <= 1 for layer in result.layers[2:])
    assert [text.role for text in result.texts] == ["sentence1", "sentence2"] * 3
    assert [pair.row for pair in result.pairs] == list(request.rows)
    assert not [finding for finding in result.findings if finding.severity != "note"]
    torch.manual_seed(0)
    model, _ = build_network(str(tiny_bert), request.architecture, home, [], 0, torch.device("cpu"))
    for pair, first, second in zip(result.pairs, *request.columns, strict=True):
        vectors = model.encode([first, second])
        assert pair.cosine == pytest.approx(float(model.similarity(vectors[0], vectors[1])), abs=1e-5)
    assert [pair.value for pair in result.pairs] == [(row - 1) / 20 for row in request.rows]


def test_a_weight_that_is_no_number_is_found_at_its_layer(ask, tiny_bert, tmp_path):
    model = SentenceTransformer(modules=[Transformer(tiny_bert), Pooling(32), Dense(32, 8)], device="cpu")
    with torch.no_grad():
        model[2].linear.weight[0, 0] = float("nan")
    model.save(tmp_path / "damaged")
    result = run_dry_pass(ask("pooling:mean,dense:8", base=tmp_path / "damaged"))
    assert result.layers[2].non_finite == 6
    assert severities(result) == [("error", 2)]
    assert "Dense returns 6 numbers that are NaN or infinite" in result.findings[0].message
    assert [pair.cosine for pair in result.pairs] == [None] * 3
    json.dumps(result.to_dict(), allow_nan=False)


def test_one_vector_for_all_texts_is_found(ask, tiny_bert):
    model = SentenceTransformer(
        modules=[Transformer(tiny_bert), Pooling(32), Dense(32, 8, activation_function="relu")], device="cpu"
    )
    torch.nn.init.constant_(model[2].linear.bias, -1e3)
    result = look(model, ask())
    assert result.layers[2].constant is True and result.layers[1].constant is False
    assert severities(result) == [("error", 2)]
    assert "gives every text the same vector" in result.findings[0].message
    assert result.layers[2].zero_vectors == 6


def test_a_saturated_tanh_is_found(ask, tiny_bert):
    model = SentenceTransformer(modules=[Transformer(tiny_bert), Pooling(32), Dense(32, 8)], device="cpu")
    assert look(model, ask()).layers[2].saturated == 0
    with torch.no_grad():
        model[2].linear.weight *= 1e4
    result = look(model, ask())
    assert result.layers[2].saturated > 0.9
    assert ("warning", 2) in severities(result)
    assert "saturated" in result.findings[0].message and "Put LayerNorm or Normalize before it" in result.findings[0].message


def test_dead_numbers_behind_relu_are_found(ask, tiny_bert):
    model = SentenceTransformer(
        modules=[Transformer(tiny_bert), Pooling(32), Dense(32, 64, activation_function="relu")], device="cpu"
    )
    with torch.no_grad():
        model[2].linear.bias[4:] = -1e3
    result = look(model, ask())
    assert ("warning", 2) in severities(result)
    assert "behind relu" in result.findings[0].message


def test_texts_that_are_cut_off_are_counted_with_what_they_lose(ask, tiny_bert):
    result = run_dry_pass(ask(max_seq_length=6))
    whole = Transformer(tiny_bert)
    for text in result.texts:
        tokens = len(whole.tokenize([text.text])[0])
        assert (text.read, text.cut, text.unknown) == (min(6, tokens), max(0, tokens - 6), 0)
    lost = max(text.cut for text in result.texts)
    assert len(result.counts.tokens) == 40, "all texts of the data set are counted, not only those that were passed through"
    (finding,) = (finding for finding in result.findings if finding.severity == "warning")
    assert finding.layer == 0
    assert "of 40 texts are cut off after the 6 tokens" in finding.message
    assert f"the longest loses {lost} of {lost + 6} tokens" in finding.message
    assert "Raise `max_seq_length` (at most 64)" in finding.message
    assert not any("cut off" in finding.message for finding in run_dry_pass(ask()).findings)


def test_texts_that_the_encoder_was_not_made_for_are_a_warning(tiny_bert, home):
    korean = ["무선 네트워크 비밀번호를 어떻게 바꾸나요", "기사님이 오지 않았어요", "요금이 너무 많이 나왔습니다"]
    rows = datasets.Dataset.from_dict({"anchor": korean, "positive": korean[::-1]})
    result = run_dry_pass(plan_dry_pass("mini", stack("pooling"), rows, home, 0))
    warnings = [finding.message for finding in result.findings if finding.severity == "warning"]
    assert "of the tokens are unknown to this encoder" in warnings[0]
    assert "6 of 6 texts are in a language or script" in warnings[1] and "paraphrase-multilingual-MiniLM-L12-v2" in warnings[1]
    assert all(text.unknown for text in result.texts)
    learned = run_dry_pass(plan_dry_pass("scratch", stack("pooling"), rows, home, 0))
    assert not any("made for" in finding.message for finding in learned.findings), "its tokens are learned from these texts"


def test_cosines_that_tell_nothing_apart_are_a_note(ask, tiny_bert):
    model = SentenceTransformer(modules=[Transformer(tiny_bert), Pooling(32), Dense(32, 8)], device="cpu")
    torch.nn.init.constant_(model[2].linear.bias, 2.0)
    assert ("note", None) in severities(look(model, ask()))


def test_the_untrained_encoder_learns_its_word_pieces_from_the_rows(ask):
    request = ask("pooling:mean,dense:16", base="scratch")
    assert len(request.vocabulary) == 40
    result = run_dry_pass(request)
    assert result.layers[-1].shape == (6, 16)
    assert ask().vocabulary == ()


def test_the_longest_text_is_among_the_rows():
    columns = [["a", "b", "c", "d" * 9, "e"], ["f", "g", "h", "i", "j" * 5]]
    assert choose_rows(columns) == [0, 1, 3]
    assert choose_rows([["a" * 9, "b"], ["c", "d"]]) == [0, 1]
    assert choose_rows([["a"], ["b"]]) == [0]


def test_without_rows_there_is_nothing_to_pass(tiny_bert, home):
    empty = datasets.Dataset.from_dict({"anchor": [], "positive": []})
    with pytest.raises(DataError, match="has no row"):
        plan_dry_pass(str(tiny_bert), stack("pooling"), empty, home, 0)


def test_triplets_have_two_cosines_a_row(tiny_bert, home, sentences):
    rows = datasets.Dataset.from_dict({"anchor": sentences[:4], "positive": sentences[4:8], "negative": sentences[8:12]})
    result = run_dry_pass(plan_dry_pass(str(tiny_bert), stack("pooling"), rows, home, 0))
    assert [pair.roles for pair in result.pairs] == [("anchor", "positive"), ("anchor", "negative")] * 3
    assert all(pair.value is None for pair in result.pairs)


def test_request_and_answer_survive_the_wire(ask):
    request = ask("pooling:cls,dense:8")
    assert DryPassRequest.from_dict(json.loads(json.dumps(request.to_dict()))) == request
    result = run_dry_pass(request)
    assert DryPass.from_dict(json.loads(json.dumps(result.to_dict()))) == result


def test_the_encoder_process_answers(ask, home, tmp_path):
    with EncoderProcess(home) as process:
        there = process.dry_pass(ask("pooling:mean,dense:8"))
        here = run_dry_pass(ask("pooling:mean,dense:8"))
        assert [layer.title for layer in there.layers] == [layer.title for layer in here.layers]
        assert [pair.cosine for pair in there.pairs] == pytest.approx([pair.cosine for pair in here.pairs], abs=1e-5)
        (tmp_path / "empty").mkdir()
        with pytest.raises(ModelError, match="holds no model"):
            process.dry_pass(ask(base=tmp_path / "empty"))
        assert process.encode(ask().base, ["a", "b"]).shape == (2, 32)
