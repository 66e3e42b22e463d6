"""`architrave supernet`: train all members of a space at once, and cut members out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from architrave.cli.help import examples
from architrave.cli.places import Places, network_text
from architrave.cli.report import json_option, print_json
from architrave.cli.selection import Selection, model_options
from architrave.cli.settings import config_option
from architrave.cli.training import (
    DTYPES,
    given,
    objective,
    opened,
    recipe,
    result,
    schedule,
    show,
    trained,
    training_options,
)
from architrave.ir.source import printable

if TYPE_CHECKING:
    from architrave.search.space.costs import Costs
    from architrave.search.space.members import Member
    from architrave.search.supernet.child import Child
    from architrave.search.supernet.sharing import Sharing

KINDS = ("paths", "several", "mixture", "slices")


@examples(
    "architrave supernet train few.arch --data points.npz --batch 8 -o s.safetensors",
    "architrave supernet cut few.arch s.safetensors --decide width=many -o best.arch",
)
@click.group("supernet")
def command() -> None:
    """Train all members of a space at once, and cut members out.

    `architrave search --supernet` looks for the best of them, without training any by itself.
    """


@examples(
    "architrave supernet train few.arch --data points.npz --batch 8 -o s.safetensors",
    "architrave supernet train few.arch --data points.npz --kind slices -K others=1 -o s.safetensors",
)
@command.command("train")
@click.argument("name", metavar="MODEL")
@click.option("--data", required=True, metavar="DATA", help="What to train on, as `train --data` has it.")
@click.option("--kind", type=click.Choice(KINDS), help="How members share weights; by default, paths or slices.")
@click.option(
    "--draw", metavar="NAME", help="What learns in a step: uniform, fair, importance; of slices, sandwich or sampled."
)
@click.option("--kind-option", "-K", "kinds", multiple=True, metavar="NAME=VALUE", help="most, rate or others.")
@click.option("--programs", type=click.IntRange(0, 10_000), help="Members whose programs are kept; 0: one for all.")
@click.option("--output", "-o", required=True, metavar="FILE", help="The safetensors file to write.")
@training_options
@config_option
@model_options
@json_option
def train(name: str, data: str, kind: str | None, output: str, as_json: bool, **options: Any) -> int:
    """Train all members of a model with choices at once.

    What is shown as validation is the mean of a few members with batch statistics of their own.
    """
    from architrave.search.supernet.checkpoint import HELD_OUT, write
    from architrave.search.supernet.kinds import kind_of
    from architrave.search.supernet.together import Plan

    places = Places(None, False, Path(output), None)
    places.check_writable()
    selection = _selection(name, options)
    if selection.decisions:
        raise click.UsageError("--decide is of one member: give it to `supernet cut`")
    places.check(name.partition(":")[0], data)
    supernet = _sharing(kind, _model(selection), options)
    examples_, held_out = opened(options, data, supernet.graph)
    mine, other = supernet.divided(examples_)
    loss, dtype = objective(options, examples_), DTYPES[options["dtype"]]
    plan = Plan(
        recipe(options, loss),
        schedule(options, mine),
        mine,
        other,
        options["backend"],
        dtype,
        options["seed"],
        programs=_programs(options),
    )
    outcome = trained(supernet.learner(plan), mine, held_out, options, quiet=as_json)
    row, weights = result(outcome, best=options["patience"] > 0)
    about = {
        "model": supernet.model.space.name,
        "labels": json.dumps(examples_.labels),
        HELD_OUT: str(options["held_out"]),
    }
    write(output, supernet, weights, about)
    preferred = supernet.preferred(weights)
    if as_json:
        facts = {"model": supernet.model.space.name, "kind": kind_of(supernet), "members": supernet.costs.space.size}
        history = {"history": list(outcome.history), "stopped": outcome.stopped}
        print_json("supernet train", True, {**facts, **history, "preferred": preferred, "file": output})
        return 0
    show(outcome, row, None)
    if preferred is not None:
        click.echo("what weighs most: " + printable(" ".join(f"{p}={label}" for p, label in preferred.items())))
    click.echo(f"wrote {output}: a supernet of {supernet.costs.space.size:,} members", err=True)
    return 0


@examples(
    "architrave supernet cut few.arch s.safetensors --data points.npz -o first.arch",
    "architrave supernet cut few.arch s.safetensors --decide width=many -o best.arch",
)
@command.command("cut")
@click.argument("name", metavar="MODEL")
@click.argument("file", metavar="SUPERNET")
@click.option("--data", metavar="DATA", help="Examples to take batch statistics from, and to judge by.")
@click.option("--held-out", type=click.FloatRange(0, 1), default=0.2, show_default=True, help="Share to judge by.")
@click.option("--backend", "-b", default="torch", show_default=True, metavar="NAME", help="What computes.")
@click.option("--output", "-o", required=True, metavar="FILE", help="The .arch file to write, its weights beside it.")
@model_options
@json_option
def cut(name: str, file: str, output: str, as_json: bool, **options: Any) -> int:
    """Cut a member out of a supernet.

    It is a plain network, with the weights that it has there.
    Choices that --decide leaves out take what weighs most in a mixture, and else their first label.
    With --data batch statistics are taken anew: those of a supernet are averages over its members.
    """
    from architrave.search.supernet.checkpoint import load

    places = Places.of_trained(output, file, None)
    selection, data = _selection(name, options), options["data"]
    places.check(name.partition(":")[0], data)
    supernet, weights = load(file, _model(selection))
    member = supernet.costs.space.decided({**(supernet.preferred(weights) or {}), **selection.decisions})
    if data is None:
        child, numbers = supernet.child(member, weights), dict[str, float]()
    else:
        child, numbers = _judged(supernet, weights, member, data, {**options, "file": file})
    text = network_text(child.graph)
    places.write(text, child.weights, {"model": child.graph.name, "decisions": json.dumps(member)})
    if as_json:
        print_json(
            "supernet cut", True, {"model": child.graph.name, "member": member, **numbers, **places.to_json(None)}
        )
        return 0
    click.echo(printable(" ".join(f"{path}={label}" for path, label in member.items())))
    if numbers:
        accuracy = f", accuracy {numbers['accuracy']:.2%}" if "accuracy" in numbers else ""
        click.secho(f"loss {numbers['loss']:.4f}{accuracy}", bold=True)
    places.announce()
    return 0


def _judged(
    supernet: Sharing, weights: Mapping[str, Any], member: Member, data: str, options: Mapping[str, Any]
) -> tuple[Child, dict[str, float]]:
    """A member with batch statistics of its own, and what it comes to on examples that are held out."""
    from architrave.search.supernet.checkpoint import check_held_out
    from architrave.search.supernet.judge import Judge
    from architrave.train import Objective, open_data

    check_held_out(options["file"], options["held_out"])
    examples_, held = open_data(data, supernet.graph, options["held_out"])
    judge = Judge(supernet, weights, examples_, options["backend"])
    child = judge.child(member)
    return child, judge.judged(child, held or examples_, Objective.usual(examples_))


def _programs(options: Mapping[str, Any]) -> int:
    """How many programs are kept: unless it is said, none on JAX, which takes seconds to compile each."""
    from architrave.search.supernet.together import PROGRAMS

    if options["programs"] is not None:
        return int(options["programs"])
    return 0 if options["backend"] == "jax" else PROGRAMS


def _selection(name: str, options: dict[str, Any]) -> Selection:
    return Selection(name, **{k: options.pop(k) for k in ("model", "arguments", "decisions")})


def _model(selection: Selection) -> Costs:
    """The members, and what they cost where every symbolic dimension is 1."""
    from architrave.search.space.costs import Costs

    symbols = selection.named.elaborate(selection.arguments).graph.symbols
    return Costs(selection.named, selection.arguments, dict.fromkeys(symbols, 1))


def _sharing(kind: str | None, model: Costs, options: Mapping[str, Any]) -> Sharing:
    """The supernet that the options ask for. Raises E972, E973."""
    from architrave.search.supernet.kinds import sharing, usual

    draw = {} if options["draw"] is None else {"draw": options["draw"]}
    return sharing(kind or usual(model), model, {**draw, **given(options["kinds"], "-K")})
