"""The views of `architrave show`: each as JSON-ready data and as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from architrave.cli.terminal import brief, count, plural, show, table
from architrave.draw.instances import Instance, alike, instances
from architrave.ir import cost
from architrave.ir.dims import Size
from architrave.ir.ops.leaves import Initial, Param, State
from architrave.ir.source import printable

if TYPE_CHECKING:
    from architrave.ir.graph import Graph

Row = tuple[str, int, Instance]
"""How many instances a row stands for, how deep they are, and the first of them, with the lines that lead there."""


def tree(graph: Graph, sizes: Mapping[str, int]) -> dict[str, Any]:
    """The instances, outer ones first, and the totals."""
    listed = [
        {
            "path": i.path,
            "block": i.block,
            "outputs": list(map(str, i.outputs)),
            "parameters": _number(i.parameters),
            "multiply_adds": _number(i.multiply_adds),
        }
        for i in instances(graph, sizes).walk()
    ]
    return {"model": graph.name, **_types(graph), **_totals(graph, sizes), "instances": listed}


def show_tree(graph: Graph, sizes: Mapping[str, int], depth: int | None, every: bool) -> None:
    """The tree of instances as a table, and the totals below it."""
    root = instances(graph, sizes)
    rows = table("instance", "block", "output", "parameters", "multiply-adds", right=("parameters", "multiply-adds"))
    for label, many, instance in _rows(root, depth, every):
        block = f"{many} x {instance.block}" if many > 1 else instance.block
        outputs = ", ".join(map(str, instance.outputs))
        rows.add_row(
            label, block, outputs, _unless_zero(count(instance.parameters)), _unless_zero(brief(instance.multiply_adds))
        )
    show(rows)
    _show_weight_totals(graph)
    macs = count(cost.multiply_adds(graph, sizes))
    click.echo(f"{macs} multiply-adds, {plural(cost.depth(graph), 'layer')} on the longest path")
    if set(graph.symbols) <= set(sizes):
        click.echo(f"{brief(cost.memory(graph, sizes).peak)}B of activations at once, in f32")


def weights(graph: Graph) -> dict[str, Any]:
    """Every param and state."""
    listed = [
        {
            "path": w.op.path,
            "kind": w.op.name,
            "type": str(w.type),
            "numbers": _number(w.type.size),
            "initial": _initial(w.op),
        }
        for w in graph.weights
        if isinstance(w.op, Param | State)
    ]
    return {"model": graph.name, "weights": listed}


def show_weights(graph: Graph) -> None:
    """Every param and state as a table."""
    rows = table("weight", "kind", "type", "numbers", "starts as", right=("numbers",))
    for weight in graph.weights:
        if isinstance(weight.op, Param | State):
            kind, start = weight.op.name, _initial(weight.op)
            rows.add_row(printable(weight.op.path), kind, str(weight.type), count(weight.type.size), start)
    show(rows)
    _show_weight_totals(graph)


def _rows(root: Instance, depth: int | None, every: bool) -> Iterator[tuple[str, int, Instance]]:
    """The label, the number of equal instances and the first of them, for each row of the tree."""
    pending: list[tuple[str, str, list[Instance]]] = [("", "", [root])]
    while pending:
        lead, margin, same = pending.pop()
        first, last = same[0], same[-1]
        segments = [printable(i.segment) for i in (first, last)]
        name = segments[0] if first is last else f"{segments[0]}-{segments[1]}"
        yield lead + (name or root.block), len(same), first
        if depth is not None and first.path.count(".") + bool(first.path) >= depth:
            continue
        groups = [[c] for c in first.children.values()] if every else alike(first.children)
        branches = [("├─ ", "│  ")] * (len(groups) - 1) + [("└─ ", "   ")]
        below = [(margin + lead, margin + space, group) for (lead, space), group in zip(branches, groups, strict=False)]
        pending += reversed(below)


def _show_weight_totals(graph: Graph) -> None:
    states = cost.state(graph)
    suffix = f", {count(states)} more in states" if states != 0 else ""
    click.echo(f"\n{count(cost.parameters(graph))} parameters{suffix}")


def _types(graph: Graph) -> dict[str, Any]:
    return {
        "inputs": {str(v.hint): str(v.type) for v in graph.inputs},
        "outputs": [str(v.type) for v in graph.outputs],
    }


def _totals(graph: Graph, sizes: Mapping[str, int]) -> dict[str, Any]:
    totals = {
        "parameters": _number(cost.parameters(graph)),
        "state": _number(cost.state(graph)),
        "multiply_adds": _number(cost.multiply_adds(graph, sizes)),
        "depth": cost.depth(graph),
    }
    if set(graph.symbols) <= set(sizes):
        totals["activations"] = cost.memory(graph, sizes).peak
    return totals


def _number(size: Size) -> int | str:
    """A number, or the text of a symbolic size."""
    return size if isinstance(size, int) else str(size)


def _unless_zero(text: str) -> str:
    return "" if text == "0" else text


def _initial(op: Param | State) -> str:
    return printable(str(op.initial)) if isinstance(op.initial, Initial) else "computed"
