"""The encoder that ships with the workbench: what it weighs, what it knows, and that others read it too."""

import json
import re
import struct
from pathlib import Path

import numpy as np
import pytest

from workbench.models import DEFAULT_BASE, SentenceTransformer, describe_base, list_bases
from workbench.models.bases import BUNDLED

FOLDER = BUNDLED["mini"]
README = (FOLDER / "README.md").read_text(encoding="utf-8")

# (a sentence, one that means the like in other words, one that shares words but means something else)
TRIPLETS = [
    ("The doctor prescribed some pills", "A physician gave the patient medicine", "The doctor prescribed a long walk in the hills"),
    ("How much does the ticket cost?", "What is the price of admission?", "How much does the suitcase weigh?"),
    ("The train was late again", "Our rail service arrived behind schedule", "The train is painted blue again"),
    ("A man is playing a guitar", "Someone performs music on a string instrument", "A man is playing football"),
    ("Where can I park my car?", "Is there a place to leave the vehicle?", "Where can I buy a new car?"),
    ("The soup is too salty", "There is too much salt in the broth", "The sea is too cold"),
    ("My phone will not turn on", "The mobile does not start up", "My phone was a present"),
    ("She is afraid of flying", "Airplanes scare her", "She is flying to Rome tomorrow"),
    ("The company fired half of its staff", "Many employees lost their jobs", "The company opened a second shop"),
    ("It rained all weekend", "Saturday and Sunday were wet", "It was sunny all weekend"),
    ("Please turn down the music", "Could you make it less loud?", "Please turn left at the music shop"),
    ("The kids are asleep", "The children have gone to bed", "The kids are loud"),
    ("Shares fell sharply on Monday", "The stock market dropped at the start of the week", "The climber fell on Monday"),
    ("He broke his leg while skiing", "A skier suffered a fracture", "He broke the window while cleaning"),
    ("I forgot my password", "I cannot remember how to log in", "I forgot my umbrella"),
    ("The bank closes at four", "After four o'clock the branch is shut", "The river bank is steep"),
    ("A dog runs across the field", "An animal is moving over the grass", "A dog sleeps on the sofa"),
    ("The film was boring", "I nearly fell asleep in the cinema", "The film was shot in Spain"),
    ("We need more chairs", "There are not enough seats", "We need more time"),
    ("The president signed the treaty", "The head of state approved the agreement", "The president visited a school"),
]


def header() -> dict:
    """The header of the weights file."""
    data = (FOLDER / "model.safetensors").read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + size])


@pytest.fixture(scope="module")
def mini() -> SentenceTransformer:
    return SentenceTransformer("mini", device="cpu")


def test_it_is_small_and_a_plain_folder() -> None:
    files = {str(path.relative_to(FOLDER)): path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()}
    assert sum(files.values()) <= 10_000_000
    assert {"modules.json", "config.json", "model.safetensors", "tokenizer.json", "1_Pooling/config.json"} <= set(files)
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pkl", ".pth"))]


def test_half_precision_on_disk_is_read_as_float32(mini: SentenceTransformer) -> None:
    assert {item["dtype"] for name, item in header().items() if name != "__metadata__"} == {"F16"}
    assert json.loads((FOLDER / "config.json").read_text())["dtype"] == "float32"
    assert {str(weight.dtype) for weight in mini.parameters()} == {"torch.float32"}


def test_it_is_what_one_starts_with(home: Path) -> None:
    first = list_bases(home)[0]
    assert (first.name, first.available, DEFAULT_BASE) == ("mini", True, "mini")
    info = describe_base("mini", home)
    assert (info.source, info.model_type, info.pretrained) == ("bundled", "bert", True)
    assert [layer.kind for layer in info.layers] == ["pooling"]


def test_it_runs_packed(mini: SentenceTransformer) -> None:
    assert mini.encoder.packs


def test_its_pieces_spell_any_latin_word(mini: SentenceTransformer) -> None:
    texts = ["zyzzyva", "Rindfleischetikettierung", "naïve café", "a1b2-c3_d4 & x@y.org: 100%", "SUPERCALIFRAGILISTIC"]
    unknown = mini.tokenizer.unk_token_id
    assert all(unknown not in ids for ids in mini.tokenize(texts))


def test_it_knows_what_sentences_mean(mini: SentenceTransformer) -> None:
    vectors = mini.encode([text for row in TRIPLETS for text in row], normalize_embeddings=True).reshape(len(TRIPLETS), 3, -1)
    anchor, alike, other = vectors.transpose(1, 0, 2)
    right = (anchor * alike).sum(axis=1) > (anchor * other).sum(axis=1)
    assert right.mean() >= 0.7, [TRIPLETS[row][0] for row in np.flatnonzero(~right)]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_sentence_transformers_reads_the_same_vectors(mini: SentenceTransformer, sentences: list[str]) -> None:
    from sentence_transformers import SentenceTransformer as Oracle

    texts = [*sentences[:30], "", "ÄÖÜ 日本語", "word " * 400]
    theirs = Oracle(str(FOLDER), device="cpu")
    assert theirs.max_seq_length == mini.max_seq_length
    assert np.abs(theirs.encode(texts) - mini.encode(texts)).max() < 1e-5


def test_a_checkout_elsewhere_reads_it_too(mini: SentenceTransformer, tmp_path: Path) -> None:
    """Saving and loading changes nothing, so a tuned model is as good as what was measured."""
    mini.save(tmp_path / "copy")
    texts = [row[0] for row in TRIPLETS]
    assert np.array_equal(SentenceTransformer(tmp_path / "copy", device="cpu").encode(texts), mini.encode(texts))


def test_its_readme_tells_the_size(mini: SentenceTransformer) -> None:
    shape = json.loads((FOLDER / "config.json").read_text())
    count = sum(weight.numel() for weight in mini.parameters())
    assert f"{count:,} parameters" in README
    assert f"{shape['vocab_size']:,} tokens" in README
    assert f"{shape['num_hidden_layers']} layers of width {shape['hidden_size']}" in README


def test_its_readme_tells_the_scores_that_were_measured() -> None:
    measured = json.loads((Path(__file__).parents[2] / "benchmarks" / "mini.json").read_text())
    rows = dict(re.findall(r"^\| ([^|]+?) \| ([0-9.]+) \|", README, flags=re.MULTILINE))
    assert {name: float(rows[name]) for name in measured["spearman_cosine"]} == measured["spearman_cosine"]
    assert measured["spearman_cosine"]["mini"] >= 0.78
    # Word vectors that were distilled in the same way come close on these pairs; those taken from the teacher as they are do not.
    assert measured["spearman_cosine"]["mini"] - measured["spearman_cosine"]["untrained word vectors"] >= 0.05
    assert measured["spearman_cosine"]["mini"] > measured["spearman_cosine"]["word vectors"]
    assert measured["times_as_fast"] >= 5 and measured["loading_seconds"] < 0.5


@pytest.mark.xfail(
    strict=True,
    reason="0.016 so far: with words of the whole vocabulary in their texts, word vectors learn as much as the encoder does",
)
def test_it_is_well_above_word_vectors_distilled_in_the_same_way() -> None:
    scores = json.loads((Path(__file__).parents[2] / "benchmarks" / "mini.json").read_text())["spearman_cosine"]
    assert scores["mini"] - scores["word vectors"] >= 0.05
