"""What is counted of texts by every kind of tokenizer, and what is said of it."""

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from workbench.models import SentenceTransformer, TokenCounts, count_before_loading
from workbench.models.bases import MULTILINGUAL
from workbench.models.scratch import learn_word_pieces
from workbench.models.token_counts import count_tokens

ENGLISH = [
    "How do I change the password of my wireless network?",
    "The engineer did not come, and no one told me why.",
    "Is there a fee if I leave before the contract is over?",
]
FOREIGN = {
    "German": [
        "Wie ändere ich das Kennwort meines drahtlosen Netzwerks?",
        "Der Techniker ist nicht gekommen und niemand hat etwas gesagt.",
    ],
    "French": [
        "Comment puis-je changer le mot de passe de mon réseau sans fil ?",
        "Où se trouve l'hôtel où vous avez séjourné cet été ?",
    ],
    "Turkish": ["Kablosuz ağımın şifresini nasıl değiştirebilirim?", "Teknisyen gelmedi ve kimse bana sebebini söylemedi."],
    "Korean": ["무선 네트워크 비밀번호를 어떻게 바꾸나요?", "기사님이 오지 않았고 아무도 이유를 알려주지 않았어요."],
    "Russian": ["Как мне изменить пароль моей беспроводной сети?", "Мастер не пришёл, и никто не сказал мне почему."],
    "Japanese": [
        "無線ネットワークのパスワードを変更するにはどうすればよいですか？",
        "技術者は来ませんでしたし、誰も理由を教えてくれませんでした。",
    ],
}


@pytest.fixture(scope="module")
def mini(tmp_path_factory):
    def count(texts, limit=None):
        return count_before_loading("mini", texts, tmp_path_factory.mktemp("home"), limit)

    return count


def test_a_text_in_the_encoder_s_language_is_read_as_it_is(mini):
    counts = mini(ENGLISH)
    assert counts.unknown.tolist() == [0, 0, 0] and not counts.foreign.any() and counts.cut_texts == 0
    assert counts.findings("`mini`") == []
    assert counts.summary() == {
        "texts": 3,
        "limit": counts.limit,
        "cut_texts": 0,
        "cut_tokens": 0,
        "longest": int(counts.tokens.max()),
        "unknown_tokens": 0,
        "unknown_share": 0.0,
        "foreign_texts": 0,
    }


@pytest.mark.parametrize("language", FOREIGN)
@pytest.mark.parametrize("encoder", ["mini", "minilm"])
def test_a_text_in_another_language_or_script_is_said_and_the_multilingual_encoder_named(language, encoder, tmp_path, request):
    base = "mini" if encoder == "mini" else str(request.getfixturevalue("minilm"))
    counts = count_before_loading(base, FOREIGN[language], tmp_path)
    assert counts.foreign.sum() >= (1 if language == "French" else 2), "of French a half looks like English, piece by piece"
    (*_, (kind, words)) = counts.findings(f"`{encoder}`")
    assert kind == "foreign" and MULTILINGUAL in words and " texts are in a language or script that" in words


def test_unknown_tokens_are_counted_with_their_script(mini):
    counts = mini(FOREIGN["Korean"])
    assert counts.unknown_share > 0.8 and counts.scripts == ("Hangul",)
    kinds = dict(counts.findings("`mini`"))
    assert "of the tokens are unknown to `mini`, for example 무선" in kinds["unknown"]
    assert "(letters: Hangul)" in kinds["foreign"]


def test_a_sign_nobody_taught_is_unknown_and_no_language(mini):
    counts = mini(["thank you 👍", "the bill is wrong"])
    assert counts.unknown.tolist() == [1, 0] and not counts.foreign.any()
    ((kind, words),) = counts.findings("`mini`")
    assert kind == "unknown" and "👍" in words and MULTILINGUAL in words


def test_a_few_foreign_words_among_many_texts_are_no_reason(mini):
    counts = mini([*ENGLISH * 20, FOREIGN["German"][0]])
    assert counts.foreign.sum() == 1 and counts.findings("`mini`") == []
    assert [kind for kind, _ in mini([*ENGLISH * 3, FOREIGN["German"][0]]).findings("`mini`")] == ["foreign"]


def test_tokens_learned_from_the_texts_make_none_of_them_foreign():
    texts = FOREIGN["Japanese"] + FOREIGN["Turkish"]
    counts = count_tokens(learn_word_pieces(texts, 200), texts, 64, learned=True)
    assert not counts.foreign.any()


