"""Which loss, scale, learning rate, epochs and batch a kind of data set should start with, measured on several sets and seeds.

    python -m benchmarks.defaults [--public DIR] [--seeds 3] [--only SET ...] [--output benchmarks/defaults.json]

Each set is trained on with each candidate, everything else as the workbench suggests it. Three numbers tell whether a default is good:
the metric on held-out rows of the set, the rank correlation on scored pairs of another origin (what the tuned model lost elsewhere),
and the mean cosine of unrelated texts. `--public` is a folder of public data sets (STS benchmark, SNLI, CLINC150, SciFact and the COVID
question pairs, each in a folder of its name); without it only the sample data are measured.

Class pairs are judged by whether the cosine tells entailment from contradiction (average precision), so that training on the classes
and training on triplets of the same rows can be compared.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import logging
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.inputs import ROOT
from benchmarks.measuring import machine, write_json
from benchmarks.report import README, markdown, placed
from workbench import Recipe, SentenceTransformer
from workbench.data import open_splits
from workbench.evaluation import Evaluator, build_evaluator, general_evaluator
from workbench.models import DEFAULT_BASE, resolve_base
from workbench.recipe import LossSpec, TrainingConfig, parse_loss
from workbench.runs.submission import resolve_recipe, suggest
from workbench.runs.worker import SilentListener
from workbench.training import run_training

SAMPLE = ROOT / "sample_data"
FIRST_SEED = TrainingConfig().seed
Rows = list[dict[str, str]]


@dataclass(frozen=True)
class Candidate:
    """One way to train on a set.

    Attributes:
        name: As the table shows it.
        loss: As the command line writes it.
        settings: Fields of `TrainingConfig` that differ from what is suggested.
        columns: Role -> column, where the rows are to be taken in another way than the workbench guesses.
    """

    name: str
    loss: str = "auto"
    settings: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Case:
    """One set: rows to train on, and how a model is measured.

    Attributes:
        name: As the table shows it.
        train: Training rows.
        held_out: Measures a model on held-out rows of the set.
        elsewhere: Measures it on scored pairs of another origin.
        candidates: What is compared, today's default first.
    """

    name: str
    train: Rows
    held_out: Evaluator
    elsewhere: Evaluator
    candidates: tuple[Candidate, ...]


RATES = (Candidate("rate 1e-4", settings={"learning_rate": 1e-4}), Candidate("rate 3e-5", settings={"learning_rate": 3e-5}))
SCHEDULES = (Candidate("1 epoch", settings={"epochs": 1.0}), Candidate("batch 64", settings={"batch_size": 64}))
SCORED = (
    Candidate("as suggested"),
    Candidate("CoSENT, scale 20", "CoSENTLoss:scale=20"),
    Candidate("CoSENT, scale 10", "CoSENTLoss:scale=10"),
    Candidate("CoSENT, scale 3", "CoSENTLoss:scale=3"),
    Candidate("cosine loss", "CosineSimilarityLoss"),
    *RATES,
    *SCHEDULES,
)
LABELLED = (
    Candidate("as suggested"),
    Candidate("cosine loss", "CosineSimilarityLoss"),
    Candidate("CoSENT, scale 20", "CoSENTLoss:scale=20"),
    Candidate("CoSENT, scale 5", "CoSENTLoss:scale=5"),
    Candidate("softmax", "SoftmaxLoss"),
    *RATES,
)
AS_CLASSES = {name: name for name in ("sentence1", "sentence2", "label")}
CLASSES = (
    Candidate("as suggested: made into triplets"),
    Candidate("the same, rate 1e-4", settings={"learning_rate": 1e-4}),
    Candidate("classes, softmax", columns=AS_CLASSES),
    Candidate("classes, softmax, rate 1e-4", columns=AS_CLASSES, settings={"learning_rate": 1e-4}),
    Candidate("classes, softmax, rate 3e-5", columns=AS_CLASSES, settings={"learning_rate": 3e-5}),
)
RANKED = (
    Candidate("as suggested"),
    Candidate("scale 50", "MultipleNegativesRankingLoss:scale=50"),
    Candidate("scale 10", "MultipleNegativesRankingLoss:scale=10"),
    *RATES,
    *SCHEDULES,
)
TRIPLETS = (*RANKED, Candidate("triplet loss", "TripletLoss"))


def read_csv(path: Path) -> Rows:
    """Read a CSV file with a header."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def evaluator(kind: str, rows: Rows, columns: Sequence[str], label: str | None = None) -> Evaluator:
    """Return the evaluator of a kind over some rows."""
    texts = [[row[column] for row in rows] for column in columns]
    return build_evaluator(kind, texts, None if label is None else np.array([float(row[label]) for row in rows]))


