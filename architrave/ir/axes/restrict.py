"""The network on fewer coordinates: every weight, and every operator whose attributes hold sizes, made smaller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from architrave.ir.arrays import Array, np
from architrave.ir.axes.axis import Axis, resolved
from architrave.ir.axes.groups import Group, Groups
from architrave.ir.axes.places import selected
from architrave.ir.axes.relations import Scope
from architrave.ir.axes.rest import Coordinates, Cut, Rest
from architrave.ir.graph import Graph, Node, Value, apply, make
from architrave.ir.nested import subgraphs, with_leaves
from architrave.ir.op import Op
from architrave.ir.ops.control import Control
from architrave.ir.ops.index import Take
from architrave.ir.ops.leaves import Initial, Input, Param, State, path_of
from architrave.ir.rewrite import kept, rebuild
from architrave.ir.source import error
from architrave.ir.storage import constant_of
from architrave.ir.types import DType, shape_text

Chosen = Mapping[Group, Coordinates]
"""For each group that is cut or permuted its units, in their new order."""


def restricted(groups: Groups, chosen: Chosen, *, repeated: bool = False) -> Graph:
    """The network with only the `chosen` units of some groups; with `repeated` a unit may be there several times.

    Raises E920 for a group that may not be cut, E921 where no unit is left or one is named that is not there or twice,
    E922 for an operator that cannot be made smaller.
    """
    for group, units in chosen.items():
        _check(group, units, repeated)
    return _Restriction({group.axis: units for group, units in chosen.items()}).graph(groups.scope)


def taken(groups: Groups, weights: Mapping[str, Array], chosen: Chosen) -> dict[str, Array]:
    """The weights of the network with only the `chosen` units, or with all of them in another order.

    The arrays have one of the two shapes: those of `groups.graph`. Weights without chosen units are the same arrays.
    """
    new = dict(weights)
    for weight, rest in left(groups, chosen).items():
        path = path_of(weight)
        for axis, coordinates in enumerate(rest.kept):
            if coordinates is not None:
                new[path] = np.take(new[path], coordinates, axis)
    return new


def left(groups: Groups, chosen: Chosen) -> dict[Value, Rest]:
    """What is left of each weight of the network."""
    restriction = _Restriction({group.axis: units for group, units in chosen.items()})
    return {weight: restriction.rest(groups.scope, weight) for weight in groups.graph.weights}


def part(value: Value, rest: Rest) -> Value:
    """What is left of a value, taken out of it."""
    for axis, coordinates in enumerate(rest.kept):
        if coordinates is not None:
            places = make(constant_of(coordinates, DType.I64, coordinates.shape), ()).outputs[0]
            value = apply(Take(axis), value, places)
    return value


def _start(first: Initial | Graph, rest: Rest) -> Initial | Graph:
    """What a weight starts with, for what is left of it."""
    if isinstance(first, Initial):
        return first
    return replace(first, outputs=tuple(part(value, rest) for value in first.outputs))


def _check(group: Group, units: Coordinates, repeated: bool) -> None:
    if group.whole is not None:
        raise error("E920", f"`{group.name}` cannot be cut: {group.whole}")
    if len(units) == 0:
        raise error("E921", f"no unit of `{group.name}` would be left", hint=f"keep at least one of its {group.size}")
    inside = units[(units >= 0) & (units < group.size)]
    if len(inside) < len(units):
        wrong = int(np.setdiff1d(units, inside)[0])
        raise error("E921", f"`{group.name}` has units 0 to {group.size - 1}, and no {wrong}")
    if not repeated and len(np.unique(units)) < len(units):
        raise error("E921", f"a unit of `{group.name}` is kept twice")


class _Restriction:
    """Rebuilds graphs, inner ones in the scope of the node that holds them."""

    def __init__(self, chosen: Mapping[Axis, Coordinates]) -> None:
        self.chosen = chosen
        self._selected: dict[Axis, Coordinates | None] = {}

    def graph(self, scope: Scope) -> Graph:
        """The graph of a scope, made smaller."""

        def smaller(node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...]:
            op = self._op(scope, node)
            if op is node.op:
                return kept(node, operands)
            copy = make(op, operands, node.marks)
            copy.hints.update(node.hints)
            self._agree(scope, node, copy)
            return copy.outputs

        return rebuild(scope.graph, smaller)

    def rest(self, scope: Scope, value: Value) -> Rest:
        """What is left of a value."""
        return Rest(value.type, tuple(self._coordinates(axis) for axis in scope.axes[value]))

    def _coordinates(self, axis: Axis) -> Coordinates | None:
        axis = resolved(axis)
        if axis not in self._selected:
            self._selected[axis] = selected(axis, self.chosen)
        return self._selected[axis]

    def _op(self, scope: Scope, node: Node) -> Op:
        results = tuple(self.rest(scope, v) for v in node.outputs)
        operands = tuple(self.rest(scope, v) for v in node.operands)
        if isinstance(node.op, Control):
            smaller = map(self.graph, scope.inner[node])
            renewed = dict(zip(map(id, subgraphs(node.op)), smaller, strict=True))
            return with_leaves(node.op, lambda leaf: renewed.get(id(leaf), leaf))
        if all(kept is None for rest in (*operands, *results) for kept in rest.kept):
            return node.op
        match node.op:
            case Input(label=label, type=type):
                return Input(label, type.with_shape(results[0].shape))
            case Param(path=path, type=type, initial=first):
                return Param(path, type.with_shape(results[0].shape), _start(first, results[0]))
            case State(path=path, type=type, initial=first):
                return State(path, type.with_shape(results[0].shape), _start(first, results[0]))
            case op:
                return op.cut(Cut(operands, results))

    def _agree(self, scope: Scope, node: Node, copy: Node) -> None:
        for old, new in zip(node.outputs, copy.outputs, strict=True):
            wanted = self.rest(scope, old).shape
            if new.shape != wanted:
                raise error(
                    "E922",
                    f"`{node.op.name}` gives {shape_text(new.shape)} of what is left, and not {shape_text(wanted)}",
                    node.span,
                    hint="its `cut` does not say what becomes of its sizes",
                )
