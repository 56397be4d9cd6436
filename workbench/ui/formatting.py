"""Records -> words and table rows. Pure functions; nothing here knows of widgets."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.number_text import decimal
from workbench.recipe import LOSSES, TrainingConfig, default_loss
from workbench.recipe.training import LEAST_VALIDATION_ROWS
from workbench.ui.components.flow import FlowStep
from workbench.ui.components.next_action import NextAction
from workbench.ui.context import Context
from workbench.ui.draft import Draft

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.data import DataReport, StoredDataset
    from workbench.playground import Standing
    from workbench.runs import Run

KIND_WORDS: Mapping[str, str] = {
    "scored_pairs": "scored pairs",
    "labelled_pairs": "labelled pairs",
    "class_pairs": "pairs with a class",
    "pairs": "matching pairs",
    "triplets": "triplets",
}

OUTCOME_WORDS: Mapping[str, str] = {
    "better": "better",
    "no_clear_difference": "no clear difference",
    "worse": "worse",
    "not_judged": "not judged",
}

RUN_HEADERS = ("Name", "Status", "Base", "Data", "Metric", "Before", "After", "Verdict", "General and threshold", "Created", "Run")
RUN_ID_COLUMN = RUN_HEADERS.index("Run")

ISSUE_HEADERS = ("Severity", "What", "Rows", "Where")

SHOWN_ROWS = 8
"""Row numbers named for an issue; the count says how many there are."""

LONGEST_CELL = 300
"""Characters of a sentence in the preview."""


def format_kind(kind: str | None) -> str:
    """Return a kind of data set as text."""
    return KIND_WORDS.get(kind or "", kind or "unknown")


def short_base(base: str) -> str:
    """Return a base encoder's name without the folders before it."""
    return base.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def format_date(stamp: str | None) -> str:
    """Return an ISO time as local date and time, to the minute."""
    if not stamp:
        return ""
    try:
        moment = datetime.fromisoformat(stamp.replace("Z", "+00:00"))
    except ValueError:
        return stamp
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def format_number(value: Any) -> str:
    """Return a metric to four digits, a dash where there is none."""
    return decimal(value, 4) if isinstance(value, int | float) and not isinstance(value, bool) else "–"


def run_label(run: Run) -> str:
    """Return how a list names a run."""
    return f"{run.name or run.run_id} · {run.status} · {format_date(run.created)}"


def run_rows(runs: Iterable[Run], dataset_names: Mapping[str, str]) -> list[list[str]]:
    """Return the rows of the table of runs.

    Args:
        runs: In the order to show.
        dataset_names: Reference of a data set -> its name.
    """
    from workbench.runs import further_words

    rows = []
    for run in runs:
        verdict = run.verdict or {}
        rows.append(
            [
                run.name or run.run_id,
                run.status,
                short_base(run.base),
                dataset_names.get(run.data, run.data),
                verdict.get("metric") or run.primary_metric or "–",
                format_number(verdict.get("before")),
                format_number(verdict.get("after")),
                OUTCOME_WORDS.get(verdict.get("outcome", ""), "–"),
                ", ".join(further_words(run)) or "–",
                format_date(run.created),
                run.run_id,
            ]
        )
    return rows


def run_details(run: Run, dataset_names: Mapping[str, str]) -> str:
    """Return a paragraph on a run."""
    parts = [f"{run.status.capitalize()}: {short_base(run.base)} on {dataset_names.get(run.data, run.data)}"]
    if run.total_steps:
        parts.append(f"step {run.step:,} of {run.total_steps:,}")
    if run.seconds:
        parts.append(f"{run.seconds:,.0f} s")
    if run.device:
        precision = run.facts.get("precision")
        parts.append(f"on {run.device}" + (f" in {precision}" if precision else ""))
    text = ", ".join(parts) + "."
    if run.message:
        text += f" {run.message}"
    return text


