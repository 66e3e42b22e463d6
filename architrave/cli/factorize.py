"""`architrave factorize`: a trained network with layers of low rank."""

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
    from collections.abc import Mapping

    from architrave.factorize import Factorized


@examples(
    "architrave factorize net.arch --weights net.safetensors --keep 0.7",
    "architrave factorize net.arch --weights net.safetensors --keep 0.7 --by macs -o small.arch",
    "architrave factorize net.arch --weights net.safetensors --energy 0.9 --method tucker",
)
@click.command("factorize")
@click.argument("name", metavar="MODEL")
@click.option("--weights", required=True, metavar="FILE", help="The checkpoint of the trained network.")
@click.option("--keep", type=float, metavar="SHARE", help="How much of the network is left: 0.5 is a half.")
@click.option(
    "--by",
    type=click.Choice(["parameters", "macs"]),
    default="parameters",
    show_default=True,
    help="What --keep is of.",
)
@click.option("--error", type=float, metavar="ERROR", help="In place of --keep: the relative error of each layer.")
@click.option(
    "--energy", type=float, metavar="SHARE", help="In place of --keep: what each layer has left of its squares."
)
@click.option(
    "--method", default="alds", show_default=True, metavar="NAME", help="How: svd, spatial, alds, tucker or cp."
)
@click.option("--only", default="", metavar="SELECTOR", help="Which layers: layer3.*, op:conv, !head.")
@click.option("--data", metavar="DATA", help="Examples to score both networks on, as `train --data` takes them.")
@click.option("--held-out", type=click.FloatRange(0, 1), default=0.2, show_default=True, help="Share to score on.")
@click.option("--backend", "-b", default="torch", show_default=True, metavar="NAME", help="What scores.")
@click.option("--output", "-o", metavar="FILE", help="The .arch file to write.")
@click.option("--weights-out", metavar="FILE", help="The new checkpoint; by default, beside --output.")
@click.option("--report", metavar="FILE", help="Write a page with numbers and a picture as HTML.")
@config_option
@model_options
@json_option
def command(name: str, as_json: bool, **options: Any) -> int:
    """Make layers of a trained network chains of smaller ones.

    Chooses a rank for each convolution and linear layer by its singular values, so that the
    largest relative error is as small as the budget allows, and writes a network with the chains
    in their places, which can be trained on. Needs no examples. Files are written whole, and all
    of them or none.
    """
    from architrave.factorize import Plan, factorize
    from architrave.factorize.report import facts, page
    from architrave.train.data import open_data
    from architrave.weights import load, read_metadata

    places = Places.of_trained(*(options[k] for k in ("output", "weights", "weights_out", "report")))
    plan = Plan(*(options[k] for k in ("method", "keep", "by", "error", "energy", "only")))
    plan.check()
    selection = Selection(name, **{k: options.pop(k) for k in ("model", "arguments", "decisions")})
    data = options["data"]
    places.check(selection.named.module.path, data if data is not None and Path(data).is_file() else None)
    network = selection.graph()
    weights = load(options["weights"], network)
    train, test = (None, None) if data is None else open_data(data, network, options["held_out"])
    with counting(quiet=as_json) as begin:
        found = factorize(network, weights, plan, begin)
        before, after = _scores(found, weights, test or train, options["backend"])
    text = network_text(found.graph) if places.network is not None else None
    about = {**read_metadata(options["weights"]), "passes": found.passes}
    places.write(text, found.weights, about, page(found, before, after) if places.page is not None else None)
    if as_json:
        print_json("factorize", True, {**facts(found), "before": before, "after": after, **places.to_json(None)})
        return 0
    _show(found, before, after)
    places.announce()
    return 0


def _scores(
    found: Factorized, weights: Mapping[str, Any], data: Any, backend: str
) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Accuracy and loss of both networks, where there are examples with labels."""
    if data is None:
        return {}, {}
    from architrave.record.scores import scores

    before = scores(found.network, weights, data, backend=backend)
    return before, scores(found.graph, found.weights, data, backend=backend)


def _show(found: Factorized, before: Mapping[str, float], after: Mapping[str, float]) -> None:
    from architrave.cli.terminal import brief, show, table
    from architrave.factorize.report import decibels_text, rank_shown, shape_text

    click.secho(f"{found.network.name}: {found.plan.method}, a relative error of {found.level:.4g} at most", bold=True)
    rows = table("", "before", "after", right=("before", "after"))
    for by, count in found.before.items():
        rows.add_row("multiply-adds" if by == "macs" else by, f"{count:,}", f"{found.after[by]:,}")
    for score, value in before.items():
        shown = "{:.2%}" if score == "accuracy" else "{:.4f}"
        rows.add_row(score, shown.format(value), shown.format(after[score]))
    show(rows)
    click.echo("")
    right = ("shape", "rank", "parameters", "after", "error", "SQNR")
    rows = table("weight", *right[:1], "by", *right[1:], right=right)
    for cut in found.cuts:
        sizes = (brief(cut.before["parameters"]), brief(cut.after["parameters"]))
        exact = cut.rank is None
        lost = ("", "") if exact else (f"{cut.error:.4f}", decibels_text(cut))
        rows.add_row(printable(cut.path), shape_text(cut), cut.step, rank_shown(cut), *sizes, *lost)
    show(rows)
