"""The command line, `architrave COMMAND ...`. What a command needs is imported when it runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code: the entry point of the `architrave` program."""
    from architrave.cli.app import run

    sys.exit(run(arguments))