def issue_rows(issues: Iterable[Any]) -> list[list[str]]:
    """Return the rows of the table of issues, the worst first."""
    order = {"error": 0, "warning": 1, "note": 2}
    rows = []
    for issue in sorted(issues, key=lambda issue: order.get(issue.severity, 3)):
        shown = ", ".join(str(row) for row in issue.rows[:SHOWN_ROWS])
        more = " …" if len(issue.rows) > SHOWN_ROWS or issue.count > len(issue.rows) else ""
        rows.append([issue.severity, issue.message, f"{issue.count:,}", shown + (more if shown else "")])
    return rows


def preview_rows(report: DataReport) -> tuple[list[str], list[list[str]]]:
    """Return headers and rows of the preview; a column with a role is named by both."""
    roles = {column: role for role, column in report.roles.items()}
    headers = [
        f"{column} ({roles[column]})" if column in roles and roles[column] != column else column for column in report.columns
    ]
    rows = [[_cut(row.get(column, "")) for column in report.columns] for row in report.preview]
    return headers, rows


def column_widths(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str | int]:
    """Return widths in percent by what the columns hold, so that a short one stays in sight beside long texts."""
    lengths = [max([len(header), *(len(row[index]) for row in rows)], default=1) for index, header in enumerate(headers)]
    weights = [min(60, max(12, length)) for length in lengths]
    return [f"{100 * weight / sum(weights):.1f}%" for weight in weights]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"


def format_dataset(dataset: StoredDataset) -> str:
    """Return one line on a stored data set."""
    return f"{dataset.name}: {dataset.rows:,} {format_kind(dataset.kind)}"


def find_dataset(ref: str | None, context: Context) -> StoredDataset | None:
    """Return a stored data set, None where it is not (any more) there."""
    if not ref:
        return None
    from workbench.data import open_dataset

    try:
        return open_dataset(ref, context.home)
    except WorkbenchError:
        return None


def dataset_names(context: Context) -> dict[str, str]:
    """Return reference -> name of all stored data sets."""
    from workbench.data import list_datasets

    return {dataset.ref: dataset.name for dataset in list_datasets(context.home)}


def flow_steps(draft: Draft, dataset: StoredDataset | None, last: Run | None, problem: str = "") -> list[FlowStep]:
    """Return the four steps of the strip at the top.

    Args:
        draft: What is set.
        dataset: The draft's data set, None where there is none.
        last: The newest training run.
        problem: Why the network cannot be built; empty where it can.
    """
    encoder: FlowStep = {
        "tab": "build",
        "title": "Encoder",
        "text": short_base(draft.base),
        "state": "problem" if problem else "ready",
    }
    if dataset is None:
        data: FlowStep = {"tab": "data", "title": "Data", "text": "no data set yet", "state": "missing"}
        objective: FlowStep = {"tab": "train", "title": "Objective", "text": "follows the data", "state": "missing"}
    else:
        data = {"tab": "data", "title": "Data", "text": f"{dataset.rows:,} {format_kind(dataset.kind)} ready", "state": "ready"}
        loss = draft.loss or default_loss(dataset.kind)
        fits = dataset.kind in LOSSES[loss.name].kinds
        objective = {"tab": "train", "title": "Objective", "text": loss.name, "state": "ready" if fits else "problem"}
    return [encoder, data, objective, _last_step(last)]


def _last_step(last: Run | None) -> FlowStep:
    from workbench.runs import further_words, harms

    if last is None:
        return {"tab": "train", "title": "Last run", "text": "none yet", "state": "missing"}
    if last.active:
        return {"tab": "train", "title": "Last run", "text": f"{last.status} …", "state": "busy"}
    if last.verdict and last.verdict.get("outcome") in {"better", "worse", "no_clear_difference"}:
        words = OUTCOME_WORDS[last.verdict["outcome"]]
        numbers = f"{_three(last.verdict.get('before'))} → {_three(last.verdict.get('after'))}"
        bad = last.verdict["outcome"] == "worse" or harms(last)
        text = ", ".join([words, numbers, *further_words(last)])
        return {"tab": "runs", "title": "Last run", "text": text, "state": "problem" if bad else "ready"}
    return {"tab": "runs", "title": "Last run", "text": last.status, "state": "problem" if last.status == "failed" else "ready"}


