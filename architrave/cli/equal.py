"""`architrave equal`: are two networks the same function?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from architrave.cli.help import examples
from architrave.cli.report import json_option, print_json, show_diagnostics
from architrave.cli.selection import Selection, model_options, sizes_option

if TYPE_CHECKING:
    from architrave.backends.agree.shared import Given
    from architrave.ir.graph import Graph
    from architrave.ir.source import Diagnostic


@examples(
    "architrave equal net.arch net.arch:Net --set width=8",
    'architrave equal resnet18 --set size=32 --passes "inference,reparam,hoist"',
    "architrave equal letters.arch --passes deploy --weights letters.safetensors --seeds 1",
)
@click.command("equal")
@click.argument("name", metavar="A")
@click.argument("other", metavar="[B]", required=False)
@click.option("--passes", metavar="PIPELINE", help="In place of B: what these make of A, and of its weights.")
@click.option("--weights", metavar="FILE", help="The checkpoint of A; random weights by default.")
@click.option("--weights-b", metavar="FILE", help="The checkpoint of B; by default, it has A's weights.")
@click.option("--train/--inference", "training", default=False, help="The mode; by default, inference.")
@click.option("--gradients", is_flag=True, help="Compare the gradients of the inputs, too.")
@click.option("--tolerance", type=click.FloatRange(0), help="How much of the range they may differ by.")
@click.option("--seed", default=0, show_default=True, help="Weights and inputs are drawn from this.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="How many times they run.")
@sizes_option("--size", "Sizes for symbolic dimensions, N=2,H=64; by default, small ones.")
@model_options
@json_option
def command(
    name: str,
    other: str | None,
    passes: str | None,
    weights: str | None,
    weights_b: str | None,
    training: bool,
    gradients: bool,
    tolerance: float | None,
    seed: int,
    seeds: int,
    sizes: dict[str, int],
    as_json: bool,
    **selected: Any,
) -> int:
    """Are two networks the same function?

    Runs both with the float64 interpreter, on random inputs, weights and statistics. Says by how much
    of the range their outputs differ at most; or, where that is too much, the first place at which they
    part, and fails. The tolerance is 1e-10, or what the dtype of both checkpoints allows. Options such
    as --set are about A; B is named in full.
    """
    from architrave.backends.agree.equal import equal
    from architrave.cli.terminal import telling
    from architrave.weights import load

    _check_usage(other, passes, weights, weights_b)
    a = Selection(name, **selected).graph()
    with telling(quiet=as_json) as progress:
        second = _second(a, other, weights_b) if other is not None else _transformed(a, passes or "", progress)
        found = equal(
            a,
            second.graph,
            None if weights is None else load(weights, a),
            second.weights,
            sizes=sizes,
            training=training,
            gradients=gradients,
            seed=seed,
            seeds=seeds,
            tolerance=tolerance,
            progress=progress,
        )
    if as_json:
        print_json("equal", found.ok, found.to_json())
        return 0 if found.ok else 1
    show_diagnostics(second.warnings)
    verdict, *rest = found.lines()
    click.secho(verdict, fg="green" if found.ok else "red", bold=True)
    for line in rest:
        click.echo(line)
    return 0 if found.ok else 1


def _check_usage(other: str | None, passes: str | None, weights: str | None, weights_b: str | None) -> None:
    if (other is None) == (passes is None):
        raise click.UsageError("name a second network, or give the --passes that make it of the first")
    if weights_b is not None and passes is not None:
        raise click.UsageError("with --passes the weights of B are computed from those of A, and not read")
    if weights_b is not None and weights is None:
        raise click.UsageError("--weights-b needs --weights, the checkpoint of A")


@dataclass(frozen=True)
class _Second:
    """The second network, under a name of its own, and where its weights come from."""

    graph: Graph
    weights: Given
    warnings: Sequence[Diagnostic] = ()


def _second(a: Graph, other: str, weights: str | None) -> _Second:
    from architrave.weights import load

    b = Selection(other).graph()
    given = None if weights is None else load(weights, b)
    return _Second(b if b.name != a.name else replace(b, name=f"{b.name} of {other}"), given)


def _transformed(a: Graph, passes: str, progress: Callable[[str], None]) -> _Second:
    from architrave.passes import Pipeline

    made = Pipeline.parse(passes).run(a, progress)
    return _Second(replace(made.graph, name=f"{a.name} after {passes}"), made.weights, made.journal.warnings)
