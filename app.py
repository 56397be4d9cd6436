"""Open the workbench: `python app.py`, then http://127.0.0.1:7860."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(prog="app.py", description="Fine-tune sentence-embedding models in the browser.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=7860, help="port to listen on; 0 picks a free one and prints it (default: %(default)s)"
    )
    parser.add_argument(
        "--home", metavar="DIR", help="folder of data sets, runs and models (default: $WORKBENCH_HOME, else ~/.workbench)"
    )
    parser.add_argument(
        "--auth", metavar="USER:PASSWORD", help="ask for a password (or WORKBENCH_AUTH); needed when the host is not this machine"
    )
    parser.add_argument(
        "--allowed-host", metavar="NAME", action="append", default=[], help="further host name to answer to; may be repeated"
    )
    parser.add_argument("--open", action="store_true", help="open a browser")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the page; return the exit code."""
    options = parse_arguments(arguments)
    try:
        from workbench.errors import WorkbenchError
        from workbench.settings import Settings, keep_private
        from workbench.ui import serve
    except ModuleNotFoundError as error:
        sys.stderr.write(f"The package {error.name} is not installed; run `pip install -r requirements.txt` first.\n")
        return 2

    keep_private()
    try:
        settings = Settings.from_environment(options.home, options.host, options.port, options.auth, tuple(options.allowed_host))
        serve(settings, open_browser=options.open)
    except WorkbenchError as error:
        sys.stderr.write(f"{error.message}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