def scored(rows: Rows) -> Evaluator:
    """Return the rank correlation with scores."""
    return evaluator("scored_pairs", rows, ("sentence1", "sentence2"), "score")


def sample(rows: Sequence[dict[str, str]], count: int, seed: int = 0) -> Rows:
    """Return some of the rows, drawn once and for all."""
    order = np.random.default_rng(seed).permutation(len(rows))[:count]
    return [rows[place] for place in sorted(order)]


def sample_cases(elsewhere: Evaluator | None) -> Iterator[Case]:
    """Yield the sample data. Elsewhere are the scored pairs of the public STS set, or the held-out sample pairs for the triplets."""
    pairs, held_out = read_csv(SAMPLE / "support_pairs.csv"), scored(read_csv(SAMPLE / "support_pairs_heldout.csv"))
    yield Case("sample, scored", pairs, held_out, elsewhere or general_evaluator(), SCORED)
    triplets = read_csv(SAMPLE / "support_triplets.csv")
    cut = len(triplets) * 2 // 3
    measured = evaluator("triplets", triplets[cut:], ("anchor", "positive", "negative"))
    yield Case("sample, triplets", triplets[:cut], measured, elsewhere or held_out, TRIPLETS)


def public_cases(folder: Path, sts: Rows, elsewhere: Evaluator) -> Iterator[Case]:
    """Yield the public sets."""
    train = [
        {name: row[name] for name in ("sentence1", "sentence2", "score")} for row in read_csv(folder / "stsb/train-no-msr-deft.csv")
    ]
    support = scored(read_csv(SAMPLE / "support_pairs_heldout.csv"))
    yield Case("STS, 1,000 scored", sample(train, 1000), scored(sts), support, SCORED)
    covid = read_csv(folder / "covid_question_similarity/en.csv")
    measured = evaluator("labelled_pairs", covid[1::3], ("sentence1", "sentence2"), "label")
    yield Case("COVID, labelled", covid[0::3] + covid[2::3], measured, elsewhere, LABELLED)
    yield from intent_cases(folder / "clinc150", elsewhere)
    yield from inference_cases(folder / "snli/dev.csv", elsewhere)
    yield search_case(folder / "scifact_beir", elsewhere)


def intent_cases(folder: Path, elsewhere: Evaluator) -> Iterator[Case]:
    """Yield pairs of one intent, and pairs labelled by whether they share their intent; held out are other intents."""
    by_intent: dict[str, list[str]] = defaultdict(list)
    for row in read_csv(folder / "train.csv"):
        by_intent[row["label"]].append(row["text"])
    names = sorted(by_intent)
    seen, unseen = names[::2], names[1::2]

    def same(intents: Sequence[str], each: int) -> Rows:
        texts = [(name, by_intent[name]) for name in intents]
        return [{"anchor": some[2 * k], "positive": some[2 * k + 1], "label": name} for name, some in texts for k in range(each)]

    def labelled(intents: Sequence[str], each: int, seed: int) -> Rows:
        draw = np.random.default_rng(seed)
        rows = []
        for row in same(intents, each):
            other = by_intent[str(draw.choice([name for name in intents if name != row["label"]]))]
            rows.append({"sentence1": row["anchor"], "sentence2": row["positive"], "label": "1"})
            rows.append({"sentence1": row["anchor"], "sentence2": str(draw.choice(other)), "label": "0"})
        return rows

    measured = evaluator("labelled_pairs", labelled(unseen, 6, 1), ("sentence1", "sentence2"), "label")
    yield Case("CLINC, labelled", labelled(seen, 10, 0), measured, elsewhere, LABELLED)
    pairs = [{"anchor": row["anchor"], "positive": row["positive"]} for row in same(seen, 20)]
    # One pair an intent: every other text of the pool belongs to another one.
    measured = evaluator("pairs", same(unseen, 1), ("anchor", "positive"))
    yield Case("CLINC, pairs", pairs, measured, elsewhere, RANKED)


