"""Every evaluator against sentence-transformers on the same vectors, and on cases one can count by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from workbench.errors import ModelError
from workbench.evaluation import build_evaluator, compute_verdict
from workbench.recipe import KINDS

ROWS, WIDTH = 60, 8


class GivenVectors:
    """Stands in for a model: each text is the number of a fixed random vector."""

    def __init__(self, seed: int = 0) -> None:
        self.table = np.random.default_rng(seed).normal(size=(500, WIDTH)).astype(np.float32)

    def __call__(self, texts: list[str]) -> np.ndarray:
        return self.table[[int(text) for text in texts]]


def make_rows(kind: str, seed: int = 0) -> tuple[list[list[str]], np.ndarray | None]:
    generator = np.random.default_rng(seed)
    columns = [[str(number) for number in generator.integers(0, 500, ROWS)] for _ in KINDS[kind].texts]
    labels = {
        "scored_pairs": generator.integers(0, 6, ROWS) / 5,
        "labelled_pairs": generator.integers(0, 2, ROWS),
        "class_pairs": generator.integers(0, 3, ROWS),
    }
    return columns, labels.get(kind)


def oracle_metrics(kind: str, columns: list[list[str]], labels: np.ndarray | None, vectors: GivenVectors) -> dict[str, float]:
    from sentence_transformers import SentenceTransformer, evaluation

    class Model(SentenceTransformer):
        def __init__(self) -> None:
            import torch

            torch.nn.Module.__init__(self)
            self.model_card_data = SimpleNamespace(set_evaluation_metrics=lambda *arguments: None)

        def encode(self, sentences: list[str], convert_to_tensor: bool = False, **options: object) -> object:
            import torch

            found = vectors(list(sentences))
            return torch.from_numpy(found) if convert_to_tensor else found

        encode_query = encode_document = encode

        @property
        def similarity_fn_name(self) -> str:
            return "cosine"

        @property
        def similarity(self) -> object:
            from sentence_transformers.util import cos_sim

            return cos_sim

    model = Model()
    if kind == "scored_pairs":
        return evaluation.EmbeddingSimilarityEvaluator(*columns, scores=labels.tolist(), write_csv=False)(model)
    if kind == "labelled_pairs":
        return evaluation.BinaryClassificationEvaluator(*columns, labels=labels.tolist(), write_csv=False)(model)
    if kind == "triplets":
        return evaluation.TripletEvaluator(*columns, write_csv=False)(model)
    corpus = {text: text for text in columns[1]}
    relevant: dict[str, set[str]] = {}
    for anchor, positive in zip(*columns, strict=True):
        relevant.setdefault(anchor, set()).add(positive)
    return evaluation.InformationRetrievalEvaluator({text: text for text in columns[0]}, corpus, relevant, write_csv=False)(model)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "class_pairs"])
def test_metrics_equal_sentence_transformers(kind: str, seed: int) -> None:
    columns, labels = make_rows(kind, seed)
    vectors = GivenVectors(seed)
    found = build_evaluator(kind, columns, labels)(vectors)
    wanted = oracle_metrics(kind, columns, labels, vectors)
    shared = set(found.metrics) & set(wanted)
    assert found.primary_metric in shared
    assert set(found.metrics) == shared
    for name in shared:
        assert found.metrics[name] == pytest.approx(wanted[name], abs=1e-6), name


def test_a_search_in_small_pieces_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    columns, labels = make_rows("pairs")
    whole = build_evaluator("pairs", columns, labels)(GivenVectors())
    monkeypatch.setattr("workbench.evaluation.information_retrieval._MOST_COSINES", 5 * len(columns[1]))
    pieces = build_evaluator("pairs", columns, labels)(GivenVectors())
    assert pieces.metrics == pytest.approx(whole.metrics)
    assert whole.describe is not None and pieces.describe is not None
    assert pieces.describe().columns["rank"].tolist() == whole.describe().columns["rank"].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_the_statistic_over_all_units_is_the_metric(kind: str) -> None:
    columns, labels = make_rows(kind)
    result = build_evaluator(kind, columns, labels)(GivenVectors())
    assert result.primary_metric == KINDS[kind].primary_metric
    assert result.statistic(np.arange(len(result.units))) == pytest.approx(result.value, abs=1e-9)
    assert result.rows == ROWS and result.units.max() < ROWS
    half = result.statistic(np.arange(len(result.units) // 2))
    assert half != pytest.approx(result.value, abs=1e-9), "some of the units give another value"


def test_a_constant_model_is_not_measurable() -> None:
    columns, labels = make_rows("scored_pairs")
    result = build_evaluator("scored_pairs", columns, labels)(lambda texts: np.ones((len(texts), 4), dtype=np.float32))
    assert np.isnan(result.value)
    verdict = compute_verdict(result, result)
    assert verdict.outcome == "not_judged" and verdict.before is None and verdict.difference is None
    assert "both models is not measurable" in verdict.sentence


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_vectors_that_are_no_numbers_are_refused(kind: str, number: float) -> None:
    columns, labels = make_rows(kind)

    def broken(texts: list[str]) -> np.ndarray:
        vectors = np.ones((len(texts), 4), dtype=np.float32)
        vectors[-1, 2] = number
        return vectors

    with pytest.raises(ModelError, match="NaN or infinite"):
        build_evaluator(kind, columns, labels)(broken)


def test_the_probe_reads_a_class_that_is_there_and_none_that_is_not() -> None:
    generator = np.random.default_rng(0)
    directions = generator.normal(size=(2, WIDTH))
    firsts, seconds, labels, table = [], [], [], {}
    for row in range(200):
        label = int(generator.integers(0, 2))
        table[f"a{row}"] = generator.normal(size=WIDTH)
        table[f"b{row}"] = table[f"a{row}"] + 3 * directions[label]
        firsts.append(f"a{row}")
        seconds.append(f"b{row}")
        labels.append(label)

    def encode(texts: list[str]) -> np.ndarray:
        return np.array([table[text] for text in texts], dtype=np.float32)

    assert build_evaluator("class_pairs", [firsts, seconds], labels)(encode).value > 0.85
    shuffled = generator.permutation(labels)
    assert build_evaluator("class_pairs", [firsts, seconds], shuffled)(encode).value < 0.65


def test_probe_folds_keep_shared_texts_together() -> None:
    from workbench.evaluation import PairClassificationEvaluator

    first = [f"p{row // 4}" for row in range(80)]
    second = [f"h{row}" for row in range(78)] + ["h0", "h1"]  # the last group is tied to the first
    folds = PairClassificationEvaluator([first, second], np.zeros(80))._folds()
    for text in set(first) | set(second):
        rows = [row for row in range(80) if text in (first[row], second[row])]
        assert len({folds[row] for row in rows}) == 1
    assert sorted(np.bincount(folds).tolist()) == [16] * 5
