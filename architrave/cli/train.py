"""`architrave train`: train a network on data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from architrave.cli.help import examples
from architrave.cli.masks import Sparsity, baked
from architrave.cli.report import json_option, print_json
from architrave.cli.selection import Selection, literal, model_options
from architrave.cli.settings import config_option
from architrave.cli.teachers import taught, teacher_options
from architrave.cli.watch import Watch, curves
from architrave.ir.source import error, printable

if TYPE_CHECKING:
    from architrave.ir.graph import Graph
    from architrave.train import Dataset, Loop, Outcome, Refresh, Trainer

LOSS = "cross_entropy"
DTYPES = {"f32": "float32", "f64": "float64", "mixed": "float32"}
OPTIMIZERS = ("adam", "adamw", "lamb", "lars", "novograd", "rmsprop", "sgd")
SHAPES = ("constant", "cosine", "linear", "step", "exponential", "one-cycle")


@examples(
    "architrave train net.arch --data points.npz --epochs 3 --batch 8",
    "architrave train net.arch --data points.npz -b numpy --optimizer sgd -O momentum=0.9 --batch 8",
    "architrave train net.arch --data points.npz --batch 8 --weights net.safetensors",
)
@click.command("train")
@click.argument("name", metavar="MODEL")
@click.option("--data", required=True, metavar="DATA", help="digits, an .npz file, a .txt file, a folder of images.")
@click.option("--backend", "-b", default="torch", show_default=True, metavar="NAME", help="What computes.")
@click.option("--dtype", type=click.Choice(list(DTYPES)), default="f32", show_default=True, help="The precision.")
@click.option("--loss", metavar="NAME", help="A fn of std.loss, or FILE:NAME; by default, as the targets are.")
@click.option("--loss-option", "-L", "loss_options", multiple=True, metavar="NAME=VALUE", help="An argument of it.")
@click.option("--epochs", type=click.IntRange(1), default=10, show_default=True, help="How often all data are seen.")
@click.option("--batch", type=click.IntRange(1), default=32, show_default=True, help="Examples of one step.")
@click.option("--optimizer", type=click.Choice(OPTIMIZERS), default="adamw", show_default=True, help="The rule.")
@click.option("--optimizer-option", "-O", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of it.")
@click.option("--rate", type=float, default=1e-3, show_default=True, help="The learning rate.")
@click.option("--schedule", type=click.Choice(SHAPES), default="cosine", show_default=True, help="The rate over time.")
@click.option("--schedule-option", "-S", "shape", multiple=True, metavar="NAME=VALUE", help="every, factor or end.")
@click.option("--warmup", type=click.IntRange(0), default=0, show_default=True, help="Steps in which the rate rises.")
@click.option("--decay", type=float, default=0.0, show_default=True, help="Weight decay, of matrices and kernels.")
@click.option("--group", "groups", multiple=True, metavar="PATTERN:RATE:DECAY", help="Factors for some weights.")
@click.option("--clip", type=float, default=0.0, help="The largest norm of all gradients.")
@click.option("--clip-value", type=float, default=0.0, help="The largest number in a gradient.")
@click.option("--clip-adaptive", type=float, default=0.0, help="The largest share of a weight, unit by unit.")
@click.option("--accumulate", type=click.IntRange(1), default=1, show_default=True, help="Batches of one update.")
@click.option("--held-out", type=click.FloatRange(0, 1), default=0.2, show_default=True, help="Share for validation.")
@click.option("--patience", type=click.IntRange(0), default=0, help="Stop after so many epochs without progress.")
@click.option("--sparsity", type=float, metavar="SHARE", help="The share of the weights that becomes 0 on the way.")
@click.option(
    "--sparsity-option", multiple=True, metavar="NAME=VALUE", help="method, distribution, pattern, begin, end."
)
@click.option("--seed", default=0, show_default=True, help="First weights, batches and dropout follow from it.")
@click.option("--from", "start", metavar="FILE", help="Start from these weights.")
@click.option("--checkpoints", metavar="FOLDER", help="Keep the state of the run there.")
@click.option("--every", type=click.IntRange(0), default=0, help="Steps between checkpoints; by default, an epoch.")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint.")
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
    from architrave.train import run
    from architrave.train.data import entropy

    _check_files(options)
    graph = Selection(name, **{k: options.pop(k) for k in ("model", "arguments", "decisions")}).graph()
    trainer, examples_, held_out, masks = _prepared(graph, data, options)
    with Watch(graph.name, options["epochs"] * examples_.steps(options["batch"]), quiet=as_json) as watch:
        loop = _loop(options, held_out, watch, masks)
        try:
            outcome = run(trainer, examples_, loop, options["resume"])
        except KeyboardInterrupt:
            written = loop.checkpoints is not None and bool(loop.checkpoints.all())
            _say_how_to_go_on(options["checkpoints"], written)
            raise
    row, weights = _result(outcome, best=options["patience"] > 0)
    if masks is not None:
        weights = baked(trainer.network, weights)
    _write(options, trainer, outcome, weights, examples_)
    if as_json:
        print_json("train", True, {"model": graph.name, "history": list(outcome.history), "stopped": outcome.stopped})
        return 0
    _show(outcome, row, entropy(examples_) if trainer.recipe.objective.loss == LOSS else None)
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


def _result(outcome: Outcome, *, best: bool) -> tuple[Mapping[str, Any] | None, Mapping[str, Any]]:
    """The weights of the last epoch, or of the best by validation, and that epoch's numbers; None if there was none."""
    rows = outcome.history
    if best and outcome.best is not None:
        return min(rows, key=lambda row: row.get("val_loss", math.inf)), outcome.best
    return rows[-1] if rows else None, outcome.weights