def inference_cases(path: Path, elsewhere: Evaluator) -> Iterator[Case]:
    """Yield class pairs of inference, and triplets of the same rows."""
    by_premise: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    rows = read_csv(path)
    for row in rows:
        by_premise[row["sentence1"]][row["label"]].append(row["sentence2"])
    premises = list(by_premise)
    learned = set(premises[: len(premises) * 2 // 3][:1000])
    held_out = premises[len(premises) * 2 // 3 :]

    def triplets(some: Sequence[str]) -> Rows:
        found = [(premise, by_premise[premise]) for premise in some]
        return [
            {"anchor": premise, "positive": right, "negative": wrong}
            for premise, texts in found
            for right, wrong in zip(texts["entailment"], texts["contradiction"], strict=False)
        ]

    classes = [row for row in rows if row["sentence1"] in learned]
    told = [
        {"sentence1": premise, "sentence2": text, "label": label}
        for premise in held_out
        for name, label in (("entailment", "1"), ("contradiction", "0"))
        for text in by_premise[premise][name]
    ]
    measured = evaluator("labelled_pairs", told, ("sentence1", "sentence2"), "label")
    yield Case("SNLI, classes", classes, measured, elsewhere, CLASSES)
    measured = evaluator("triplets", triplets(held_out), ("anchor", "positive", "negative"))
    yield Case("SNLI, triplets", triplets([premise for premise in premises if premise in learned]), measured, elsewhere, TRIPLETS)


def search_case(folder: Path, elsewhere: Evaluator) -> Case:
    """Return claims and the abstracts that speak of them."""
    documents = {}
    for line in (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines():
        document = json.loads(line)
        documents[document["_id"]] = f"{document['title']} {document['text']}"[:600]
    (file,) = folder.glob("queries*.jsonl")
    queries = {row["_id"]: row["text"] for row in map(json.loads, file.read_text(encoding="utf-8").splitlines())}
    with (folder / "qrels" / "train.tsv").open(encoding="utf-8", newline="") as stream:
        judged = list(csv.DictReader(stream, delimiter="\t"))
    pairs = [{"anchor": queries[row["query-id"]], "positive": documents[row["corpus-id"]]} for row in judged if row["score"] != "0"]
    # A document is learned from or tested on, never both.
    seen = [pair for pair in pairs if hash_of(pair["positive"]) % 3]
    unseen = [pair for pair in pairs if hash_of(pair["positive"]) % 3 == 0]
    return Case("SciFact, pairs", seen, evaluator("pairs", unseen, ("anchor", "positive")), elsewhere, RANKED)


def hash_of(text: str) -> int:
    """Return a number that depends on a text alone."""
    return int.from_bytes(text.encode()[:64], "big")


def measure(case: Case, model: SentenceTransformer, unrelated: tuple[list[str], list[str]]) -> dict[str, float]:
    """Return the three numbers of a model."""
    first, second = (model.encode(texts, normalize_embeddings=True) for texts in unrelated)
    return {
        "held_out": case.held_out(model.encode).value,
        "elsewhere": case.elsewhere(model.encode).value,
        "unrelated": float(np.mean(np.sum(first * second, axis=1))),
    }


def train(case: Case, candidate: Candidate, seed: int, home: Path) -> SentenceTransformer:
    """Train in this process, as a run does, and return the model that was kept."""
    rows = case.train
    with tempfile.TemporaryDirectory(dir=home) as folder:
        data = Path(folder) / "rows.csv"
        with data.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
        # Held out by the benchmark itself, on rows that do not depend on the seed.
        training = TrainingConfig(seed=seed, test_fraction=0.0, device="cpu")
        recipe = Recipe(
            DEFAULT_BASE, str(data), columns=dict(candidate.columns or {}), loss=parse_loss(candidate.loss), training=training
        )
        training = dataclasses.replace(training, **{**suggest(recipe, home).values(), **candidate.settings})
        settled, _ = resolve_recipe(recipe.replace(training=training), home)
        output = Path(folder) / "run"
        output.mkdir()
        run_training(settled, open_splits(settled, home), home, output, SilentListener())
        return SentenceTransformer(str(output / "model"), device="cpu")


def compare(cases: Sequence[Case], seeds: int, home: Path, keep: Callable[[list[dict[str, Any]]], None]) -> list[dict[str, Any]]:
    """Measure every candidate of every set, and return what is there after each."""
    first, second, _ = load_unrelated()
    found: list[dict[str, Any]] = []
    for case in cases:
        base = SentenceTransformer(str(resolve_base(DEFAULT_BASE, home)), device="cpu")
        found.append({"set": case.name, "candidate": "base", "seeds": [measure(case, base, (first, second))]})
        for candidate in case.candidates:
            values = [measure(case, train(case, candidate, FIRST_SEED + number, home), (first, second)) for number in range(seeds)]
            loss = parse_loss(candidate.loss)
            found.append({"set": case.name, "candidate": candidate.name, "loss": _loss(loss), "seeds": values})
            print(f"{case.name}, {candidate.name}: {_cells(values)}", flush=True)
            keep(found)
    return found


def load_unrelated() -> tuple[list[str], list[str], int]:
    """Return texts of the general set beside texts of other pairs, and how many."""
    from workbench.evaluation.general import crossed_places, load_general_pairs

    first, second, _ = load_general_pairs()
    return list(first), [second[place] for place in crossed_places(len(first))], len(first)


def _loss(loss: LossSpec | None) -> dict[str, Any] | None:
    return None if loss is None else loss.to_dict()


def _cells(values: Sequence[Mapping[str, float]]) -> list[str]:
    cells = []
    for name in ("held_out", "elsewhere", "unrelated"):
        numbers = [value[name] for value in values]
        spread = "" if len(numbers) < 2 else f" ({min(numbers):.3f} to {max(numbers):.3f})"
        cells.append(f"{statistics.fmean(numbers):.3f}{spread}")
    return cells


def table(result: Mapping[str, Any]) -> str:
    """Return the README's table of a result."""
    rows = [[row["set"], row["candidate"], *_cells(row["seeds"])] for row in result["found"]]
    facts = result["machine"]
    setting = f"Base {result['base']}, {result['seeds']} seeds; {facts['cpu']}; torch {facts['torch']}; {facts['date']}."
    return f"{markdown(['set', 'candidate', 'held out', 'elsewhere', 'unrelated cosine'], rows)}\n\n{setting}"


def main() -> None:
    """Train, print the table, and keep the numbers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--public", type=Path, metavar="DIR", help="folder of public data sets")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", metavar="SET", help="measure these sets alone")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    sts = None if options.public is None else read_csv(options.public / "stsb/dev-no-msr-deft.csv")
    cases = list(sample_cases(None if sts is None else scored(sts)))
    if sts is not None:
        cases += public_cases(options.public, sts, scored(sts))
    if options.only:
        cases = [case for case in cases if case.name in options.only]
    facts = {"base": DEFAULT_BASE, "seeds": options.seeds, "machine": machine()}

    def keep(found: list[dict[str, Any]]) -> None:
        write_json({**facts, "found": found}, options.output)

    with tempfile.TemporaryDirectory() as home:
        result = {**facts, "found": compare(cases, options.seeds, Path(home), keep)}
    print(table(result))
    if options.output.resolve() == Path(__file__).with_suffix(".json").resolve():
        README.write_text(placed(README.read_text(encoding="utf-8"), "defaults", table(result)), encoding="utf-8")


if __name__ == "__main__":
    main()
