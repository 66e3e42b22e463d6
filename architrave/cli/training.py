"""What all commands share in which something is trained: options, and what they say of a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from architrave.cli.selection import literal
from architrave.cli.watch import Watch, curves
from architrave.ir.source import error

if TYPE_CHECKING:
    from architrave.ir.graph import Graph
    from architrave.train import Batches, Dataset, Learner, Loop, Objective, Outcome, Recipe, Refresh, Schedule

F = TypeVar("F", bound=Callable[..., Any])

LOSS = "cross_entropy"
DTYPES = {"f32": "float32", "f64": "float64", "mixed": "float32"}
OPTIMIZERS = ("adam", "adamw", "lamb", "lars", "novograd", "rmsprop", "sgd")
SHAPES = ("constant", "cosine", "linear", "step", "exponential", "one-cycle")

OPTIONS = (
    click.option("--backend", "-b", default="torch", show_default=True, metavar="NAME", help="What computes."),
    click.option("--dtype", type=click.Choice(list(DTYPES)), default="f32", show_default=True, help="The precision."),
    click.option("--loss", metavar="NAME", help="A fn of std.loss, or FILE:NAME; by default, as the targets are."),
    click.option("--loss-option", "-L", "loss_options", multiple=True, metavar="NAME=VALUE", help="An argument of it."),
    click.option(
        "--epochs", type=click.IntRange(1), default=10, show_default=True, help="How often all data are seen."
    ),
    click.option("--batch", type=click.IntRange(1), default=32, show_default=True, help="Examples of one step."),
    click.option("--optimizer", type=click.Choice(OPTIMIZERS), default="adamw", show_default=True, help="The rule."),
    click.option("--optimizer-option", "-O", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of it."),
    click.option("--rate", type=float, default=1e-3, show_default=True, help="The learning rate."),
    click.option(
        "--schedule", type=click.Choice(SHAPES), default="cosine", show_default=True, help="The rate over time."
    ),
    click.option("--schedule-option", "-S", "shape", multiple=True, metavar="NAME=VALUE", help="every, factor or end."),
    click.option(
        "--warmup", type=click.IntRange(0), default=0, show_default=True, help="Steps in which the rate rises."
    ),
    click.option("--decay", type=float, default=0.0, show_default=True, help="Weight decay, of matrices and kernels."),
    click.option("--group", "groups", multiple=True, metavar="PATTERN:RATE:DECAY", help="Factors for some weights."),
    click.option("--clip", type=float, default=0.0, help="The largest norm of all gradients."),
    click.option("--clip-value", type=float, default=0.0, help="The largest number in a gradient."),
    click.option("--clip-adaptive", type=float, default=0.0, help="The largest share of a weight, unit by unit."),
    click.option("--accumulate", type=click.IntRange(1), default=1, show_default=True, help="Batches of one update."),
    click.option(
        "--held-out", type=click.FloatRange(0, 1), default=0.2, show_default=True, help="Share for validation."
    ),
    click.option("--patience", type=click.IntRange(0), default=0, help="Stop after so many epochs without progress."),
    click.option("--seed", default=0, show_default=True, help="First weights, batches and dropout follow from it."),
    click.option("--checkpoints", metavar="FOLDER", help="Keep the state of the run there."),
    click.option("--every", type=click.IntRange(0), default=0, help="Steps between checkpoints; by default, an epoch."),
    click.option("--resume", is_flag=True, help="Go on from the newest checkpoint."),
)


def training_options(command: F) -> F:
    """How something is trained: the recipe, the rate, the loop over epochs."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def opened(options: Mapping[str, Any], data: str, graph: Graph) -> tuple[Dataset, Dataset | None]:
    """The examples to train on and to validate by. Raises E564 for labels that are no classes of the network."""
    from architrave.train.data.dataset import check_labels
    from architrave.train.data.sources import open_data

    train, held_out = open_data(data, graph, options["held_out"])
    if objective(options, train).loss == LOSS:
        for part in (train, held_out or train):
            check_labels(part, graph)
    return train, held_out


def objective(options: Mapping[str, Any], data: Dataset) -> Objective:
    """What is minimized: the loss that is named, or the usual one."""
    from architrave.train import Objective

    name: str | None = options["loss"]
    loss = Objective.usual(data).loss if name is None else name
    return Objective(loss, given(options["loss_options"], "-L"))


def recipe(options: Mapping[str, Any], objective: Objective) -> Recipe:
    """How weights follow from gradients."""
    from architrave.train import Clipping, Recipe, optimizer

    return Recipe(
        optimizer(options["optimizer"], **given(options["settings"], "-O")),
        objective,
        options["decay"],
        tuple(map(_group, options["groups"])),
        Clipping(options["clip"], options["clip_value"], options["clip_adaptive"]),
        options["accumulate"],
        options["dtype"] == "mixed",
    )


def schedule(options: Mapping[str, Any], data: Batches) -> Schedule:
    """The learning rate over all updates. Raises E541 for a setting that there is not."""
    from architrave.train import Schedule

    updates = options["epochs"] * data.steps(options["batch"]) // options["accumulate"]
    shape = given(options["shape"], "-S")
    unknown = next((name for name in shape if name not in ("end", "every", "factor")), None)
    if unknown is not None:
        raise error("E541", f"a schedule has no setting `{unknown}`", hint="it has end, every and factor")
    return Schedule(options["rate"], updates, options["schedule"], options["warmup"], **shape)


def trained(
    trainer: Learner,
    data: Batches,
    held_out: Dataset | None,
    options: Mapping[str, Any],
    refresh: Sequence[Refresh] = (),
    *,
    quiet: bool,
) -> Outcome:
    """Run the loop, and show how it goes. Where Ctrl-C ends it, says how to go on."""
    from architrave.train import run

    with Watch(trainer.network.name, options["epochs"] * data.steps(options["batch"]), quiet=quiet) as watch:
        loop = _loop(options, held_out, watch, refresh)
        try:
            return run(trainer, data, loop, options["resume"])
        except KeyboardInterrupt:
            written = loop.checkpoints is not None and bool(loop.checkpoints.all())
            _say_how_to_go_on(options["checkpoints"], written)
            raise


def result(outcome: Outcome, *, best: bool) -> tuple[Mapping[str, Any] | None, Mapping[str, Any]]:
    """The weights of the last epoch, or of the best by validation, and that epoch's numbers; None if there was none."""
    rows = outcome.history
    if best and outcome.best is not None:
        return min(rows, key=lambda row: row.get("val_loss", math.inf)), outcome.best
    return rows[-1] if rows else None, outcome.weights


def show(outcome: Outcome, row: Mapping[str, Any] | None, guess: float | None) -> None:
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


def given(pairs: Sequence[str], flag: str) -> dict[str, Any]:
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


def _loop(options: Mapping[str, Any], held_out: Dataset | None, watch: Watch, refresh: Sequence[Refresh]) -> Loop:
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
        tuple(refresh),
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
