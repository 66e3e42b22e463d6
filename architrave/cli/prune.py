"""`architrave prune`: a trained network with fewer channels, heads, units or layers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from architrave.cli.help import examples
from architrave.cli.places import Places, network_text
from architrave.cli.quantize import counting
from architrave.cli.report import json_option, print_json
from architrave.cli.selection import Selection, model_options
from architrave.cli.settings import config_option
from architrave.ir.source import printable

if TYPE_CHECKING:
    from architrave.prune import Plan, Pruned, Tuning

WORST = 12
"""Layers that are listed, those that lose most first."""


@examples(
    "architrave prune net.arch --weights net.safetensors --keep 0.5 -o small.arch",
    "architrave prune net.arch --weights net.safetensors --keep 0.6 --by parameters --scope layer",
    "architrave prune net.arch --weights net.safetensors --method taylor --data points.npz --tune 1",
)
@click.command("prune")
@click.argument("name", metavar="MODEL")
@click.option("--weights", required=True, metavar="FILE", help="The checkpoint of the trained network.")
@click.option("--keep", type=float, default=0.5, show_default=True, metavar="SHARE", help="The share that stays.")
@click.option(
    "--by",
    default="macs",
    show_default=True,
    type=click.Choice(["macs", "parameters", "units", "time"]),
    help="Of what: multiply-adds, trained numbers, units, or the time that it takes here.",
)
@click.option(
    "--method",
    default="magnitude",
    show_default=True,
    metavar="NAME",
    help="What scores units: magnitude-l1, bn-scale, taylor, activation, optin, random; llm-drop leaves out layers.",
)
@click.option(
    "--scope",
    type=click.Choice(["global", "layer"]),
    default="global",
    show_default=True,
    help="Rank all units together, or take the same share from each group.",
)
@click.option("--normalize", default="", metavar="NAME", help="Divide scores of a group by: none, mean, max, sum, l2.")
@click.option("--minimum", type=float, default=0.1, show_default=True, help="The share of its units each group keeps.")
@click.option("--multiple", type=int, default=1, show_default=True, help="Numbers of units are multiples of it.")
@click.option("--only", default="", metavar="PATTERNS", help="Which groups: layer1.*, *.fc1|*.fc2, !stem*.")
@click.option("--rounds", type=int, default=1, show_default=True, help="Cut little by little, in so many rounds.")
@click.option("--data", metavar="DATA", help="Examples to score by, train by and score on, as `train --data` has them.")
@click.option("--tune", type=click.IntRange(0), default=0, metavar="EPOCHS", help="Train on after each round.")
@click.option("--rate", type=float, default=1e-3, show_default=True, help="The learning rate of that.")
@click.option("--loss", default="cross_entropy", show_default=True, metavar="NAME", help="The loss, as of `train`.")
@click.option("--held-out", type=click.FloatRange(0, 1), default=0.2, show_default=True, help="Share to score on.")
@click.option(
    "--examples", "count", type=click.IntRange(1), default=64, show_default=True, help="Examples to score units by."
)
@click.option("--batch", type=click.IntRange(1), default=8, show_default=True, help="Examples of one run.")
@click.option("--seed", default=0, show_default=True, help="What is drawn follows from it.")
@click.option("--backend", "-b", default="torch", show_default=True, metavar="NAME", help="What computes.")
@click.option("--output", "-o", metavar="FILE", help="The .arch file to write.")
@click.option("--weights-out", metavar="FILE", help="The new checkpoint; by default, beside --output.")
@click.option("--report", metavar="FILE", help="Write a page with numbers and pictures as HTML.")
@config_option
@model_options
@json_option
def command(name: str, as_json: bool, **options: Any) -> int:
    """Make a trained network smaller.

    Which channels, heads and units can only go together follows from the network's types. Each is
    scored, the lowest go until the budget is kept, and tensors and file shrink with them. Groups
    that span an input or an output stay whole, and the report says why. Files are written whole,
    and all of them or none.
    """
    from architrave.prune import prune
    from architrave.prune.report import facts, page
    from architrave.train.data import open_data
    from architrave.weights import load, read_metadata

    places = Places.of_trained(*(options[k] for k in ("output", "weights", "weights_out", "report")))
    plan, tuning = _plan(options), _tuning(options)
    selection = Selection(name, **{k: options.pop(k) for k in ("model", "arguments", "decisions")})
    data = options["data"]
    places.check(selection.named.module.path, data if data is not None and Path(data).is_file() else None)
    network = selection.graph()
    weights = load(options["weights"], network)
    train, test = (None, None) if data is None else open_data(data, network, options["held_out"])
    with counting(quiet=as_json) as begin:
        found = prune(network, weights, plan, train, test=test, tuning=tuning, begin=begin)
    text = network_text(found.graph) if places.network is not None else None
    about = {**read_metadata(options["weights"]), "pruned": f"{plan.method}, {plan.keep:g} of the {plan.by}"}
    places.write(text, found.weights, about, page(found) if places.page is not None else None)
    if as_json:
        print_json("prune", True, {**facts(found), **places.to_json(None)})
        return 0
    _show(found)
    places.announce()
    return 0


def _plan(options: dict[str, Any]) -> Plan:
    from architrave.prune import Plan

    names = ("keep", "by", "method", "scope", "normalize", "minimum", "multiple", "only", "rounds", "loss")
    named = {key: options[key] for key in (*names, "batch", "seed", "backend")}
    return Plan(**named, examples=options["count"])


def _tuning(options: dict[str, Any]) -> Tuning | None:
    from architrave.prune import Tuning

    return Tuning(options["tune"], options["rate"]) if options["tune"] else None


def _show(found: Pruned) -> None:
    from architrave.cli.terminal import show, table
    from architrave.prune.report import change, reasons, shape, totals

    plan = found.plan
    click.secho(f"{found.network.name}: {plan.method}, {plan.keep:g} of the {plan.by}", bold=True)
    if found.hoisted:
        click.echo("weights that are made from others were computed first, so that more units can go")
    rows = table("", "before", "after", right=("before", "after"))
    for row in totals(found):
        rows.add_row(*row)
    show(rows)
    right = ("trained numbers", "multiply-adds")
    rows = table("layer", "weight before", "after", *right, right=right)
    changed = [layer for layer in found.layers if layer.shapes[0] != layer.shapes[1]]
    for layer in sorted(changed, key=lambda layer: layer.macs[1] - layer.macs[0])[:WORST]:
        numbers = change(layer.parameters), change(layer.macs)
        rows.add_row(printable(layer.name), shape(layer, 0), shape(layer, 1) or "gone", *numbers)
    click.echo("")
    show(rows)
    for name in found.dropped:
        click.echo(f"left out: {printable(name)}")
    for reason, names in reasons(found).items():
        more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
        click.echo(f"whole: {printable(names[0])}{more}: {printable(reason)}")
