"""Remembering what applying a block built, so that an equal application copies it instead of running it.

Two applications are equal when the block, its static arguments and the types of its inputs are. A copy has
the places, paths and weights of its own instance. What depends on more than that (lambdas and instances as
arguments, choices, random numbers, values from outside) is run each time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from architrave.dsl.elaborate.core import Build
from architrave.dsl.elaborate.kinds import is_nest
from architrave.dsl.elaborate.limits import NODE_STEPS
from architrave.dsl.elaborate.mode import flatten, unflatten
from architrave.dsl.elaborate.values import BlockType, Builtin, Fn, Instance
from architrave.ir.dims import Dim
from architrave.ir.graph import Node, Value, serial_now
from architrave.ir.ops.leaves import Initial, Param, State
from architrave.ir.place import Fact, Here, Place
from architrave.ir.source import Span
from architrave.ir.types import DType

LIMIT = 2048
"""How many applications are remembered; the oldest go first."""

_PLAIN = (int, float, bool, str, type(None), Dim, DType, Initial, Fn, BlockType, Builtin)


@dataclass(frozen=True, eq=False)
class Template:
    """What one application built: its nodes in order, the weights it declared, what it returned."""

    inputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    weights: tuple[tuple[str, Value, Any], ...]  # path, leaf, declaration
    updates: tuple[tuple[str, Value], ...]
    result: Any
    place: Place


_REMEMBERED: OrderedDict[Hashable, Template] = OrderedDict()


def find(key: Hashable) -> Template | None:
    """What an equal application built, in this elaboration or an earlier one."""
    return _REMEMBERED.get(key)


@dataclass(frozen=True, slots=True)
class Marker:
    """Where a build stood before an application."""

    serial: int
    weights: int
    choices: int
    drawn: int
    states: int


def key_of(instance: Instance, given: dict[str, Any], facts: tuple[Fact, ...], build: Build) -> Hashable | None:
    """What decides the result of an application; None where something else may."""
    if instance.segment == "":
        return None
    parts: list[Hashable] = []
    for name, value in (*instance.arguments.items(), *given.items()):
        part = _part(value)
        if part is None:
            return None
        parts.append((name, part))
    return instance.block, tuple(parts), build.training, facts


def _part(value: Any) -> Hashable | None:
    """A hashable stand-in for an argument; None where it may hide more than it shows."""
    if isinstance(value, Value):
        return ("tensor", value.type)
    if isinstance(value, _PLAIN):
        return (type(value), repr(value) if isinstance(value, float) else value)  # 0.0 is not -0.0
    if is_nest(value):
        items = [_part(v) for v in value]
        return None if None in items else (type(value), *items)
    return None


def marker(build: Build) -> Marker:
    return Marker(serial_now(), len(build.weights), len(build.choices), build.drawn, build.states.mark())


def remember(key: Hashable, given: dict[str, Any], result: Any, place: Place, before: Marker, build: Build) -> None:
    """Keep what an application built, if it depends on nothing but its key."""
    if len(build.choices) != before.choices or build.drawn != before.drawn:
        return
    inputs = tuple(flatten(list(given.values())))
    declared = list(islice(build.weights.items(), before.weights, None))
    weights = tuple((path, leaf, build.declared[path]) for path, leaf in declared)
    updates = tuple(build.states.since(before.states).items())
    own = {path for path, _ in declared}
    if any(path not in own for path, _ in updates):
        return
    roots = [*flatten(result), *(v for _, v in updates), *(leaf for _, leaf in declared)]
    nodes = _between(roots, inputs, before.serial)
    if nodes is not None:
        _REMEMBERED[key] = Template(inputs, nodes, weights, updates, result, place)
        if len(_REMEMBERED) > LIMIT:
            _REMEMBERED.popitem(last=False)


def _between(roots: list[Value], inputs: tuple[Value, ...], since: int) -> tuple[Node, ...] | None:
    """The nodes that lead from the inputs to the roots; None where something else leads there, too."""
    given = set(inputs)
    found: set[Node] = set()
    pending = [v for v in roots if v not in given]
    while pending:
        node = pending.pop().node
        if node in found:
            continue
        if node.serial < since:
            return None
        found.add(node)
        pending += [v for v in node.operands if v not in given]
    return tuple(sorted(found, key=lambda n: n.serial))


def recall(template: Template, given: dict[str, Any], place: Place, span: Span, build: Build) -> Any:
    """Copy what a template built to another instance and its inputs."""
    build.step(span, NODE_STEPS * len(template.nodes))
    copies: dict[Value, Value] = dict(zip(template.inputs, flatten(list(given.values())), strict=True))
    places: dict[Place | None, Place] = {template.place: place}
    old = template.place.path
    for node in template.nodes:
        op = node.op
        if isinstance(op, Param | State):
            op = replace(op, path=place.path + op.path[len(old) :])
        marks = Here(node.span, _moved(node.place, places), node.facts)
        copy = Node(op, tuple([copies[v] for v in node.operands]), node.types, marks)
        inside = node.place.above(template.place) if node.place is not None else 0
        # Names that code outside gave belong to the first application alone. An instance that was made inside, and
        # handed on to be applied elsewhere, has a place that is not below; all that names its values is inside.
        copy.hints.update({key: name for key, name in node.hints.items() if inside is None or key[1] <= inside})
        copies.update(zip(node.outputs, copy.outputs, strict=True))
    _declare(template, copies, place.path, build)
    values = [copies[v] for v in flatten(template.result)]
    return unflatten(template.result, values)


def _declare(template: Template, copies: dict[Value, Value], new: str, build: Build) -> None:
    old = len(template.place.path)
    for path, leaf, declaration in template.weights:
        moved = new + path[old:]
        build.weights[moved] = copies[leaf]
        build.declared[moved] = declaration
        build.uses.append((moved, build.within))
    for path, value in template.updates:
        build.states.set(new + path[old:], copies[value])


def _moved(place: Place | None, places: dict[Place | None, Place]) -> Place | None:
    """The place of a copy: the same instances below the new one."""
    chain: list[Place] = []
    while place is not None and place not in places:
        chain.append(place)
        place = place.parent
    if place is None:
        return _apart(chain, places)
    found = places[place]
    for below in reversed(chain):
        found = Place(below.segment, below.block, found, below.span)
        places[below] = found
    return found


def _apart(chain: list[Place], places: dict[Place | None, Place]) -> Place | None:
    """The place of a copy whose instance is not below the one that was applied, but was made by it: `net.shared`."""
    if not chain:
        return None
    (old, new), *_ = places.items()
    found: Place | None = None
    for below in reversed(chain):
        segment = below.segment
        if found is None and old is not None and segment.startswith(f"{old.path}."):
            segment = new.path + segment[len(old.path) :]
        found = Place(segment, below.block, found, below.span)
        places[below] = found
    return found


def declared_before(template: Template, place: Place, build: Build) -> bool:
    """Whether this instance was applied before, so that it shares the weights that it has."""
    old = len(template.place.path)
    return any(place.path + path[old:] in build.weights for path, _, _ in template.weights[:1])