def next_action(draft: Draft, dataset: StoredDataset | None, last: Run | None, problem: str = "") -> NextAction:
    """Return what to do next, and where; the arguments are those of `flow_steps`."""
    if last is not None and last.active:
        text = f"{last.name or last.run_id} is {last.status}. Watch the curves; stop it when they no longer improve."
        return {"text": text, "action": "Watch the run", "tab": "train", "target": "train-live", "run": last.run_id}
    if dataset is None:
        text = "Next: choose data. Upload a table of pairs, or take the sample data."
        if draft.data:
            text = "The data set in use is gone. Next: choose another."
        return {"text": text, "action": "Choose data", "tab": "data", "target": "data-file", "run": ""}
    if problem:
        text = f"Fix the network. {problem}"
        return {"text": text, "action": "Open Build", "tab": "build", "target": "build-stack", "run": ""}
    if draft.loss is not None and dataset.kind not in LOSSES[draft.loss.name].kinds:
        text = f"Next: choose another objective. {draft.loss.name} cannot learn from {format_kind(dataset.kind)}."
        return {"text": text, "action": "Choose an objective", "tab": "train", "target": "train-loss", "run": ""}
    if last is not None and is_run_of(last, draft):
        return _after_run(last)
    text = f"{short_base(draft.base)} and {dataset.name} are ready. Next: start training."
    return {"text": text, "action": "Go to Start", "tab": "train", "target": "train-start", "run": ""}


def _after_run(last: Run) -> NextAction:
    name = last.name or last.run_id
    if last.status in {"failed", "interrupted"}:
        text = f"{name} {'failed' if last.status == 'failed' else 'was interrupted'}. Next: read why, then start again."
        return {"text": text, "action": "Read why", "tab": "train", "target": "train-live", "run": last.run_id}
    if last.verdict:
        from workbench.runs import further_words

        words = ", ".join([OUTCOME_WORDS.get(last.verdict.get("outcome", ""), "judged"), *further_words(last)])
        text = f"{name} has ended: {words}. Next: read the verdict, then try your own sentences in the Playground."
        return {"text": text, "action": "Read the verdict", "tab": "train", "target": "train-live-verdict", "run": last.run_id}
    text = f"{name} was stopped. Next: see what it left, or change the settings and start again."
    return {"text": text, "action": "See the run", "tab": "train", "target": "train-live", "run": last.run_id}


def is_run_of(run: Run, draft: Draft) -> bool:
    """Return whether a run did what the draft still says, so that starting again would only repeat it."""
    try:
        recipe = run.recipe()
    except WorkbenchError:
        return False
    names = ("base", "architecture", "data", "validation_data", "test_data", "training")
    same = all(getattr(recipe, name) == getattr(draft, name) for name in names)
    return same and (draft.loss is None or draft.loss == recipe.loss)


def find_problem(draft: Draft, context: Context) -> str:
    """Return why the network cannot be built, empty where it can."""
    try:
        draft.architecture.validate(context.describe_base(draft.base))
    except WorkbenchError as error:
        return error.message
    return ""


def _three(value: Any) -> str:
    return decimal(value, 3) if isinstance(value, int | float) else "–"


def split_settings(draft: Draft) -> TrainingConfig:
    """Return the training settings with no part held out for what a file of its own does."""
    changes: dict[str, Any] = {
        name: 0.0 for name, given in (("test_fraction", draft.test_data), ("validation_fraction", draft.validation_data)) if given
    }
    return dataclasses.replace(draft.training, **changes)


