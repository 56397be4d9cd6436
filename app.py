"""Open the workbench: `python app.py`, then the address it prints."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the page; return the exit code."""
    try:
        from workbench.cli import serve_page
        from workbench.settings import keep_private
    except ModuleNotFoundError as error:
        sys.stderr.write(f"The package {error.name} is not installed; run `pip install -r requirements.txt` first.\n")
        return 2
    keep_private()
    return serve_page(arguments)


if __name__ == "__main__":
    sys.exit(main())
