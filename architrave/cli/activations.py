"""`architrave activations`: how much of what a network computes is 0, and a network in which more of it is."""

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
    from architrave.sparsity.activations.inputs import SparseInputs
    from architrave.sparsity.activations.scap import Shares


@examples(
    "architrave activations net.arch --weights net.safetensors --data points.npz",
    "architrave activations net.arch --weights net.safetensors --data points.npz --zero 0.5 -o s.arch",
    "architrave activations net.arch --weights net.safetensors --data points.npz --zero head=0.6",
)
@click.command("activations")
@click.argument("name", metavar="MODEL")
@click.option("--weights", required=True, metavar="FILE", help="The checkpoint of the trained network.")
@click.option("--data", required=True, metavar="DATA", help="Examples, as `train --data` takes them.")
@click.option(
    "--zero",
    "zeros",
    multiple=True,
    metavar="SHARE",
    help="How much of the inputs of layers becomes 0: 0.5, or fc2=0.6 for some; may be given several times.",
)
@click.option(
    "--centre/--no-centre", default=True, help="Whether what is near to the most frequent value goes, or to 0."
)
@click.option("--only", default="", metavar="SELECTOR", help="Which activations, or layers: layer3.*, op:relu, !head.")
@click.option("--held-out", type=click.FloatRange(0, 1), default=0.2, show_default=True, help="Share to score on.")
@click.option("--examples", "count", type=click.IntRange(1), default=64, show_default=True, help="Examples to observe.")
@click.option("--batch", type=click.IntRange(1), default=4, show_default=True, help="Examples of one run.")
@click.option("--backend", "-b", default="torch", show_default=True, metavar="NAME", help="What computes.")
@click.option("--output", "-o", metavar="FILE", help="The .arch file to write.")
@click.option("--weights-out", metavar="FILE", help="The new checkpoint; by default, beside --output.")
@config_option
@model_options
@json_option
def command(name: str, data: str, as_json: bool, **options: Any) -> int:
    """Count what is 0 in a network on examples.

    Of each relu, and of what passes made so. With --zero fully connected layers take such a share
    of their inputs for 0, near to the most frequent value of each, and need as much less of their
    weights; what is subtracted goes into the biases. Files are written whole, and all of them or
    none.
    """
    from architrave.sparsity.activations.inputs import Look, probed, sparse_inputs
    from architrave.train.data import open_data
    from architrave.weights import load, read_metadata

    shares = _shares(options["zeros"])
    places = _places(options, shares)
    selection = Selection(name, **{k: options.pop(k) for k in ("model", "arguments", "decisions")})
    places.check(selection.named.module.path, data if Path(data).is_file() else None)
    network = selection.graph()
    weights = load(options["weights"], network)
    train, test = open_data(data, network, options["held_out"])
    look = Look(options["count"], options["batch"], options["backend"], options["only"])
    with counting(quiet=as_json) as begin:
        if shares is None:
            found = probed(network, weights, train, look, begin=begin)
        else:
            centre = options["centre"]
            found = sparse_inputs(network, weights, train, look, shares, test=test, centre=centre, begin=begin)
    text = network_text(found.graph) if places.network is not None else None
    places.write(text, dict(found.weights), read_metadata(options["weights"]))
    if as_json:
        print_json("activations", True, {**_facts(found), **places.to_json(None)})
        return 0
    _show(found)
    places.announce()
    return 0


def _shares(given: tuple[str, ...]) -> Shares | None:
    """What `--zero` asks for; None where nothing becomes 0."""
    if not given:
        return None
    pairs = [(selector or "*", share) for selector, _, share in (text.rpartition("=") for text in given)]
    try:
        return {selector: float(share) for selector, share in pairs}
    except ValueError:
        raise click.BadParameter("it takes a number, or a selector and a number", param_hint="--zero") from None


def _places(options: dict[str, Any], shares: Shares | None) -> Places:
    """Where everything goes."""
    places = Places.of_trained(*(options[k] for k in ("output", "weights", "weights_out")))
    if places.files and shares is None:
        raise click.BadParameter("without --zero there is no new network to write", param_hint="--output")
    return places


def _facts(found: SparseInputs) -> dict[str, Any]:
    """All of it as JSON-ready data."""
    whole, left = found.costs
    return {
        "model": found.network.name,
        "activations": [
            {"place": a.where, "operator": a.node.op.name, "share": a.share, "most": a.most} for a in found.seen.found
        ],
        "macs": whole,
        "macs_left": left,
        "before": found.before,
        "after": found.after,
    }


def _show(found: SparseInputs) -> None:
    from architrave.cli.terminal import show, table

    click.secho(f"{found.network.name}: what differs from 0", bold=True)
    rows = table("activation", "operator", "on average", "at most", right=("on average", "at most"))
    for activity in found.seen.found:
        shares = (f"{activity.share:.2%}", f"{activity.most:.2%}")
        rows.add_row(printable(activity.where), activity.node.op.name, *shares)
    show(rows)
    whole, left = found.costs
    click.echo(f"multiply-adds of an example: {whole:,}, {left:,} without those of zeros")
    for name, value in found.before.items():
        shown = "{:.2%}" if name == "accuracy" else "{:.4f}"
        click.echo(f"{name}: {shown.format(value)} before, {shown.format(found.after[name])} after")
