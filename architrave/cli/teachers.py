"""Options of `architrave train` that name teachers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from architrave.cli.selection import Selection

if TYPE_CHECKING:
    from architrave.train import Objective

F = TypeVar("F", bound=Callable[..., Any])


def teacher_options(command: F) -> F:
    """`--teacher` and what belongs to it."""
    for option in (
        click.option(
            "--teacher-share",
            type=click.FloatRange(0, 1),
            default=0.5,
            show_default=True,
            help="How much of the loss is what teachers say; the rest is by the targets.",
        ),
        click.option(
            "--temperature",
            type=click.FloatRange(0, min_open=True),
            default=4.0,
            show_default=True,
            help="What softens the classes of teachers and student.",
        ),
        click.option("--teacher-weights", multiple=True, metavar="FILE", help="Their weights, in the same order."),
        click.option("--teacher", "teachers", multiple=True, metavar="MODEL", help="Learn from a trained model, too."),
    ):
        command = option(command)
    return command


def taught(objective: Objective, options: Mapping[str, Any], judged_by: str) -> Objective:
    """The loss with the teachers of the command line in it; the loss itself where there are none."""
    from architrave.distil import Distillation, Logits, Teacher
    from architrave.weights import load

    names, files, share = options["teachers"], options["teacher_weights"], options["teacher_share"]
    if len(names) != len(files):
        what = f"each teacher has a file of weights: {len(names)} and {len(files)} are named"
        raise click.BadParameter(what, param_hint="--teacher-weights")
    if not names:
        return objective
    graphs = [Selection(name).graph() for name in names]
    teachers = [Teacher(graph, load(file, graph)) for graph, file in zip(graphs, files, strict=True)]
    return Distillation(
        objective.loss if share < 1 else "",
        objective.arguments,
        teachers=teachers,
        terms=(Logits(options["temperature"], share),),
        share=1 - share,
        judged_by=judged_by,
    )
