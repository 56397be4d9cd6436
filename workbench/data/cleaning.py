"""From cells to rows that can be trained on; every row left out or changed is an issue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from workbench.data.issues import Issue, issue, listed, quoted, rows_word, short
from workbench.data.roles import MINIMUM_ROWS, Guess
from workbench.data.splitting import text_ids
from workbench.data.tables import RawTable
from workbench.data.values import Scale, find_scale, has_decimal_comma, parse_number
from workbench.data.vocabulary import FALSE_WORDS, MISSING_LABELS, TRUE_WORDS
from workbench.recipe.kinds import KINDS

Numbers = Callable[[Sequence[int]], list[int]]
"""Rows of the table to their numbers in the file."""

_LONG_TEXT = 5000
_NEAR_DUPLICATE_SAMPLE = 20_000
_SLIPS = 0.01
_STRAYS = 0.05


@dataclass
class Cleaned:
    """Rows as a data set stores them.

    Attributes:
        columns: Role -> values; texts stripped, scores 0 to 1, labels whole numbers.
        rows: Number of rows.
        classes: Names of the classes, in the order of their numbers; empty for other kinds.
        score_scale: Lowest and highest possible score; None for other kinds, or where it cannot be told.
        issues: What was left out, changed or found.
    """

    columns: dict[str, list[str] | list[float] | list[int]]
    rows: int
    classes: tuple[str, ...] = ()
    score_scale: Scale | None = None
    issues: list[Issue] = field(default_factory=list)


def clean(table: RawTable, guess: Guess, scale: Scale | None, full: bool = False) -> Cleaned:
    """Return the rows of a table that can be trained on.

    Args:
        table: The cells.
        guess: Roles and kind, both settled.
        scale: The score scale the user names; None to see it in the values.
        full: Whether to look for near duplicates in every row rather than in the first 20,000.
    """
    assert guess.kind is not None

    def numbers(rows: Sequence[int]) -> list[int]:
        return [table.numbers[row] for row in rows]

    kind = KINDS[guess.kind]
    issues: list[Issue] = []
    texts = {role: [(cell or "").strip() for cell in table.columns[guess.roles[role]]] for role in kind.texts}
    trimmed = [
        row
        for row in range(table.rows)
        if any(texts[role][row] != (table.columns[guess.roles[role]][row] or "") for role in kind.texts)
    ]
    if trimmed:
        issues.append(issue("trimmed", "note", f"Spaces around a text were removed: {rows_word(len(trimmed))}", numbers(trimmed)))
    kept = _without_empty(table, texts, issues, numbers)
    values: list[float] | list[int] | None = None
    classes: tuple[str, ...] = ()
    if kind.label is not None:
        cells = [(cell or "").strip() for cell in table.columns[guess.roles[kind.label]]]
        kept = _without_missing(cells, kept, kind.label, guess.roles[kind.label], issues, numbers)
        if kind.label == "score":
            kept, values, scale = _scores(cells, kept, scale, issues, numbers)
        elif guess.kind == "labelled_pairs":
            kept, values = _binary(cells, kept, issues, numbers)
            classes = ("0", "1")
        else:
            classes, values = _classes(cells, kept, issues)
    kept, values = _without_duplicates(texts, kept, values, issues, numbers)
    columns: dict[str, list[str] | list[float] | list[int]] = {role: [texts[role][row] for row in kept] for role in kind.texts}
    _look_at_pairs([columns[role] for role in kind.texts], kept, values, guess.kind, issues, numbers, full)  # type: ignore[misc]
    if kind.label is not None and values is not None:
        columns[kind.label] = values
    if len(kept) < MINIMUM_ROWS:
        text = f"Only {rows_word(len(kept))} can be used; at least {MINIMUM_ROWS} are needed, and a few hundred to learn something."
        issues.append(issue("too_few_rows", "error", text, count=len(kept)))
    return Cleaned(columns, len(kept), classes, scale if kind.label == "score" else None, issues)


def _without_empty(table: RawTable, texts: Mapping[str, Sequence[str]], issues: list[Issue], numbers: Numbers) -> list[int]:
    empty: list[int] = []
    kept: list[int] = []
    for row in range(table.rows):
        if row not in table.skipped:
            (kept if all(column[row] for column in texts.values()) else empty).append(row)
    if empty:
        issues.append(issue("empty_text", "warning", f"Left out for lack of a text: {rows_word(len(empty))}", numbers(empty)))
    return kept


def _without_missing(
    cells: Sequence[str], kept: list[int], role: str, column: str, issues: list[Issue], numbers: Numbers
) -> list[int]:
    missing = [row for row in kept if cells[row].casefold() in MISSING_LABELS]
    if missing:
        text = f"Left out for lack of a {role} in the column {quoted(column)}: {rows_word(len(missing))}"
        issues.append(issue(f"missing_{role}", "warning", text, numbers(missing)))
    lost = set(missing)
    return [row for row in kept if row not in lost]


def _scores(
    cells: Sequence[str], kept: list[int], scale: Scale | None, issues: list[Issue], numbers_of: Numbers
) -> tuple[list[int], list[float], Scale | None]:
    numbers = {row: parse_number(cells[row]) for row in kept}
    unreadable = [row for row in kept if numbers[row] is None]
    if unreadable:
        example = cells[unreadable[0]]
        text = f"Left out because the score is no number, e.g. {quoted(example)}: {rows_word(len(unreadable))}"
        issues.append(issue("unreadable_score", "warning", text, numbers_of(unreadable)))
    readable = {row: number for row, number in numbers.items() if number is not None}
    if any(has_decimal_comma(cells[row]) for row in list(readable)[:1000]):
        issues.append(issue("decimal_comma", "note", "Scores are written with a decimal comma and were read so.", count=1))
    if not readable:
        return [], [], scale
    if scale is None:
        scale = _seen_scale(readable, issues)
        if scale is None:
            return list(readable), list(readable.values()), None
    low, high = scale
    outside = [row for row, number in readable.items() if not low <= number <= high]
    if outside:
        text = f"Left out for a score outside {low:g} to {high:g}, e.g. {short(cells[outside[0]])}: {rows_word(len(outside))}"
        issues.append(issue("score_out_of_range", "warning", text, numbers_of(outside)))
    lost = set(outside)
    kept = [row for row in readable if row not in lost]
    values = [(readable[row] - low) / (high - low) for row in kept]
    if scale != (0.0, 1.0):
        issues.append(
            issue("score_scale", "note", f"Scores were read as {low:g} to {high:g} and brought to 0 to 1.", count=len(kept))
        )
    if kept and len(set(values)) == 1:
        issues.append(
            issue(
                "one_score", "error", f"All scores are {readable[kept[0]]:g}; there is nothing to learn from them.", count=len(kept)
            )
        )
    return kept, values, scale


def _seen_scale(readable: Mapping[int, float], issues: list[Issue]) -> Scale | None:
    numbers = sorted(readable.values())
    lowest, highest = numbers[0], numbers[-1]
    scale, possible = find_scale(lowest, highest)
    usual, outside = _usual_scale(numbers)
    # Among scores from 0 to 5, a 77 is a slip of the pen and no sign of a scale to 100.
    stray = usual is not None and outside <= _STRAYS * len(numbers) and (scale is None or scale[1] > 2 * usual[1])
    if usual is not None and stray and outside <= _SLIPS * len(numbers):
        return usual
    if scale is None or stray:
        scale = None
        how = "the field “Score scale” on the page, `--score-scale {}` on the command line"
        if usual is not None:
            name = f"{usual[0]:g}-{usual[1]:g}"
            text = (
                f"Most scores lie between {usual[0]:g} and {usual[1]:g}, but {outside:,} of {len(numbers):,} do not (they go from "
                f"{lowest:g} to {highest:g}). If {name} is the scale, say so, and the others are left out: {how.format(name)}."
            )
        else:
            fits = f"could be {possible}" if possible else "fits no usual scale"
            text = f"The scores go from {lowest:g} to {highest:g}, which {fits}; say which scale it is: {how.format('1-5')}."
        issues.append(issue("score_scale_unknown", "error", text, count=len(numbers)))
    return scale


def _usual_scale(numbers: Sequence[float]) -> tuple[Scale | None, int]:
    """Return the scale of the middle four fifths of sorted scores, and how many scores lie outside it."""
    cut = len(numbers) // 10
    if cut < 2:
        return None, 0
    scale, _ = find_scale(numbers[cut], numbers[-1 - cut])
    if scale is None:
        return None, 0
    return scale, sum(not scale[0] <= number <= scale[1] for number in numbers)


def _classes(cells: Sequence[str], kept: list[int], issues: list[Issue]) -> tuple[tuple[str, ...], list[int]]:
    """Return the names of the classes and the class of each row; a name in other letter case is the same class."""
    spellings: dict[str, Counter[str]] = {}
    for row in kept:
        spellings.setdefault(cells[row].casefold(), Counter())[cells[row]] += 1
    usual = {key: counts.most_common(1)[0][0] for key, counts in spellings.items()}
    classes = tuple(sorted(usual.values()))
    number = {key: classes.index(name) for key, name in usual.items()}
    issues.append(issue("classes", "note", f"The classes are {listed(classes)}.", count=len(classes)))
    return classes, [number[cells[row].casefold()] for row in kept]


def _binary(cells: Sequence[str], kept: list[int], issues: list[Issue], numbers: Numbers) -> tuple[list[int], list[int]]:
    words = {row: cells[row].casefold() for row in kept}
    wrong = [row for row, word in words.items() if word not in TRUE_WORDS | FALSE_WORDS]
    if wrong:
        issues.append(
            issue(
                "unreadable_label",
                "warning",
                f"Left out for a label that is neither 0 nor 1: {rows_word(len(wrong))}",
                numbers(wrong),
            )
        )
    lost = set(wrong)
    kept = [row for row in kept if row not in lost]
    values = [int(words[row] in TRUE_WORDS) for row in kept]
    if any(words[row] not in {"0", "1"} for row in kept):
        seen = sorted({cells[row] for row in kept})
        meanings = ", ".join(f"{word} = {int(word.casefold() in TRUE_WORDS)}" for word in seen)
        issues.append(issue("label_words", "note", f"Labels were read as {meanings}, 1 for a match.", count=len(seen)))
    if kept and len(set(values)) == 1:
        text = f"All labels are {values[0]}; a model needs matches (1) and non-matches (0) to learn the difference."
        if values[0] == 1:
            text += " If all rows are matches, use the columns as anchor and positive: `anchor=…, positive=…`."
        issues.append(issue("one_label", "error", text, count=len(kept)))
    return kept, values


def _without_duplicates(
    texts: Mapping[str, Sequence[str]],
    kept: list[int],
    values: list[float] | list[int] | None,
    issues: list[Issue],
    numbers: Numbers,
) -> tuple[list[int], list[float] | list[int] | None]:
    seen: set[tuple[object, ...]] = set()
    duplicates: list[int] = []
    places: list[int] = []
    for place, row in enumerate(kept):
        key = (*(column[row] for column in texts.values()), None if values is None else values[place])
        if key in seen:
            duplicates.append(row)
        else:
            seen.add(key)
            places.append(place)
    if duplicates:
        text = f"Left out as exact repeats of an earlier row: {rows_word(len(duplicates))}"
        issues.append(issue("duplicate_row", "warning", text, numbers(duplicates)))
    return [kept[place] for place in places], None if values is None else [values[place] for place in places]  # type: ignore[return-value]


def _look_at_pairs(
    columns: Sequence[Sequence[str]],
    kept: list[int],
    values: Sequence[float] | None,
    kind: str,
    issues: list[Issue],
    numbers: Numbers,
    full: bool,
) -> None:
    first, second = columns[:2]
    same = [
        row
        for place, row in enumerate(kept)
        if first[place].casefold() == second[place].casefold() and (values is None or values[place] < 1)
    ]
    if same and kind != "class_pairs":
        what = "A text paired with itself" if values is None else "A text paired with itself, not at the highest value"
        issues.append(issue("self_pair", "warning", f"{what}: {rows_word(len(same))}", numbers(same)))
    if values is not None:
        conflicts = _contradictions(first, second, values)
        if conflicts:
            text = f"The same pair with different values (all kept, but they pull in different directions): {rows_word(len(conflicts))}"
            issues.append(issue("contradiction", "warning", text, numbers([kept[place] for place in conflicts])))
    if kind == "triplets":
        equal = [row for place, row in enumerate(kept) if columns[2][place] in {first[place], second[place]}]
        if equal:
            issues.append(
                issue(
                    "negative_is_positive",
                    "warning",
                    f"The negative is also the anchor or the positive: {rows_word(len(equal))}",
                    numbers(equal),
                )
            )
    long = [row for place, row in enumerate(kept) if any(len(column[place]) > _LONG_TEXT for column in columns)]
    if long:
        text = (
            f"A text of more than {_LONG_TEXT:,} characters, of which an encoder reads only the beginning: {rows_word(len(long))}"
        )
        issues.append(issue("long_text", "warning", text, numbers(long)))
    _look_for_near_duplicates(columns, kept, issues, numbers, full)


def _contradictions(first: Sequence[str], second: Sequence[str], values: Sequence[float]) -> list[int]:
    """Return the places of pairs, either way round, whose value is not the one they have where they come first, and those first places."""
    ids = np.sort(text_ids([first, second]), axis=0)
    _, first_place, pair = np.unique(ids[0] * (ids.max(initial=0) + 1) + ids[1], return_index=True, return_inverse=True)
    value, earlier = np.asarray(values), first_place[pair]
    differ = np.flatnonzero(np.abs(value - value[earlier]) > 1e-9)
    return list(dict.fromkeys(np.stack([earlier[differ], differ], axis=1).ravel().tolist()))


def _look_for_near_duplicates(
    columns: Sequence[Sequence[str]], kept: list[int], issues: list[Issue], numbers: Numbers, full: bool
) -> None:
    limit = len(kept) if full else min(len(kept), _NEAR_DUPLICATE_SAMPLE)
    seen: dict[tuple[str, ...], tuple[str, ...]] = {}
    near = []
    for place in range(limit):
        exact = tuple(column[place] for column in columns)
        bare = tuple("".join(filter(str.isalnum, text.casefold())) for text in exact)
        if seen.setdefault(bare, exact) != exact:
            near.append(kept[place])
    if near:
        part = "" if limit == len(kept) else f" among the first {limit:,}"
        text = f"Different from an earlier row only in case, spaces or punctuation{part}: {rows_word(len(near))}"
        issues.append(issue("near_duplicate", "note", text, numbers(near)))