def format_plan(draft: Draft, dataset: StoredDataset | None, context: Context) -> str:
    """Return what pressing Start would do.

    Args:
        draft: What is set.
        dataset: The draft's data set, None where there is none.
        context: For the facts of base and split.

    Raises:
        WorkbenchError: With the reason why it cannot run.
    """
    recipe = draft.to_recipe()
    if dataset is None:
        return f"The data set {recipe.data} is gone; choose another in the Data tab."
    info = context.describe_base(draft.base)
    draft.architecture.validate(info)
    loss = draft.loss or default_loss(dataset.kind)
    loss.check_kind(dataset.kind)
    split = context.preview_split(dataset.ref, split_settings(draft))
    steps = draft.training.total_steps(math.ceil(split.train / draft.training.batch_size))
    rate = draft.training.learning_rate_for(info.pretrained, info.width)
    layers = " → ".join(layer.entry.title for layer in draft.architecture.layers)
    test = find_dataset(draft.test_data, context)
    few = split.validation < LEAST_VALIDATION_ROWS and not draft.validation_data
    picked = f"{split.validation:,} rows pick the best step"
    if few:
        picked = f"{split.validation:,} validation rows are too few to pick a step, so the last one is kept"
    judged = f"{test.rows:,} rows of {test.name}" if test else f"{split.test:,} rows"
    judged = f"{judged} give the verdict"
    if draft.test_data is None and draft.training.cross_validation == "auto" and draft.training.devices == 1:
        from workbench.evaluation.cross_validation import FOLDS, TRAININGS, is_small

        if is_small(split.rows, split.groups, split.test_groups, split.largest_group):
            repeated = draft.training.total_steps(math.ceil(split.rows * (1 - 1 / FOLDS) / draft.training.batch_size))
            judged = (
                f"{split.test:,} test rows are too few to give the verdict; it comes from cross-validation: {TRAININGS} further trainings, each on "
                f"four fifths of the {split.rows:,} rows and about {repeated:,} steps"
            )
    return (
        f"{short_base(draft.base)} ({layers}, {draft.architecture.width(info):,} numbers a sentence) learns from {split.train:,} "
        f"{format_kind(dataset.kind)} of {dataset.name} with {loss.name}: about {steps:,} steps of "
        f"{draft.training.batch_size:,} rows at learning rate {rate:g}. {picked}, "
        f"{judged}."
    )


def pair_rows(texts: Sequence[str], matrices: Sequence[NDArray[np.floating]], standings: Sequence[Standing]) -> list[list[str]]:
    """Return every pair of sentences as each model places it, the pair whose place changed most first.

    A change is measured by the ratio of the places: from 2nd to 8th changes what is found, from 22nd to 28th hardly anything.

    Args:
        texts: The sentences.
        matrices: Cosines of the first model and the second, (texts, texts) each.
        standings: Where the pairs stand in each.

    Returns:
        Both sentences, a cell for each model, and how many places higher or lower the first model puts the pair.
    """
    rows = []
    for row in range(len(texts)):
        for column in range(row + 1, len(texts)):
            first, second = (int(standing.places[row, column]) for standing in standings)
            cells = [format_place(matrix, standing, row, column) for matrix, standing in zip(matrices, standings, strict=True)]
            change = abs(math.log(first / second))
            moved = abs(float(matrices[0][row, column]) - float(matrices[1][row, column]))
            rows.append((-change, -moved, [texts[row], texts[column], *cells, arrow(second - first)]))
    return [cells for _, _, cells in sorted(rows, key=lambda item: item[:2])]


def arrow(places: int) -> str:
    """Return by how many places something stands higher (positive) or lower, as short as a narrow column needs it."""
    return "=" if places == 0 else f"{'▲' if places > 0 else '▼'} {abs(places)}"


def format_change(places: int) -> str:
    """Return by how many places something stands higher (positive) or lower."""
    if places == 0:
        return "= same"
    return f"▲ up {places}" if places > 0 else f"▼ down {-places}"


def format_place(matrix: NDArray[np.floating], standing: Standing, row: int, column: int) -> str:
    """Return a pair's place in a model, a mark where it is a match, and the cosine."""
    match = standing.matches is not None and standing.matches[row, column]
    return f"{standing.places[row, column]}. {'✓ ' if match else ''}{matrix[row, column]:.3f}".replace("-", "−")


def metric_rows(metrics: Mapping[str, Any]) -> list[list[str]]:
    """Return every metric of the test part with its value before and after."""
    before, after = metrics.get("before") or {}, metrics.get("after") or {}
    return [[name, format_number(before.get(name)), format_number(after.get(name))] for name in dict.fromkeys([*before, *after])]
