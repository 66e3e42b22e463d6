"""`architrave sparsify`: a trained network of whose weights most are 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from architrave.cli.execution import execution_facts, show_execution
from architrave.cli.help import examples
from architrave.cli.places import Places, network_text
from architrave.cli.quantize import counting
from architrave.cli.report import json_option, print_json
from architrave.cli.selection import Selection, check_sizes, model_options, sizes_option
from architrave.cli.settings import config_option
from architrave.ir.source import printable

if TYPE_CHECKING:
    from architrave.sparsity.execution.formats import SparseExecution
    from architrave.sparsity.masks.sizes import Sizes
    from architrave.sparsity.scores.one_shot import Sparse


@examples(
    "architrave sparsify net.arch --weights net.safetensors --density 0.1",
    "architrave sparsify net.arch --weights net.safetensors --pattern 2:4 -o few.arch",
    "architrave sparsify net.arch --weights net.safetensors --density 0.5 --method random",
    "architrave sparsify net.arch --weights net.safetensors --density 0.1 --execution --at N=16",
)
@click.command("sparsify")
@click.argument("name", metavar="MODEL")
@click.option("--weights", required=True, metavar="FILE", help="The checkpoint of the trained network.")
@click.option("--density", type=float, metavar="SHARE", help="The share of the weights that stays: 0.1 leaves a tenth.")
@click.option("--method", default="magnitude", show_default=True, metavar="NAME", help="What chooses: random, ...")
@click.option(
    "--pattern",
    default="unstructured",
    show_default=True,
    metavar="NAME",
    help="What goes together: 2:4 (of inputs), block:4x1 (outputs x inputs).",
)
@click.option(
    "--distribution",
    default="uniform",
    show_default=True,
    metavar="NAME",
    help="How many each weight keeps: each, er, erk, erk+, global.",
)
@click.option("--only", default="", metavar="SELECTOR", help="Whose weights: layer3.*, op:conv, is:pointwise, !head.")
@click.option("--permute", is_flag=True, help="Give channels an order first in which N:M leaves more.")
@click.option("--keep-masks", is_flag=True, help="Leave the masks in the network, for training on.")
@click.option("--execution", is_flag=True, help="Have layers multiply what stays alone where --backend is faster so.")
@sizes_option("--at", "Sizes of symbolic dimensions for that, N=16; 1 by default.")
@click.option("--data", metavar="DATA", help="Examples to score by and on, as `train --data` takes them.")
@click.option("--held-out", type=click.FloatRange(0, 1), default=0.2, show_default=True, help="Share to score on.")
@click.option(
    "--examples", "count", type=click.IntRange(1), default=64, show_default=True, help="Examples to score by."
)
@click.option("--batch", type=click.IntRange(1), default=4, show_default=True, help="Examples of one run.")
@click.option("--seed", default=0, show_default=True, help="What is drawn follows from it.")
@click.option("--backend", "-b", default="torch", show_default=True, metavar="NAME", help="What computes.")
@click.option("--output", "-o", metavar="FILE", help="The .arch file to write.")
@click.option("--weights-out", metavar="FILE", help="The new checkpoint; by default, beside --output.")
@config_option
@model_options
@json_option
def command(name: str, as_json: bool, **options: Any) -> int:
    """Set most weights of a trained network to 0.

    Masks are chosen by scores, for all weights of convolutions, linear layers and products of
    matrices. The network that is written is the one that was read, with zeros in its weights;
    with --keep-masks the masks stay in it, so that `architrave train` goes on with the same
    zeros. With --execution linear layers and 1x1 convolutions are timed here, and hold their
    weights without zeros where they get faster. Says what is left of each weight, and what it
    takes in each format. Files are written whole, and all of them or none.
    """
    from architrave.sparsity.masks.pattern import pattern
    from architrave.sparsity.scores.one_shot import sparsify
    from architrave.sparsity.scores.plan import Plan
    from architrave.train.data import open_data
    from architrave.weights import load, read_metadata

    if options["execution"] and options["keep_masks"]:
        raise click.UsageError("--keep-masks is for training on, and --execution for running: leave out one of both")
    places = Places.of_trained(*(options[k] for k in ("output", "weights", "weights_out")))
    plan = Plan(
        options["density"],
        options["method"],
        pattern(options["pattern"]),
        options["distribution"],
        options["only"],
        options["seed"],
        options["count"],
        options["batch"],
        options["backend"],
        options["permute"],
    )
    selection = Selection(name, **{k: options.pop(k) for k in ("model", "arguments", "decisions")})
    data = options["data"]
    places.check(selection.named.module.path, data if data is not None and Path(data).is_file() else None)
    network = selection.graph()
    check_sizes(network, options["sizes"])
    weights = load(options["weights"], network)
    train, test = (None, None) if data is None else open_data(data, network, options["held_out"])
    with counting(quiet=as_json) as begin:
        found = sparsify(network, weights, plan, train, test=test, keep_masks=options["keep_masks"], begin=begin)
    stored = _stored(found, options["sizes"]) if options["execution"] else None
    text = network_text((stored or found).graph) if places.network is not None else None
    about = {**read_metadata(options["weights"]), "sparsity": f"{1 - found.density:.6g}", "method": plan.method}
    places.write(text, (stored or found).weights, about)
    if as_json:
        print_json("sparsify", True, {**_facts(found), "execution": execution_facts(stored), **places.to_json(None)})
        return 0
    _show(found)
    show_execution(stored)
    places.announce()
    return 0


def _stored(found: Sparse, sizes: Mapping[str, int]) -> SparseExecution:
    from architrave.sparsity.execution.formats import sparse_execution

    return sparse_execution(found.graph, found.weights, found.plan.backend, sizes=sizes)


def _facts(found: Sparse) -> dict[str, Any]:
    """All of it as JSON-ready data."""
    return {
        "model": found.network.name,
        "method": found.plan.method,
        "pattern": str(found.plan.pattern),
        "numbers": found.size,
        "nonzeros": found.nonzeros,
        "density": found.density,
        "permuted": {each.group: each.order.tolist() for each in found.permuted},
        "layers": [
            {
                "path": layer.path,
                "shape": layer.shape,
                "nonzeros": layer.nonzeros,
                "density": layer.density,
                "bytes": layer.formats,
                "dense_because": found.refused.get(layer.path),
            }
            for layer in found.layers
        ],
        "before": found.before,
        "after": found.after,
    }


def _summed(layers: Sequence[Sizes]) -> tuple[str, str, str, str]:
    """How many numbers there are and stay, their share, and the bytes of the smallest formats."""
    from architrave.cli.terminal import brief

    size, nonzeros = sum(layer.size for layer in layers), sum(layer.nonzeros for layer in layers)
    smallest = sum(layer.formats[layer.smallest] for layer in layers)
    return f"{size}", f"{nonzeros}", f"{nonzeros / max(1, size):.2%}", f"{brief(smallest)}B"


def _show(found: Sparse) -> None:
    from architrave.cli.terminal import brief, show, table

    plan = found.plan
    click.secho(f"{found.network.name}: {plan.method}, {plan.pattern}", bold=True)
    right = ("numbers", "stay", "density", "bytes")
    rows = table("weight", *right, "in", right=right)
    for layer in found.layers:
        size = f"{brief(layer.formats[layer.smallest])}B"
        rows.add_row(
            printable(layer.path), f"{layer.size}", f"{layer.nonzeros}", f"{layer.density:.2%}", size, layer.smallest
        )
    for name, layers in {"all": found.layers, "without dense ones": found.chosen}.items():
        if name == "all" or found.refused:
            rows.add_row(name, *_summed(layers), "")
    show(rows)
    for path, reason in found.refused.items():
        click.echo(f"dense: {printable(path)}: {printable(reason)}")
    for each in found.permuted:
        click.echo(f"permuted: {printable(each.group)}: {each.after / each.before - 1:+.2%} of magnitude left")
    for path in found.empty:
        click.secho(f"empty: nothing is left of {printable(path)}; another distribution leaves some", fg="yellow")
    for name, value in found.before.items():
        shown = "{:.2%}" if name == "accuracy" else "{:.4f}"
        click.echo(f"{name}: {shown.format(value)} before, {shown.format(found.after[name])} after")
