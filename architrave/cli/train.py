"""`architrave train`: train a network on data."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from architrave.cli.help import examples
from architrave.cli.report import json_option, print_json
from architrave.cli.selection import Selection, literal, model_options
from architrave.ir.source import error

if TYPE_CHECKING:
    from architrave.train import Dataset, Loop, Outcome, Trainer

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
@click.option("--loss", default="cross_entropy", show_default=True, help="A fn of std.loss, or FILE:NAME; or none.")
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
@click.option("--seed", default=0, show_default=True, help="First weights, batches and dropout follow from it.")
@click.option("--from", "start", metavar="FILE", help="Start from these weights.")
@click.option("--checkpoints", metavar="FOLDER", help="Keep the state of the run there.")
@click.option("--every", type=click.IntRange(0), default=0, help="Steps between checkpoints; by default, an epoch.")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint.")
@click.option("--weights", metavar="FILE", help="Write the weights: the best by validation, if there is any.")
@click.option("--plot", metavar="FILE", help="Draw the curves as PNG.")
@click.option("--report", metavar="FILE", help="Write a page with curves and numbers as HTML.")
@model_options
@json_option
def command(name: str, data: str, as_json: bool, **options: Any) -> int:
    """Train a network on data.

    The whole step, from the network to the optimizer, is one program of the backend; all backends
    compute the same. Ctrl-C leaves the last checkpoint, and --resume goes on to the same next step.
    """
    from architrave.train import run

    graph = Selection(name, **{k: options.pop(k) for k in ("model", "arguments", "decisions")}).graph()
    trainer, examples_, held_out = _prepared(graph, data, options)
    epochs, batch = options["epochs"], options["batch"]
    with _progress(epochs * examples_.steps(batch), trainer, quiet=as_json) as told:
        loop = _loop(options, held_out, told)
        try:
            outcome = run(trainer, examples_, loop, options["resume"])
        except KeyboardInterrupt:
            _say_how_to_go_on(options)
            raise
    weights = outcome.best or outcome.weights
    _write(options, trainer, outcome, weights, examples_)
    if as_json:
        print_json("train", True, {"model": graph.name, "history": list(outcome.history), "stopped": outcome.stopped})
        return 0
    _show(outcome)
    return 0


def _prepared(graph: Any, data: str, options: Mapping[str, Any]) -> tuple[Trainer, Dataset, Dataset | None]:
    """What trains, and the examples to train on and to validate by."""
    from architrave.train import Clipping, Objective, Recipe, Schedule, Trainer, optimizer
    from architrave.train.data.dataset import check_labels
    from architrave.train.data.sources import open_data
    from architrave.weights import load

    train, held_out = open_data(data, graph, options["held_out"])
    loss = "" if options["loss"] == "none" else options["loss"]
    if loss == "cross_entropy":
        check_labels(train, int(graph.outputs[0].shape[-1]))
    recipe = Recipe(
        optimizer(options["optimizer"], **_given(options["settings"], "-O")),
        Objective(loss, _given(options["loss_options"], "-L")),
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
    trainer = Trainer(
        graph,
        recipe,
        schedule,
        train.target_type(graph) if loss else None,
        backend=options["backend"],
        dtype=DTYPES[options["dtype"]],
        seed=options["seed"],
        weights=None if options["start"] is None else load(options["start"], graph),
    )
    return trainer, train, held_out


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


def _loop(options: Mapping[str, Any], held_out: Dataset | None, told: Callable[[int, float], object]) -> Loop:
    from architrave.train import Folder, Loop

    folder = Folder(Path(options["checkpoints"])) if options["checkpoints"] else None
    if options["resume"] and folder is None:
        raise click.UsageError("--resume needs --checkpoints, the folder to go on from")
    return Loop(
        options["epochs"], options["batch"], held_out, options["patience"], folder, options["every"], on_step=told
    )


@contextlib.contextmanager
def _progress(steps: int, trainer: Trainer, *, quiet: bool) -> Generator[Callable[[int, float], object]]:
    """A bar on the terminal, with the loss of the last steps."""
    if quiet or not sys.stderr.isatty():
        yield lambda step, loss: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from architrave.cli.terminal import console

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console(err=True), transient=True) as bar:
        task = bar.add_task(trainer.network.name, total=steps)
        smooth: list[float] = []

        def told(step: int, loss: float) -> None:
            smooth[:] = [0.95 * smooth[0] + 0.05 * loss] if smooth else [loss]
            bar.update(task, completed=step, description=f"{trainer.network.name}  loss {smooth[0]:.4f}")

        yield told


def _say_how_to_go_on(options: Mapping[str, Any]) -> None:
    if options["checkpoints"]:
        click.echo(f"interrupted; `--checkpoints {options['checkpoints']} --resume` goes on from there", err=True)


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


def _show(outcome: Outcome) -> None:
    """The history as a table, every row of a short run and some of a long one, and the last line in words."""
    from architrave.cli.terminal import show, table

    if not outcome.history:
        click.echo("there was nothing left to do")
        return
    names = [name for name in outcome.history[-1] if name != "step"]
    rows = table(*(name.replace("_", " ") for name in names), right=[name.replace("_", " ") for name in names])
    stride = -(-len(outcome.history) // 20)
    for row in [*outcome.history[:-1:stride], outcome.history[-1]]:
        rows.add_row(*(_cell(name, row[name]) for name in names))
    show(rows)
    last = outcome.history[-1]
    accuracy = f", accuracy {100 * last['val_accuracy']:.2f} %" if "val_accuracy" in last else ""
    stopped = "stopped early: nothing got better; " if outcome.stopped else ""
    click.secho(f"{stopped}loss {last.get('val_loss', last['loss']):.4f}{accuracy}", bold=True)


def _cell(name: str, value: float) -> str:
    if name == "epoch":
        return str(int(value))
    if name == "val_accuracy":
        return f"{100 * value:.2f} %"
    return f"{value:.1f}" if name == "seconds" else f"{value:.4g}"
