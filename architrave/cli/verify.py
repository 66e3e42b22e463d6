"""`architrave verify`: do the backends agree?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from architrave.cli.help import examples
from architrave.cli.report import json_option, print_json
from architrave.cli.selection import Selection, model_options, sizes_option

if TYPE_CHECKING:
    from architrave.backends.agree import Comparison, Report
    from architrave.ir.graph import Graph

DTYPES = {"f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16"}


@examples(
    "architrave verify net.arch",
    "architrave verify net.arch --size N=4 --seed 7 --no-gradients",
    "architrave verify net.arch --backend numpy --backend torch --dtype f64 --inference",
    "architrave verify net.arch --dtype f64 --train-steps 2",
)
@click.command("verify")
@click.argument("name", metavar="MODEL")
@click.option("--backend", "-b", "backends", multiple=True, metavar="NAME", help="Compare these; by default, all.")
@click.option(
    "--dtype",
    "dtypes",
    multiple=True,
    type=click.Choice(list(DTYPES)),
    default=("f32", "f64"),
    show_default="f32 and f64",
    help="The precision. May be repeated.",
)
@click.option("--train/--inference", "training", default=None, help="Compare one mode; by default, both.")
@click.option(
    "--gradients/--no-gradients",
    "--grad/--no-grad",
    "gradients",
    default=True,
    show_default=True,
    help="Compare gradients too.",
)
@click.option(
    "--train-steps", "steps", type=click.IntRange(0), default=0, metavar="N", help="Train so many steps, in f64, too."
)
@sizes_option("--size", "Sizes for symbolic dimensions, N=2,H=64; by default, small ones.")
@click.option("--seed", default=0, show_default=True, help="Weights and inputs are drawn from this.")
@model_options
@json_option
def command(
    name: str,
    backends: tuple[str, ...],
    dtypes: tuple[str, ...],
    training: bool | None,
    gradients: bool,
    steps: int,
    sizes: dict[str, int],
    seed: int,
    as_json: bool,
    **selected: Any,
) -> int:
    """Compare the backends on one network.

    Runs a model in every backend, on the same weights and inputs.
    Outputs and states are compared with a float64 interpreter and between each pair of backends,
    gradients with the interpreter. The worst relative errors are shown; where one is larger than it
    may be, the first operator that differs is named, with its line. With --train-steps, loss,
    gradients, weights and states are compared after each step of training, too. A backend whose
    framework is not installed is left out, unless it was asked for.
    """
    from architrave.backends.agree import verify
    from architrave.cli.terminal import telling

    modes = ("inference", "training") if training is None else ("training",) if training else ("inference",)
    graph = Selection(name, **selected).graph()
    with telling(quiet=as_json) as progress:
        report = verify(
            graph,
            backends or None,
            [DTYPES[dtype] for dtype in dtypes],
            modes,
            gradients,
            sizes,
            seed,
            progress=progress,
        )
        if steps:
            _add_steps(report, graph, steps, backends or None, progress)
    missing = report.missing(backends)
    ok = report.ok and not missing
    if as_json:
        print_json("verify", ok, {**report.to_json(), "ok": ok, "missing": missing})
    else:
        _show(report, missing)
    return 0 if ok else 1


def _add_steps(
    report: Report, graph: Graph, steps: int, backends: Sequence[str] | None, progress: Callable[[str], None]
) -> None:
    """Compare steps of training, on the sizes and the seed of a report, which gets what they show."""
    from architrave.train.compare import compare_steps

    trained = compare_steps(
        graph, steps=steps, backends=backends, sizes=report.sizes, seed=report.seed, progress=progress
    )
    report.comparisons.extend(trained.comparisons)
    report.skipped.update({f"{name} in steps": why for name, why in trained.skipped.items()})


def _show(report: Report, missing: list[str]) -> None:
    from architrave.cli.terminal import show, table

    worst = report.worst()
    pairs = list(dict.fromkeys(_pair(c) for c in worst))
    rows = table("mode", "dtype", "compared", "allowed", *pairs, right=("allowed", *pairs))
    groups: dict[tuple[str, str, str], dict[str, Comparison]] = {}
    for c in worst:
        groups.setdefault((c.mode, c.dtype, f"{c.kind}s"), {})[_pair(c)] = c
    for group, found in groups.items():
        allowed = max(c.tolerance for c in found.values())
        rows.add_row(*group, f"{allowed:.0e}", *(_cell(found.get(pair)) for pair in pairs))
    drawn = ", ".join(f"{name} = {size}" for name, size in report.sizes.items())
    click.secho(f"{report.model}: worst relative errors" + (f" at {drawn}" if drawn else ""), bold=True)
    if worst:
        show(rows)
    click.echo("")
    for name in missing:
        click.echo(f"  {name} was compared with nothing")
    verdict, *rest = report.lines()
    for line in rest:
        click.echo(line)
    click.secho(verdict, fg="green" if report.ok and not missing else "red", bold=True)


def _pair(comparison: Comparison) -> str:
    return f"{comparison.left}/{comparison.right}"


def _cell(comparison: Comparison | None) -> Any:
    from rich.text import Text

    if comparison is None:
        return ""
    if comparison.ok:
        return f"{comparison.relative:.1e}" if comparison.relative else "0"
    return Text("FAIL" if comparison.problem else f"{comparison.relative:.1e} FAIL", style="bold red")
