"""The help texts of commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

C = TypeVar("C", bound=click.Command)


def examples(*lines: str) -> Callable[[C], C]:
    """Command lines at the end of a command's help. The tests run each of them."""

    def add(command: C) -> C:
        # The first character keeps click from filling the lines.
        command.epilog = "\b\n" + "\n".join(["Examples:", *(f"  {line}" for line in lines)])
        return command

    return add
