"""What commands tell: text for people, one JSON object for programs, errors for both.

With `--json` a command writes one object to standard output: `command`, `ok`, and its own fields, or `errors`
where the input was bad. docs/command-line.md lists the fields.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from architrave.ir.source import ArchitraveError, Diagnostic


@dataclass
class Session:
    """How this run of the program reports."""

    debug: bool = False
    json: bool = False
    command: str = ""


def _remember(ctx: click.Context, parameter: click.Parameter, value: bool) -> bool:
    ctx.ensure_object(Session).command = ctx.command_path.partition(" ")[2]
    return value


F = TypeVar("F", bound=Callable[..., Any])


def json_option(command: F) -> F:
    """`--json`."""
    option = click.option(
        "--json", "as_json", is_flag=True, is_eager=True, callback=_remember, help="Report as one JSON object."
    )
    return option(command)


def print_json(command: str, ok: bool, fields: Mapping[str, Any]) -> None:
    """The one object that a command with `--json` writes."""
    click.echo(json.dumps({"command": command, "ok": ok, **fields}, indent=2, ensure_ascii=False, default=str))


def finish(session: Session, problem: ArchitraveError) -> int:
    """Report bad input; the exit code."""
    if session.json:
        print_json(session.command, False, {"errors": errors_json(problem)})
    else:
        show_error(problem)
    return 2


def errors_json(problem: ArchitraveError) -> list[dict[str, object]]:
    """The diagnostics of an error as JSON-ready data."""
    return [d.to_json() for d in problem.diagnostics]


def show_error(problem: ArchitraveError) -> None:
    """Write an error to standard error, in colour where that is a terminal."""
    show_diagnostics(problem.diagnostics)


def show_diagnostics(diagnostics: Sequence[Diagnostic]) -> None:
    """Write errors and warnings to standard error, in colour where that is a terminal."""
    blocks = [str(d) for d in diagnostics]
    text = ("\n\n" if any("\n" in block for block in blocks) else "\n").join(blocks)
    if not text:
        return
    click.echo(_coloured(text) if wants_colour(sys.stderr) else text, err=True)


def wants_colour(stream: Any) -> bool:
    """Whether to colour what goes to a stream: https://no-color.org decides before the terminal does."""
    return not os.environ.get("NO_COLOR") and bool(stream.isatty()) and os.environ.get("TERM") != "dumb"


_STYLES = (
    (re.compile(r"^(error\[\w+\]:)(.*)$"), ("31;1", "1")),
    (re.compile(r"^(warning\[\w+\]:)(.*)$"), ("33;1", "1")),
    (re.compile(r"^(  help:)(.*)$"), ("32;1", "")),
    (re.compile(r"^(  note:)(.*)$"), ("36;1", "")),
    (re.compile(r"^(  -->)(.*)$"), ("34;1", "")),
    (re.compile(r"^( *\d* \|)( *\^+)$"), ("34;1", "31;1")),
    (re.compile(r"^( *\d+ \|)(.*)$"), ("34;1", "")),
    (re.compile(r"^(  in )(.*)$"), ("2", "2")),
)


def _coloured(text: str) -> str:
    return "\n".join(map(_coloured_line, text.split("\n")))


def _coloured_line(line: str) -> str:
    for pattern, styles in _STYLES:
        found = pattern.match(line)
        if found is not None:
            return "".join(_styled(t, s) for t, s in zip(found.groups(), styles, strict=True))
    return line


def _styled(text: str, style: str) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if style and text else text
