"""`architrave train`: train a network on data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from architrave.cli.help import examples
from architrave.cli.masks import Sparsity, baked
from architrave.cli.report import json_option, print_json
from architrave.cli.selection import Selection, model_options
from architrave.cli.settings import config_option
from architrave.cli.teachers import taught, teacher_options
from architrave.cli.training import (
    DTYPES,
    LOSS,
    objective,
    opened,
    recipe,
    result,
    schedule,
    show,
    trained,
    training_options,
)
from architrave.ir.source import error, printable

if TYPE_CHECKING:
    from architrave.ir.graph import Graph
    from architrave.train import Dataset, Outcome, Refresh, Trainer


@examples(
    "architrave train net.arch --data points.npz --epochs 3 --batch 8",
    "architrave train net.arch --data points.npz -b numpy --optimizer sgd -O momentum=0.9 --batch 8",
    "architrave train net.arch --data points.npz --batch 8 --weights net.safetensors",
)
@click.command("train")
@click.argument("name", metavar="MODEL")
@click.option("--data", required=True, metavar="DATA", help="digits, an .npz file, a .txt file, a folder of images.")
@training_options
@click.option("--sparsity", type=float, metavar="SHARE", help="The share of the weights that becomes 0 on the way.")
@click.option(
    "--sparsity-option", multiple=True, metavar="NAME=VALUE", help="method, distribution, pattern, begin, end."
)
@click.option("--from", "start", metavar="FILE", help="Start from these weights.")
@click.option("--weights", metavar="FILE", help="Write the weights; with --patience, the best.")
@click.option("--plot", metavar="FILE", help="Draw the curves as PNG.")
@click.option("--report", metavar="FILE", help="Write a page with curves and numbers as HTML.")
@teacher_options
@config_option
@model_options
@json_option
def command(name: str, data: str, as_json: bool, **options: Any) -> int:
    """Train a network on data.

    The whole step, from the network to the optimizer, is one program of the backend; all backends
    compute the same. Ctrl-C leaves the last checkpoint, and --resume goes on to the same next step.
    """
    from architrave.train.data import entropy

    _check_files(options)
    graph = Selection(name, **{k: options.pop(k) for k in ("model", "arguments", "decisions")}).graph()
    trainer, examples_, held_out, masks = _prepared(graph, data, options)
    outcome = trained(trainer, examples_, held_out, options, () if masks is None else (masks,), quiet=as_json)
    row, weights = result(outcome, best=options["patience"] > 0)
    if masks is not None:
        weights = baked(trainer.network, weights)
    _write(options, trainer, outcome, weights, examples_)
    if as_json:
        print_json("train", True, {"model": graph.name, "history": list(outcome.history), "stopped": outcome.stopped})
        return 0
    show(outcome, row, entropy(examples_) if trainer.recipe.objective.loss == LOSS else None)
    return 0


def _check_files(options: Mapping[str, Any]) -> None:
    """Raises E520, E568 for what could not be written at the end of a long run."""
    from architrave.train.curves import check_drawing

    for path in (options["weights"], options["plot"], options["report"]):
        if path and not Path(path).absolute().parent.is_dir():
            raise error(
                "E520", f"cannot write {printable(path)}: there is no folder {printable(str(Path(path).parent))}"
            )
    if options["plot"] or options["report"]:
        check_drawing()


def _prepared(
    graph: Graph, data: str, options: Mapping[str, Any]
) -> tuple[Trainer, Dataset, Dataset | None, Refresh | None]:
    """What trains, the examples to train on and to validate by, and what chooses masks on the way."""
    from architrave.ir.initializers import init
    from architrave.train import Trainer
    from architrave.weights import load

    train, held_out = opened(options, data, graph)
    loss = objective(options, train)
    made = recipe(options, taught(loss, options, loss.loss or LOSS))
    rates = schedule(options, train)
    weights = None if options["start"] is None else load(options["start"], graph)
    target, masks = train.target_type(graph) if loss.loss else None, None
    if (sparsity := _sparsity(options)) is not None:
        first = weights or init(graph, options["seed"], DTYPES[options["dtype"]])
        steps = options["epochs"] * train.steps(options["batch"])
        graph, weights, masks = sparsity.masked(graph, first, steps, train, options["seed"], options["backend"])
    trainer = Trainer(
        graph,
        made,
        rates,
        target,
        backend=options["backend"],
        dtype=DTYPES[options["dtype"]],
        seed=options["seed"],
        weights=weights,
    )
    return trainer, train, held_out, masks


def _sparsity(options: Mapping[str, Any]) -> Sparsity | None:
    """What is asked for of masks. Raises E925, and what is wrong use of the options together."""
    if options["sparsity"] is None:
        if options["sparsity_option"]:
            raise click.UsageError("--sparsity-option needs --sparsity, the share of the weights that goes")
        return None
    if options["patience"]:
        raise click.UsageError("--patience would keep weights from before the masks are final: leave out one of both")
    return Sparsity.of(options["sparsity"], options["sparsity_option"])


def _write(
    options: Mapping[str, Any], trainer: Trainer, outcome: Outcome, weights: Mapping[str, Any], data: Dataset
) -> None:
    import json

    from architrave.train.curves import write_plot, write_report
    from architrave.weights import save

    title = f"{trainer.network.name} on {data.name}"
    if options["weights"]:
        save(options["weights"], weights, {"model": trainer.network.name, "labels": json.dumps(data.labels)})
    if options["plot"]:
        write_plot(Path(options["plot"]), outcome.history, title)
    if options["report"]:
        optimizer = type(trainer.recipe.optimizer).__name__
        about = f"{optimizer}, rate {options['rate']:g}, batches of {options['batch']}, {trainer.backend}"
        write_report(Path(options["report"]), outcome.history, title, about)
