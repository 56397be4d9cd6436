"""The Data tab's form: what its choices mean, and what happens when a data set is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from workbench.errors import ConfigError, DataError
from workbench.recipe import KINDS, LossSpec, losses_for
from workbench.ui.context import Context
from workbench.ui.draft import Draft, load_draft, update_draft
from workbench.ui.formatting import format_dataset, format_kind
from workbench.ui.uploads import SAMPLE, SAMPLE_TEST_FILE, delete_upload, upload_name, upload_path

SHAPES: Mapping[str, tuple[str, ...]] = {
    "+".join(roles): roles for roles in (*(kind.roles for kind in KINDS.values()), ("anchor", "positive", "label"))
}
"""Distinct sets of roles; kinds that differ only in the values of `label` share one."""

SHAPE_WORDS: Mapping[str, str] = {
    "sentence1+sentence2+score": "Two texts and a score",
    "sentence1+sentence2+label": "Two texts and a label",
    "anchor+positive": "Two texts that belong together",
    "anchor+positive+negative": "A text, a match and a wrong answer",
    "anchor+positive+label": "Entailment and contradiction, as triplets",
}

SLOTS = max(len(roles) for roles in SHAPES.values())

ROLE_WORDS: Mapping[str, str] = {
    "sentence1": "First text",
    "sentence2": "Second text",
    "score": "Score",
    "label": "Label",
    "anchor": "Text",
    "positive": "Its match",
    "negative": "A wrong answer",
}

SCALES: Mapping[str, tuple[float, float] | None] = {"auto": None, "0-1": (0.0, 1.0), "0-5": (0.0, 5.0), "1-5": (1.0, 5.0)}
SCALE_CHOICES = (("from the file", "auto"), ("0 to 1", "0-1"), ("0 to 5", "0-5"), ("1 to 5", "1-5"), ("other …", "custom"))


def mapping_of(shape: str | None, columns: Sequence[str | None]) -> dict[str, str] | None:
    """Return role -> column as chosen in the form, None where a role has no column yet.

    Args:
        shape: A key of `SHAPES`.
        columns: Chosen column names, in the order of the roles.
    """
    if shape is None or shape not in SHAPES:
        return None
    chosen = dict(zip(SHAPES[shape], columns, strict=False))
    return {role: column for role, column in chosen.items() if column} if all(chosen.values()) else None


def scale_of(choice: str | None, low: float | None, high: float | None) -> tuple[float, float] | None:
    """Return the score range as chosen in the form; None takes the one of the file.

    Raises:
        ConfigError: If the two ends are missing or in the wrong order.
    """
    if choice != "custom":
        return SCALES.get(choice or "auto")
    if low is None or high is None:
        raise ConfigError("Name both the lowest and the highest possible score.", field="score_scale")
    from workbench.data import check_scale

    return check_scale((float(low), float(high)))


def stored_choices(context: Context) -> list[tuple[str, str]]:
    """Return the stored data sets, as choices."""
    from workbench.data import list_datasets

    return [(f"{format_dataset(dataset)} · {dataset.ref}", dataset.ref) for dataset in list_datasets(context.home)]


def use_dataset(
    context: Context, token: str, columns: Mapping[str, str] | None, scale: tuple[float, float] | None, test_token: str
) -> Draft:
    """Import what was uploaded and put it into the draft.

    Args:
        context: The server's context.
        token: Stands for the training file.
        columns: Role -> column; None takes the guessed ones.
        scale: Range of the scores; None takes the one of the file.
        test_token: Stands for the held-out file; empty for none.

    Raises:
        DataError: If a file cannot be used, or the two hold different kinds of rows.
    """
    from workbench.data import import_file

    home = context.home
    data = import_file(upload_path(token, home), home, columns=columns, score_scale=scale, name=_stem(upload_name(token, home)))
    test = None
    if test_token:
        same = set(columns.values()) if columns else set()
        path = SAMPLE_TEST_FILE if test_token == SAMPLE else upload_path(test_token, home)
        name = SAMPLE_TEST_FILE.name if test_token == SAMPLE else upload_name(test_token, home)
        test = import_file(
            path, home, columns=columns if same <= _columns(path) else None, score_scale=scale or data.score_scale, name=_stem(name)
        )
        if test.kind != data.kind:
            raise DataError(
                f"The test file holds {format_kind(test.kind)}, but the training file holds {format_kind(data.kind)}; "
                "both must hold the same kind of rows.",
                field="test_data",
            )
    draft = load_draft(home)
    draft = update_draft(
        home,
        data=data.ref,
        columns={},
        score_scale=None,
        test_data=None if test is None else test.ref,
        loss=fitting_loss(draft.loss, data.kind),
        allow_leaking_split=False,
    )
    delete_upload(token, home)
    delete_upload(test_token, home)
    return draft


def fitting_loss(loss: LossSpec | None, kind: str) -> LossSpec | None:
    """Return the objective if it can train on a kind of data set, else None, which takes the default."""
    return loss if loss is not None and loss.name in losses_for(kind) else None


def _columns(path: Path) -> set[str]:
    from workbench.data import inspect_file

    return set(inspect_file(path).columns)


def _stem(name: str) -> str:
    return name.rsplit(".", 1)[0]
