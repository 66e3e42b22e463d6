"""The program itself: finding the command, and what its outcome is to the shell."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, TextIO

import click

from architrave.cli.help import examples
from architrave.cli.report import Session, finish, show_error
from architrave.ir.source import ArchitraveError, Diagnostic, error, nearest

COMMANDS = (
    *("check", "compile", "verify", "show", "passes", "apply", "equal"),
    *("fmt", "list", "ops", "weights", "train", "sample", "quantize", "sparsify", "activations", "factorize", "prune"),
    *("search", "supernet"),
)
"""Each is a module of this package with a `command`."""

INTERRUPTED = 130
INTERNAL = 70
BROKEN_PIPE = 141


class Commands(click.Group):
    """The commands, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"architrave.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            hint = nearest(args[0], COMMANDS) or f"the commands are {', '.join(COMMANDS)}"
            raise click.UsageError(f"there is no command `{args[0]}`; {hint}", ctx)
        return super().resolve_command(ctx, args)


@examples(
    "architrave list",
    "architrave show resnet50",
)
@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="architrave", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an internal error.")
@click.pass_context
def app(ctx: click.Context, debug: bool) -> None:
    """Compile neural networks from `.arch` files to NumPy, PyTorch and JAX programs that agree.

    A model is a file, net.arch, one model of a file, net.arch:Model, or a name from the
    standard library, resnet50. The exit code is 0 when all is well, 1 when a check or an
    agreement fails, 2 for bad input or usage.
    """
    ctx.ensure_object(Session).debug = debug


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command that `arguments` (by default, those of the process) name; the exit code."""
    for stream in (sys.stdout, sys.stderr):
        _never_fail_to_encode(stream)
    given = list(sys.argv[1:] if arguments is None else arguments)
    # Known before the arguments are understood, so that a mistake in them is reported as asked.
    session = Session(json="--json" in given, command=next((word for word in given if word in COMMANDS), ""))
    try:
        code = _invoke(given, session)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        _discard_output()
        return BROKEN_PIPE
    except OSError as problem:
        _discard_output()
        show_error(error("E704", f"the system refuses: {problem}"))
        return 2
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED


def _invoke(arguments: list[str], session: Session) -> int:
    command: Any = app
    try:
        with command.make_context("architrave", arguments, obj=session) as ctx:
            return int(command.invoke(ctx) or 0)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as problem:
        return _usage(problem, session)
    except ArchitraveError as problem:
        return finish(session, problem)
    except (OSError, KeyboardInterrupt, click.Abort):
        raise
    except Exception as problem:
        return _internal(problem, session)


def _usage(problem: click.ClickException, session: Session) -> int:
    if session.json:
        return finish(session, ArchitraveError([Diagnostic("E700", problem.format_message())]))
    problem.show()
    return 2


def _internal(problem: Exception, session: Session) -> int:
    if session.debug:
        traceback.print_exc()
    message = f"internal error: {type(problem).__name__}: {problem}"
    hint = "this is a mistake in architrave: please report it, with the command and its input"
    if not session.debug:
        hint += "; `architrave --debug` shows where it happened"
    failure = ArchitraveError([Diagnostic("E799", message[:1000], hint=hint)])
    if session.json:
        finish(session, failure)
    else:
        show_error(failure)
    return INTERNAL


def _never_fail_to_encode(stream: TextIO) -> None:
    """A terminal that lacks a character shows a question mark."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")


def _discard_output() -> None:
    """Nobody can read on: what is still in the buffers goes nowhere, and the interpreter says nothing about it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
