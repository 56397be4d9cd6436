"""What each view of the playground shows, as plain values: models and texts in, numbers and sentences out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.errors import InputError
from workbench.ui.collection import Collection
from workbench.ui.components.heatmaps import Panel, heatmaps_value
from workbench.ui.context import Context
from workbench.ui.present import pair_rows

if TYPE_CHECKING:
    from workbench.playground import HeldOut, Hit, Tell, Threshold

MOST_SENTENCES = 60
MOST_PAIRS = 400
MOST_POINTS = 2_000
MOST_MEASURED = 400
MOST_HITS = 100

EXACT_WORDS = (
    "Exact: this model averages its word vectors, so the cosine is a sum over words. The numbers of each text add up to {cosine}; "
    "those in italics belong to the model's own marks."
)
OCCLUSION_WORDS = (
    "By leaving out (occlusion): each number says by how much the cosine falls when that word is missing. "
    "They need not add up to the cosine."
)


def model_list(context: Context) -> list[tuple[str, str]]:
    """Return the models to choose from: finished runs, what they started from, then base encoders that need no download."""
    from workbench.playground import model_choices

    return [(str(label), str(model)) for label, model in model_choices(context.home)]


def model_names(context: Context) -> dict[str, str]:
    """Return what to call each model."""
    return {model: label for label, model in model_list(context)}


def check_models(first: str | None, second: str | None) -> list[str]:
    """Return the one or two models to ask.

    Raises:
        InputError: If one is not chosen.
    """
    if not first or not second:
        raise InputError("Choose two models first.", field="model")
    return list(dict.fromkeys([first, second]))


def matrix_view(
    context: Context, models: Sequence[str], collection: Collection, names: Mapping[str, str], tell: Tell
) -> tuple[dict[str, Any], list[list[Any]], str]:
    """Return the heatmaps, the rows of the table of pairs, and a note on what was left out.

    Raises:
        WorkbenchError: If there are too few texts, or a model cannot be loaded.
    """
    from workbench.playground import similarity

    check_texts(collection, 2)
    shown = collection.first(MOST_SENTENCES)
    texts = list(shown.texts)
    matrices = similarity(context.encoder, models, texts, tell)
    panels: list[Panel] = [
        {"title": names.get(model, model), "matrix": [[round(float(value), 4) for value in row] for row in matrices[model]]}
        for model in models
    ]
    rows = pair_rows(texts, matrices[models[0]], matrices[models[-1]])[:MOST_PAIRS]
    return heatmaps_value(texts, panels), rows, left_out(collection, shown, "compared")


def pair_view(
    context: Context, models: Sequence[str], first: str | None, second: str | None, names: Mapping[str, str], tell: Tell
) -> dict[str, Any]:
    """Return how each model reads a pair of texts.

    Raises:
        WorkbenchError: If a text is empty, or a model cannot be loaded.
    """
    from workbench.playground import find_threshold

    texts = [(text or "").strip() for text in (first, second)]
    if not all(texts):
        raise InputError("Type two texts to compare.", field="texts")
    panels = []
    for model in models:
        reading = context.encoder.contributions(model, texts[0], texts[1], tell)
        threshold = find_threshold(model, context.home)
        exact = reading["method"] == "exact"
        panels.append(
            {
                "title": names.get(model, model),
                "cosine": reading["cosine"],
                "threshold": threshold.value,
                "verdict": verdict_words(reading["cosine"], threshold),
                "source": f"The threshold {threshold.source}",
                "exact": exact,
                "method": EXACT_WORDS.format(cosine=f"{reading['cosine']:.3f}") if exact else OCCLUSION_WORDS,
                "sides": reading["sides"],
            }
        )
    return {"panels": panels}


def verdict_words(cosine: float, threshold: Threshold) -> str:
    """Return whether a cosine counts as a match."""
    if threshold.value is None:
        return "There is no threshold to judge the pair by."
    if cosine >= threshold.value:
        return f"Above the run's threshold {threshold.value:.2f}: counts as a match."
    return f"Below the run's threshold {threshold.value:.2f}: does not count as a match."


def search_view(
    context: Context, models: Sequence[str], collection: Collection, query: str | None, k: int, names: Mapping[str, str], tell: Tell
) -> dict[str, Any]:
    """Return what each model finds, and how places differ.

    Raises:
        WorkbenchError: If there is nothing to search for or in, or a model cannot be loaded.
    """
    from workbench.playground import best_hits

    wanted = " ".join((query or "").split())
    if not wanted:
        raise InputError("Type what to look for.", field="query")
    # A text is always most like itself, which tells nothing.
    texts = [text for text in collection.texts if text != wanted]
    if not texts:
        raise InputError("There is nothing to search in; paste texts, one a line, or upload a file.", field="texts")
    # The whole corpus is encoded and remembered, whatever is asked.
    rows = [row for row, text in enumerate(collection.texts) if text != wanted]
    found = {model: context.encoder.search(model, collection.texts, [wanted], tell) for model in models}
    scores = {model: result.scores[0][rows] for model, result in found.items()}
    most = max(1, min(MOST_HITS, int(k)))
    panels = []
    for model in models:
        other = next((name for name in models if name != model), None)
        hits = best_hits(scores[model], texts, most, None if other is None else scores[other])
        result = found[model]
        encoded = "encoded before" if result.remembered else f"encoded in {seconds_words(result.encode_seconds)}"
        panels.append(
            {
                "title": names.get(model, model),
                "time": f"{len(collection.texts):,} texts {encoded}, searched in {seconds_words(result.search_seconds)}",
                "hits": [hit_row(hit) for hit in hits],
            }
        )
    note = f"Most like “{wanted}”." + (" The text itself is left out." if len(texts) < len(collection.texts) else "")
    if len(models) > 1:
        note += " Beside each cosine: how its place differs from the other model's."
    return {"query": wanted, "note": note, "panels": panels}


def hit_row(hit: Hit) -> dict[str, Any]:
    """Return a result as the panel shows it; the change of place is said in words as well as by its kind."""
    row = {"rank": hit.rank, "text": hit.text, "score": f"{hit.score:.3f}".replace("-", "−"), "badge": "", "change": ""}
    if hit.other_rank is None:
        return row
    if hit.change is None:
        return {**row, "badge": f"new (other: {hit.other_rank:,}.)", "change": "new"}
    if hit.change == 0:
        return {**row, "badge": "= same", "change": "same"}
    words = f"▲ up {hit.change}" if hit.change > 0 else f"▼ down {-hit.change}"
    return {**row, "badge": words, "change": "up" if hit.change > 0 else "down"}


def map_view(
    context: Context, models: Sequence[str], collection: Collection, method: str, names: Mapping[str, str], tell: Tell
) -> dict[str, Any]:
    """Return one map a model, the second turned to lie like the first.

    Raises:
        WorkbenchError: If there are too few texts, or a model cannot be loaded.
    """
    from workbench.playground import turn_onto

    check_texts(collection, 3)
    shown = collection.first(MOST_POINTS)
    panels: list[dict[str, Any]] = []
    target = None
    for model in models:
        points, shares = context.encoder.project(model, shown.texts, method, tell)
        if target is not None:
            points = turn_onto(points, target)
        caption = f"The map shows {sum(shares):.0%} of what sets the vectors apart (PCA)." if shares else "Neighbourhoods by UMAP."
        if target is None:
            target = points
        else:
            caption += " Turned to lie like the first map; distances are unchanged."
        x, y = ([round(float(value), 5) for value in points[:, axis]] for axis in (0, 1))
        panels.append({"title": names.get(model, model), "caption": caption, "x": x, "y": y})
    note = left_out(collection, shown, "drawn")
    return {"texts": list(shown.texts), "labels": list(shown.labels), "note": note, "panels": panels}


def sizes_view(
    context: Context, models: Sequence[str], collection: Collection, names: Mapping[str, str], tell: Tell
) -> dict[str, Any]:
    """Return what shorter and coarser vectors cost: quality on the test rows of a model's run, else agreement on the texts.

    Raises:
        WorkbenchError: If there are too few texts for a model without test rows, or a model cannot be loaded.
    """
    from workbench.playground import PRECISIONS, find_held_out

    found = {model: find_held_out(model, context.home) for model in models}
    if any(held_out.folder is None for held_out in found.values()):
        check_texts(collection, 3)
    panels = []
    for model, held_out in found.items():
        measured = _agreement if held_out.folder is None else _quality
        panels.append({"title": names.get(model, model), **measured(context, model, held_out, collection, tell)})
    note = "Vectors are cut first, then scaled to length 1, then rounded."
    return {"note": note, "precisions": list(PRECISIONS), "panels": panels}


def _quality(context: Context, model: str, held_out: HeldOut, collection: Collection, tell: Tell) -> dict[str, Any]:
    from workbench.evaluation import METRIC_WORDS

    quality = context.encoder.quality(model, held_out, tell)
    source = f"Quality on the {quality.rows:,} test rows of {held_out.words}. {held_out.remark}"
    return {
        "measure": "quality",
        "metric": quality.metric,
        "words": METRIC_WORDS.get(quality.metric, quality.metric),
        "base": held_out.base,
        "source": source.strip(),
        "sizes": [
            {**size, "value": None if size["value"] is None else round(size["value"], 5)} for size in quality.to_dict()["sizes"]
        ],
    }


def _agreement(context: Context, model: str, held_out: HeldOut, collection: Collection, tell: Tell) -> dict[str, Any]:
    shown = collection.first(MOST_MEASURED)
    sizes = [
        {
            **size.to_dict(),
            "spearman": None if size.spearman is None else round(size.spearman, 5),
            "neighbours": round(size.neighbours, 5),
        }
        for size in context.encoder.sizes(model, shown.texts, tell)
    ]
    source = (
        f"Agreement with the full vectors on {len(shown.texts):,} texts, which says nothing of how good those are: {held_out.words}. "
        f"Neighbours are the {min(10, len(shown.texts) - 1)} nearest of each text. {left_out(collection, shown, 'measured')}"
    )
    return {"measure": "agreement", "source": source.strip(), "sizes": sizes}


def check_texts(collection: Collection, fewest: int) -> None:
    """Refuse a view that has too little to show.

    Raises:
        InputError: With how many texts there are.
    """
    count = len(collection.texts)
    if count < fewest:
        raise InputError(
            f"Give at least {('', '', 'two', 'three')[fewest]} different texts, one a line; there {'is' if count == 1 else 'are'} {count}.",
            field="texts",
        )


def left_out(collection: Collection, shown: Collection, what: str) -> str:
    """Return a sentence on the texts that a view leaves out, nothing where it shows all."""
    if len(shown.texts) == len(collection.texts):
        return ""
    return f"The first {len(shown.texts):,} of {len(collection.texts):,} texts are {what}."


def seconds_words(seconds: float) -> str:
    """Return a duration a reader can take in."""
    if seconds < 0.01:
        return "under 0.01 s"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:,.0f} s"
