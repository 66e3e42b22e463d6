"""`architrave show`: what a network is made of, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from architrave.cli.help import examples
from architrave.cli.report import json_option, print_json
from architrave.cli.selection import Selection, check_sizes, model_options, sizes_option

if TYPE_CHECKING:
    from architrave.ir.graph import Graph


@examples(
    "architrave show resnet50",
    "architrave show resnet50 --at N=1 --depth 1",
    "architrave show net.arch --ir --inference",
    "architrave show net.arch --params",
    "architrave show resnet50 --groups",
    "architrave show resnet18 --picture resnet18.svg --depth 2",
)
@click.command("show")
@click.argument("name", metavar="MODEL")
@click.option("--ir", "view", flag_value="ir", help="Print the graph: one line for each operator, as .arch text.")
@click.option("--params", "view", flag_value="params", help="List the weights and states.")
@click.option("--choices", "view", flag_value="choices", help="List the decisions of a search space.")
@click.option("--groups", "view", flag_value="groups", help="List the dimensions: what is cut or permuted together.")
@click.option("--train/--inference", "training", default=None, help="With --ir, --picture: one mode.")
@click.option("--depth", type=click.IntRange(0), metavar="D", help="Show instances this many levels deep.")
@click.option("--all", "every", is_flag=True, help="Show equal layers one by one, and every dimension.")
@click.option("--picture", metavar="FILE.svg", help="Draw it: blocks as boxes; with --choices, decisions as such.")
@sizes_option("--at", "Sizes for symbolic dimensions, N=1,H=224.")
@model_options
@json_option
def command(
    name: str,
    view: str | None,
    training: bool | None,
    depth: int | None,
    every: bool,
    picture: str | None,
    sizes: dict[str, int],
    as_json: bool,
    **selected: Any,
) -> int:
    """Show what a network is made of.

    For each instance of a block: what it gives, its parameters and its multiply-adds.
    Layers of one kind that differ in nothing but their number share a row, or a box of a picture.
    """
    selection = Selection(name, **selected)
    place = None if picture is None else _picture_file(picture, view)
    built = selection.elaborate(keep_choices=place is not None and view == "choices")
    graph = _in_mode(built.graph, training)
    check_sizes(graph, sizes)
    if place is not None:
        return _draw(graph, place, as_json, depth=depth, every=every, sizes=sizes, training=bool(training))
    from architrave.cli import choices, groups, views

    match view:
        case "ir":
            text = str(graph)
            _report(as_json, "ir", lambda: {"model": graph.name, "ir": text}, lambda: click.echo(text, nl=False))
        case "params":
            _report(as_json, "params", lambda: views.weights(graph), lambda: views.show_weights(graph))
        case "choices":
            space = selection.domains()
            _report(
                as_json,
                "choices",
                lambda: choices.described(built, space),
                lambda: choices.show_choices(built, space),
            )
        case "groups":
            _report(as_json, "groups", lambda: groups.listed(graph), lambda: groups.show_groups(graph, every))
        case _:
            _report(
                as_json, "tree", lambda: views.tree(graph, sizes), lambda: views.show_tree(graph, sizes, depth, every)
            )
    return 0


def _picture_file(picture: str, view: str | None) -> Path:
    """Where a picture goes. Raises `click.UsageError` for what is none of a picture's file, and for other views."""
    if view not in (None, "choices"):
        raise click.UsageError(f"--picture draws the network, and --{view} lists it: give one of them")
    place = Path(picture)
    if place.suffix != ".svg":
        raise click.BadParameter(f"`{picture}` must end in `.svg`", param_hint="--picture")
    return place


def _draw(graph: Graph, place: Path, as_json: bool, **options: Any) -> int:
    from architrave.draw import picture
    from architrave.files import write_text

    write_text(place, picture(graph, **options))
    if as_json:
        print_json("show", True, {"view": "picture", "model": graph.name, "file": str(place)})
    else:
        click.echo(f"wrote {place}", err=True)
    return 0


def _report(as_json: bool, view: str, fields: Callable[[], Mapping[str, Any]], show: Callable[[], None]) -> None:
    if as_json:
        print_json("show", True, {"view": view, **fields()})
    else:
        show()


def _in_mode(graph: Graph, training: bool | None) -> Graph:
    from architrave.ir.mode import specialize

    return graph if training is None else specialize(graph, training)
