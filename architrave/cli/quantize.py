"""`architrave quantize`: a trained network in few bits, from examples."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from architrave.cli.help import examples
from architrave.cli.places import Places, network_text
from architrave.cli.report import json_option, print_json
from architrave.cli.selection import Selection, model_options
from architrave.cli.settings import config_option
from architrave.ir.source import printable

if TYPE_CHECKING:
    from architrave.quantize.plan import Plan
    from architrave.quantize.ptq import Begin, Quantized

WORST = 10
"""Layers that are listed, those with the most noise first."""


@examples(
    "architrave quantize net.arch --weights net.safetensors --calibrate points.npz",
    "architrave quantize net.arch --weights net.safetensors --calibrate points.npz -o few.arch",
    "architrave quantize net.arch --weights net.safetensors --calibrate points.npz --bits 4",
)
@click.command("quantize")
@click.argument("name", metavar="MODEL")
@click.option("--weights", required=True, metavar="FILE", help="The checkpoint of the trained network.")
@click.option("--calibrate", "data", required=True, metavar="DATA", help="Examples, as `train --data` takes them.")
@click.option("--bits", type=int, default=8, show_default=True, help="Bits of weights.")
@click.option(
    "--budget",
    type=float,
    default=0.0,
    metavar="BITS",
    help="Bits of a weight on average: each gets from 2 to --bits, the sensitive ones most.",
)
@click.option("--act", type=int, default=8, show_default=True, help="Bits of activations; 0 leaves them in floats.")
@click.option(
    "--per", type=click.Choice(["channel", "tensor"]), default="channel", show_default=True, help="What has a scale."
)
@click.option("--group", type=int, default=0, help="Inputs of a linear layer that share a scale; 0: all.")
@click.option("--symmetric", is_flag=True, help="Activations without zero points.")
@click.option("--functions", is_flag=True, help="Round what activation functions, softmax and norms take, too.")
@click.option("--only", default="", metavar="SELECTOR", help="What to round: layer3.*, op:conv, !head.")
@click.option(
    "--observer", default="min-max", show_default=True, metavar="NAME", help="moving-average, percentile, mse, entropy."
)
@click.option("--least-error", is_flag=True, help="Scales of weights with the least squared error.")
@click.option("--power-of-two", is_flag=True, help="Scales that are powers of two.")
@click.option(
    "--method",
    default="nearest",
    show_default=True,
    metavar="NAME",
    help="How weights are rounded: adaround, gptq, bias-correction, norm-tweaking.",
)
@click.option("--migrate", default="", metavar="NAME", help="Scale channels first: smoothquant, awq.")
@click.option("--reestimate", is_flag=True, help="Take running statistics anew from the examples first.")
@click.option("--integer", is_flag=True, help="Compute with integers in the end.")
@click.option("--examples", "count", type=click.IntRange(1), default=64, show_default=True, help="Examples to observe.")
@click.option("--batch", type=click.IntRange(1), default=4, show_default=True, help="Examples of one run.")
@click.option("--held-out", type=click.FloatRange(0, 1), default=0.2, show_default=True, help="Share to score on.")
@click.option("--backend", "-b", default="torch", show_default=True, metavar="NAME", help="What computes.")
@click.option("--output", "-o", metavar="FILE", help="The .arch file to write.")
@click.option("--weights-out", metavar="FILE", help="The new checkpoint; by default, beside --output.")
@click.option("--report", metavar="FILE", help="Write a page with numbers and pictures as HTML.")
@config_option
@model_options
@json_option
def command(name: str, data: str, as_json: bool, **options: Any) -> int:
    """Quantize a trained network by examples.

    Folds what inference does not need, rounds weights and activations to few bits, sets their scales
    by what the network computes on examples, and with --integer lowers it to integers that every
    backend computes alike. Says what that costs, layer by layer, and, on examples with labels, in
    accuracy. Files are written whole, and all of them or none.
    """
    from architrave.quantize.ptq import quantize
    from architrave.quantize.report import facts, page
    from architrave.train.data import open_data
    from architrave.weights import load, read_metadata

    places = Places.of_trained(*(options[k] for k in ("output", "weights", "weights_out", "report")))
    plan = _plan(options)
    selection = Selection(name, **{k: options.pop(k) for k in ("model", "arguments", "decisions")})
    places.check(selection.named.module.path, data if Path(data).is_file() else None)
    network = selection.graph()
    weights = load(options["weights"], network)
    examples_, test = open_data(data, network, options["held_out"])
    with counting(quiet=as_json) as begin:
        found = quantize(network, weights, examples_, plan, test=test, begin=begin)
    text = network_text(found.graph) if places.network is not None else None
    about = {**read_metadata(options["weights"]), "passes": found.plan.passes}
    if plan.budget:
        about["bits"] = ",".join(f"{path}={bits}" for path, bits in found.bits.items())
    places.write(text, found.weights, about, page(found, examples_.name) if places.page is not None else None)
    if as_json:
        print_json("quantize", True, {**facts(found), **places.to_json(None)})
        return 0
    _show(found)
    places.announce()
    return 0


def _plan(options: dict[str, Any]) -> Plan:
    from architrave.quantize import observer
    from architrave.quantize.plan import Plan

    return Plan(
        options["bits"],
        options["act"],
        options["per"],
        options["group"],
        options["symmetric"],
        options["functions"],
        options["only"],
        observer(options["observer"]),
        options["least_error"],
        options["power_of_two"],
        options["method"],
        options["integer"],
        options["reestimate"],
        options["migrate"],
        options["budget"],
        options["count"],
        options["batch"],
        options["backend"],
    )


@contextlib.contextmanager
def counting(*, quiet: bool) -> Generator[Begin]:
    """Somewhere to tell how far the work is: one bar on the terminal, for one stage after another."""
    from architrave.record.recorder import silent

    if quiet or not sys.stderr.isatty():
        yield lambda stage, count: silent
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from architrave.cli.terminal import console

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console(err=True), transient=True) as bar:
        task = bar.add_task("")

        def begin(stage: str, count: int) -> Callable[[int], object]:
            bar.reset(task, total=count, description=stage)
            return lambda done: bar.advance(task, done)

        yield begin


def _show(found: Quantized) -> None:
    from architrave.cli.terminal import brief, plural, show, table
    from architrave.quantize.report import bits_text, decibels, percent, worst

    size, same = found.size, found.agreement
    click.secho(f"{found.network.name}: {found.plan.passes}", bold=True)
    rows = table("", "before", "after", right=("before", "after"))
    rows.add_row("bytes of weights", f"{brief(size.before)}B", f"{brief(size.after)}B")
    rows.add_row("bits per weight", "32", f"{size.bits_per_weight:.2f}")
    for name, value in found.before.items():
        shown = percent if name == "accuracy" else "{:.4f}".format
        rows.add_row(name, shown(value), shown(found.after[name]))
    show(rows)
    rows = table(
        "layer",
        "operator",
        "bits",
        "SQNR of its weight",
        "SQNR of its result",
        right=("SQNR of its weight", "SQNR of its result"),
    )
    for layer in worst(found.layers)[:WORST]:
        weight = "" if layer.weight is None else decibels(layer.weight)
        rows.add_row(printable(layer.name), layer.node.op.name, bits_text(layer), weight, decibels(layer.output))
    click.echo("")
    show(rows)
    click.echo("")
    for line in list(dict.fromkeys(f"{printable(e.where)}: {printable(e.reason or '')}" for e in found.declined))[
        :WORST
    ]:
        click.echo(f"in floats: {line}")
    names = ", ".join([same.reference, *same.differing])
    verdict = f"{names} give the same bytes" if same.ok else f"{names} differ by {same.largest:.1e} at most"
    click.secho(f"{verdict}, on {plural(same.total, 'byte')}", fg="green" if same.ok else None, bold=True)
    for name, why in same.skipped.items():
        click.echo(f"{name} did not run: {why}")
