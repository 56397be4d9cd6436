"""What each view of the playground shows, as plain values: models and texts in, numbers and sentences out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.errors import InputError
from workbench.ui.components.heatmaps import Panel, heatmaps_value
from workbench.ui.context import Context
from workbench.ui.formatting import format_change, pair_rows
from workbench.ui.text_source import Collection

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.playground import GroupsTold, HeldOut, Hit, ProgressCallback, Threshold

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
    context: Context, models: Sequence[str], collection: Collection, names: Mapping[str, str], tell: ProgressCallback
) -> tuple[dict[str, Any], list[list[Any]], str]:
    """Return the heatmaps, the rows of the table of pairs, and a note on what was left out.

    Raises:
        WorkbenchError: If there are too few texts, or a model cannot be loaded.
    """
    from workbench.playground import find_threshold, similarity, stand, tell_groups

    check_texts(collection, 2)
    shown = collection.first(MOST_SENTENCES)
    texts, labels = list(shown.texts), list(shown.labels)
    matrices = similarity(context.encoder, models, texts, tell)
    thresholds = {model: find_threshold(model, context.home) for model in models}
    # Both in one way: a colour that means a match beside one that means a share could not be compared.
    judged = all(threshold.value is not None for threshold in thresholds.values())
    panels: list[Panel] = []
    standings = {}
    for model in models:
        value, unrelated = (thresholds[model].value, thresholds[model].unrelated) if judged else (None, None)
        standing = standings[model] = stand(matrices[model], value, unrelated)
        short, full = group_words(tell_groups(matrices[model], labels, value))
        panels.append(
            {
                "title": names.get(model, model),
                "groups": short,
                "words": f"{full} {scale_words(value)}".strip(),
                "matrix": rounded(matrices[model]),
                "shades": rounded(standing.shades),
                "places": standing.places.tolist(),
                "matches": None if standing.matches is None else standing.matches.tolist(),
            }
        )
    pair = [models[0], models[-1]]
    rows = pair_rows(texts, [matrices[model] for model in pair], [standings[model] for model in pair])[:MOST_PAIRS]
    note = " ".join([left_out(collection, shown, "compared"), *not_read(context, models, texts, names, tell)]).strip()
    return heatmaps_value(texts, panels, labels), rows, note


def rounded(numbers: NDArray[np.floating]) -> list[list[float]]:
    """Return a matrix as plain numbers of four digits."""
    return [[round(float(value), 4) for value in row] for row in numbers]


def scale_words(threshold: float | None) -> str:
    """Return what the colours of a heatmap mean."""
    if threshold is None:
        return "Colour and first number: the share of the pairs shown that are less similar to this model; below it the cosine."
    return f"✓ and green: a match, from this model's own threshold on, a cosine of {threshold:.2f}. The numbers are cosines."


def group_words(told: GroupsTold | None) -> tuple[str, str]:
    """Return how well a model tells the groups of texts apart, in short and in full; empty where there are no groups."""
    if told is None:
        return "", ""
    order = f"A pair of one group is above one of two groups in {told.in_order:.0%} of cases"
    if told.found is None or told.mistaken is None:
        return f"{order}.", ""
    right, pairs = told.found + told.across - told.mistaken, told.within + told.across
    counts = f"{told.found} of {told.within} that belong together are a match, and {told.mistaken} of {told.across} that do not"
    return f"Right about {right} of {pairs} pairs", f"{counts}. {order}."


def not_read(
    context: Context, models: Sequence[str], texts: Sequence[str], names: Mapping[str, str], tell: ProgressCallback
) -> list[str]:
    """Return sentences on what the models do not read of texts; what is true of both models is said once."""
    found = {model: context.encoder.count(model, texts, tell) for model in models}
    reads = list(found.values())
    same = len(reads) > 1 and all(read == reads[0] for read in reads)
    words = []
    for model, read in [(models[0], reads[0])] if same else found.items():
        named = "each of these models" if same else names.get(model, model)
        words += [text for _, text in read.counts.findings(named)]
        if read.alike:
            first, second = (f"“{shorten(texts[place])}”" for place in read.alike[0])
            more = f", and {len(read.alike) - 1:,} more pairs" if len(read.alike) > 1 else ""
            words.append(
                f"{first} and {second}{more}: the texts differ, but not in what {named} reads of them, so it finds them the same."
            )
    return words


def shorten(text: str) -> str:
    """Return the beginning of a text."""
    return text if len(text) <= 40 else f"{text[:39]}…"


def pair_view(
    context: Context, models: Sequence[str], first: str | None, second: str | None, names: Mapping[str, str], tell: ProgressCallback
) -> dict[str, Any]:
    """Return how each model reads a pair of texts.

    Raises:
        WorkbenchError: If a text is empty, or a model cannot be loaded.
    """
    from workbench.playground import find_threshold, scale_floor

    texts = [(text or "").strip() for text in (first, second)]
    if not all(texts):
        raise InputError("Type two texts to compare.", field="texts")
    note = " ".join(not_read(context, models, texts, names, tell))
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
                "floor": None if threshold.value is None else scale_floor(threshold.value, threshold.unrelated or 0.0),
                "decision": decision_words(reading["cosine"], threshold),
                "verdict": verdict_words(reading["cosine"], threshold),
                "source": f"The threshold {threshold.source}",
                "exact": exact,
                "method": EXACT_WORDS.format(cosine=f"{reading['cosine']:.3f}") if exact else OCCLUSION_WORDS,
                "sides": reading["sides"],
            }
        )
    return {"panels": panels, "note": note}


def decision_words(cosine: float, threshold: Threshold) -> str:
    """Return whether a cosine counts as a match, in a word or two; empty without a threshold."""
    if threshold.value is None:
        return ""
    return "✓ Match" if cosine >= threshold.value else "No match"


def verdict_words(cosine: float, threshold: Threshold) -> str:
    """Return whether a cosine counts as a match."""
    if threshold.value is None:
        return "There is no threshold to judge the pair by."
    if cosine >= threshold.value:
        return f"Above the run's threshold {threshold.value:.2f}: counts as a match."
    return f"Below the run's threshold {threshold.value:.2f}: does not count as a match."


def search_view(
    context: Context,
    models: Sequence[str],
    collection: Collection,
    query: str | None,
    k: int,
    names: Mapping[str, str],
    tell: ProgressCallback,
) -> dict[str, Any]:
    """Return what each model finds, and how places differ.

    Raises:
        WorkbenchError: If there is nothing to search for or in, or a model cannot be loaded.
    """
    from workbench.playground import best_hits, find_threshold

    wanted = " ".join((query or "").split())
    if not wanted:
        raise InputError("Type what to look for.", field="query")
    # A text is always most like itself, which tells nothing.
    texts = [text for text in collection.texts if text != wanted]
    if not texts:
        raise InputError("There is nothing to search in; paste texts, one per line, or upload a file.", field="texts")
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
        threshold = find_threshold(model, context.home).value
        panels.append(
            {
                "title": names.get(model, model),
                "threshold": None if threshold is None else f"{threshold:.2f}",
                "time": f"{len(collection.texts):,} texts {encoded}, searched in {seconds_words(result.search_seconds)}",
                "hits": [hit_row(hit, threshold) for hit in hits],
            }
        )
    note = f"Most like “{wanted}”." + (" The text itself is left out." if len(texts) < len(collection.texts) else "")
    if len(models) > 1:
        note += " Beside each cosine: how its place differs from the other model's."
    # The corpus by itself, whose counts are remembered for the next query.
    unread = not_read(context, models, collection.texts, names, tell)
    unread += [f"Of what is searched for: {words}" for words in not_read(context, models, [wanted], names, tell)]
    return {"query": wanted, "note": " ".join([note, *unread]), "panels": panels}


def hit_row(hit: Hit, threshold: float | None = None) -> dict[str, Any]:
    """Return a result as the panel shows it; the change of place is said as text as well as by its kind.

    Args:
        hit: The result.
        threshold: From which cosine on it counts as a match; None where the model has none.
    """
    row: dict[str, Any] = {
        "rank": hit.rank,
        "text": hit.text,
        "score": f"{hit.score:.3f}".replace("-", "−"),
        "badge": "",
        "change": "",
    }
    row["match"] = None if threshold is None else hit.score >= threshold
    if hit.other_rank is None:
        return row
    if hit.change is None:
        return {**row, "badge": f"new (other: {hit.other_rank:,}.)", "change": "new"}
    kind = "same" if hit.change == 0 else "up" if hit.change > 0 else "down"
    return {**row, "badge": format_change(hit.change), "change": kind}


def map_view(
    context: Context, models: Sequence[str], collection: Collection, method: str, names: Mapping[str, str], tell: ProgressCallback
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
    note = " ".join([left_out(collection, shown, "drawn"), *not_read(context, models, shown.texts, names, tell)]).strip()
    return {"texts": list(shown.texts), "labels": list(shown.labels), "note": note, "panels": panels}


def sizes_view(
    context: Context, models: Sequence[str], collection: Collection, names: Mapping[str, str], tell: ProgressCallback
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


def _quality(context: Context, model: str, held_out: HeldOut, collection: Collection, tell: ProgressCallback) -> dict[str, Any]:
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


def _agreement(context: Context, model: str, held_out: HeldOut, collection: Collection, tell: ProgressCallback) -> dict[str, Any]:
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
            f"Give at least {('', '', 'two', 'three')[fewest]} different texts, one per line; there {'is' if count == 1 else 'are'} {count}.",
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
