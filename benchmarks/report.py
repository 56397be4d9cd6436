"""Tables of the results, as `benchmarks/README.md` shows them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measuring import write_json

README = Path(__file__).with_name("README.md")


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; the first column is words, the others are numbers."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def times(ratio: dict[str, float]) -> str:
    """Return a ratio with its spread, e.g. 1.52 (1.48 to 1.60)."""
    return f"{ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"


def setting(result: dict[str, Any]) -> str:
    """Return the line under a table: what was measured on, where, with what, and when."""
    machine, data = result["machine"], result["data"]
    where = machine.get("gpu") or f"{machine['cpu']} with threads={machine['threads']}"
    return (
        f"Base {result['base']}, {data['rows']:,} rows of {data['file']}; {where}; Python {machine['python']}, torch {machine['torch']}, "
        f"transformers {machine['transformers']}, sentence-transformers {machine['sentence-transformers']}; {machine['date']}."
    )


def placed(readme: str, name: str, text: str) -> str:
    """Return the README with the text between the two marks of a name exchanged.

    Raises:
        ValueError: If it has no such marks.
    """
    before, start, rest = readme.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- end of {name} -->")
    if not (start and end):
        raise ValueError(f"{README.name} has no place `<!-- {name} -->` ... `<!-- end of {name} -->` for the table.")
    return f"{before}{start}{text}\n{end}{after}"


def publish(result: dict[str, Any], output: Path, text: str) -> None:
    """Write a result's file, print its table, and put it into the README if the file is the repository's own.

    Args:
        result: What was measured.
        output: Where the JSON goes.
        text: The table and its setting.
    """
    write_json(result, output)
    print(text)
    if output.resolve().parent == README.parent:
        README.write_text(placed(README.read_text(encoding="utf-8"), output.stem, text), encoding="utf-8")