def test_what_is_cut_is_counted_to_the_token(tiny_bert):
    model = SentenceTransformer(tiny_bert, device="cpu")
    texts = ["pay it", "please check my router and pay my invoice", ""]
    whole = [len(ids) for ids in model.tokenize(texts)]
    model.max_seq_length = 5
    counts = model.count_tokens(texts)
    assert counts.tokens.tolist() == whole and counts.read.tolist() == [len(ids) for ids in model.tokenize(texts)]
    assert counts.by_text()[1] == {"read": 5, "cut": whole[1] - 5, "unknown": 0}
    ((kind, words),) = counts.findings("`tiny`", "Shorten them.")
    assert (
        kind == "cut"
        and words.startswith("1 of 3 texts is cut off after the 5 tokens that `tiny` reads")
        and words.endswith("Shorten them.")
    )
    assert f"loses {whole[1] - 5} of {whole[1]} tokens" in words
    model.max_seq_length = whole[1]
    assert model.count_tokens(texts).cut_texts == 0, "a text of exactly the limit is read to its end"


def test_counting_leaves_the_encoder_as_it_was(tiny_bert):
    model = SentenceTransformer(tiny_bert, device="cpu")
    model.max_seq_length = 5
    before = model.tokenize(["please check my router and pay my invoice"])
    model.count_tokens(["please check my router and pay my invoice"])
    assert model.tokenize(["please check my router and pay my invoice"]) == before


def test_a_prompt_is_counted_as_it_is_read(tiny_bert, tmp_path):
    model = SentenceTransformer(tiny_bert, device="cpu")
    plain = model.count_tokens(["pay it"]).tokens[0]
    model.prompts, model.default_prompt_name = {"query": "please check: "}, "query"
    assert model.count_tokens(["pay it"]).tokens[0] == len(model.tokenize(["please check: pay it"])[0]) > plain
    model.save(tmp_path / "prompted")
    assert (
        count_before_loading(str(tmp_path / "prompted"), ["pay it"], tmp_path).tokens[0] == model.count_tokens(["pay it"]).tokens[0]
    )


def test_counts_before_loading_are_those_of_the_loaded_model(tiny_bert, minilm, tmp_path):
    texts = [*ENGLISH, *FOREIGN["Korean"], "", "  x ", "A" * 300]
    for folder in (tiny_bert, minilm):
        before = count_before_loading(str(folder), texts, tmp_path)
        after = SentenceTransformer(folder, device="cpu").count_tokens(texts)
        assert before.to_dict() == after.to_dict()
        assert TokenCounts.from_dict(after.to_dict()).findings("x") == after.findings("x")
        half = SentenceTransformer(folder, device="cpu")
        assert (half.count_tokens(texts[:4]) + half.count_tokens(texts[4:])).summary() == after.summary()


def test_where_there_is_no_tokenizer_nothing_is_counted(tmp_path):
    assert count_before_loading("scratch", ["a"], tmp_path) is None
    assert count_before_loading("someone/not-downloaded", ["a"], tmp_path) is None
    assert count_before_loading("./nowhere", ["a"], tmp_path) is None
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text('{"model_type": "bert", "hidden_size": 8}')
    (tmp_path / "broken" / "tokenizer.json").write_text("{}")
    assert count_before_loading(str(tmp_path / "broken"), ["a"], tmp_path) is None


def byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(ENGLISH * 5, trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False))
    return tokenizer


def sentence_piece():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.NFKC(), pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(
        ENGLISH * 5,
        trainers.UnigramTrainer(vocab_size=150, unk_token="<unk>", special_tokens=["<unk>", "</s>"], show_progress=False),
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return tokenizer


def test_bytes_are_never_unknown_and_letter_by_letter_is_foreign():
    counts = count_tokens(byte_level(), [ENGLISH[0], *FOREIGN["Korean"], *FOREIGN["Japanese"], *FOREIGN["Russian"]], 512)
    assert counts.unknown.sum() == 0
    assert counts.foreign.tolist() == [False] + [True] * 6


def test_the_unknown_token_of_a_sentence_piece_model_is_found():
    counts = count_tokens(sentence_piece(), [ENGLISH[0], FOREIGN["Korean"][0]], 512)
    assert counts.special == 1 and counts.unknown[0] == 0 and counts.unknown[1] > 0 and counts.foreign[1]


def test_lower_case_is_what_the_encoder_sees(tiny_bert, tmp_path):
    tokenizer = Tokenizer(models.WordLevel({"pay": 0, "[UNK]": 1}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    assert count_tokens(tokenizer, ["PAY"], 8).unknown.tolist() == [1]
    assert count_tokens(tokenizer, ["PAY"], 8, lower=True).unknown.tolist() == [0]
    assert np.array_equal(count_tokens(tokenizer, [], 8).tokens, [])
