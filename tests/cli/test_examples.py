"""Every example of every help text runs, in a new user's folder."""

import shlex
from collections.abc import Iterator

import click
import pytest

from architrave.cli.app import app
from tests.cli.conftest import Cli

FRAMEWORKS = {"verify": ("torch", "jax"), "quantize": ("torch", "jax"), "supernet": ("torch",)}


def commands(command: click.Command) -> Iterator[click.Command]:
    """A command and all below it."""
    yield command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below)


ALL = list(commands(app))
EXAMPLES = dict.fromkeys(line.strip() for c in ALL for line in (c.epilog or "").splitlines() if line.startswith("  "))


@pytest.mark.parametrize("command", ALL, ids=lambda command: command.name)
def test_help_is_complete(command: click.Command) -> None:
    assert command.help
    assert "Examples:" in (command.epilog or "")
    assert all(p.help for p in command.params if isinstance(p, click.Option))
    # click keeps the help option that the first context asks for.
    with click.Context(command, **app.context_settings) as context:
        assert command is app or "..." not in command.get_short_help_str(60), "the first sentence is short"
        assert max(map(len, command.get_help(context).splitlines())) <= 100


@pytest.mark.parametrize("line", EXAMPLES)
def test_example_runs(cli: Cli, line: str) -> None:
    program, *arguments = shlex.split(line)
    for framework in FRAMEWORKS.get(arguments[0], ()):
        pytest.importorskip(framework)
    if "inspect" in arguments or arguments[0] in ("quantize", "sparsify", "activations", "factorize", "prune"):
        cli("weights", "init", "net.arch", "--output", "net.safetensors")
    if "cut" in arguments:
        given = "--data points.npz --kind slices --backend numpy --batch 8 --epochs 1"
        cli("supernet", "train", "few.arch", *given.split(), "--output", "s.safetensors")
    outcome = cli(*arguments)
    assert program == "architrave"
    assert (outcome.code, "error" in outcome.err) == (0, False), outcome