def _prepared(
    graph: Graph, data: str, options: Mapping[str, Any]
) -> tuple[Trainer, Dataset, Dataset | None, Refresh | None]:
    """What trains, the examples to train on and to validate by, and what chooses masks on the way."""
    from architrave.ir.initializers import init
    from architrave.train import Clipping, Objective, Recipe, Schedule, Trainer, optimizer
    from architrave.train.data.dataset import check_labels
    from architrave.train.data.sources import open_data
    from architrave.weights import load

    train, held_out = open_data(data, graph, options["held_out"])
    loss = _loss(train) if options["loss"] is None else options["loss"]
    if loss == LOSS:
        for part in (train, held_out or train):
            check_labels(part, graph)
    recipe = Recipe(
        optimizer(options["optimizer"], **_given(options["settings"], "-O")),
        taught(Objective(loss, _given(options["loss_options"], "-L")), options, loss or LOSS),
        options["decay"],
        tuple(map(_group, options["groups"])),
        Clipping(options["clip"], options["clip_value"], options["clip_adaptive"]),
        options["accumulate"],
        options["dtype"] == "mixed",
    )
    updates = options["epochs"] * train.steps(options["batch"]) // options["accumulate"]
    shape = _given(options["shape"], "-S")
    unknown = next((name for name in shape if name not in ("end", "every", "factor")), None)
    if unknown is not None:
        raise error("E541", f"a schedule has no setting `{unknown}`", hint="it has end, every and factor")
    schedule = Schedule(options["rate"], updates, options["schedule"], options["warmup"], **shape)
    weights = None if options["start"] is None else load(options["start"], graph)
    target, masks = train.target_type(graph) if loss else None, None
    if (sparsity := _sparsity(options)) is not None:
        first = weights or init(graph, options["seed"], DTYPES[options["dtype"]])
        steps = options["epochs"] * train.steps(options["batch"])
        graph, weights, masks = sparsity.masked(graph, first, steps, train, options["seed"], options["backend"])
    trainer = Trainer(
        graph,
        recipe,
        schedule,
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


def _loss(data: Dataset) -> str:
    """The usual loss: of classes, of numbers, or none where there are no targets and the network gives the loss."""
    if data.target is None:
        return ""
    return LOSS if data.target.dtype.kind in "iu" else "mse"


def _given(pairs: Sequence[str], flag: str) -> dict[str, Any]:
    """`NAME=VALUE` options as arguments."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise click.BadParameter(f"`{pair}` is not of the form NAME=VALUE", param_hint=flag)
        found[name.strip()] = literal(value.strip())
    return found


def _group(text: str) -> Any:
    from architrave.train import Group

    parts = text.split(":")
    try:
        pattern, rate, decay = parts[0], *map(float, parts[1:])
    except ValueError:
        raise click.BadParameter(f"`{text}` is not of the form PATTERN:RATE:DECAY", param_hint="--group") from None
    return Group(pattern, rate, decay)


def _loop(options: Mapping[str, Any], held_out: Dataset | None, watch: Watch, masks: Refresh | None) -> Loop:
    from architrave.train import Folder, Loop

    folder = Folder(Path(options["checkpoints"])) if options["checkpoints"] else None
    if options["resume"] and folder is None:
        raise click.UsageError("--resume needs --checkpoints, the folder to go on from")
    return Loop(
        options["epochs"],
        options["batch"],
        held_out,
        options["patience"],
        folder,
        options["every"],
        () if masks is None else (masks,),
        watch.step,
        watch.epoch,
    )


def _say_how_to_go_on(folder: str | None, written: bool) -> None:
    if folder is None:
        click.echo("interrupted; with `--checkpoints FOLDER` a run can go on later", err=True)
    elif written:
        click.echo(
            f"interrupted; the same command with `--resume` goes on from the last checkpoint in {folder}", err=True
        )
    else:
        click.echo(f"interrupted before there was a checkpoint in {folder}", err=True)


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


def _show(outcome: Outcome, row: Mapping[str, Any] | None, guess: float | None) -> None:
    """The curves, and in words what the weights that the run gives come to."""
    if row is None:
        click.echo("there was nothing left to do")
        return
    for line in curves(outcome.history):
        click.echo(line)
    accuracy = f", accuracy {row['val_accuracy']:.2%}" if "val_accuracy" in row else ""
    stopped = f"stopped early, the best was epoch {row['epoch']:.0f}: " if outcome.stopped else ""
    known = f" ({guess:.4f} for who knows only how often each class comes)" if guess is not None else ""
    click.secho(f"{stopped}loss {row.get('val_loss', row['loss']):.4f}{known}{accuracy}", bold=True)
