"""The hierarchy of a flat graph, recovered from the places of its nodes.

A graph is flat: its nodes know the block that they were written in, but nothing holds them together, and
a pass may have moved, merged or added some. Here the nodes of one place application become a `Region` of
items in topological order: nodes, regions inside, and chains of regions that feed one another. A region
whose nodes cannot be computed in one go is dissolved: its items stand in the region around it.

Weights do not flow into a region that their path belongs to: `layer1.0.conv1.weight` is at hand in
`layer1.0` and in `layer1.0.conv1`. Elsewhere, and in functions, a weight is an input like any other.
Constants are made anew wherever they are used.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import TypeAlias

from architrave.backends.hierarchy import chains, torn
from architrave.backends.hierarchy.inputs import arrange
from architrave.backends.hierarchy.region import Region, bodies_of, is_constant, is_leaf, post_order
from architrave.backends.hierarchy.small import paths_above, undefined
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.ops.control import CustomGrad, Scan, While
from architrave.ir.ops.leaves import Arange, Constant, Full, Param, State, path_of
from architrave.ir.ops.random import RunKey
from architrave.ir.place import Place
from architrave.ir.source import error

DEEPEST = 64
"""Blocks are recovered down to this depth; what is deeper is emitted inline. Python nests calls to about 1000."""
NESTING = 16
"""Sub-graphs may nest this deep: Python allows 20 nested loops in one function."""


Members: TypeAlias = "dict[Region, dict[Node | Region, None]]"
Weights: TypeAlias = Mapping[Value, Value]
"""For the inputs of sub-graphs that are weights: the weight. All leaves that give the run's key are one, too."""


def recover(graph: Graph, dissolved: Set[Place] = frozenset()) -> Region:
    """The root region of a network; its inputs and outputs are the graph's.

    The places in `dissolved`, and those that cannot stand as regions, are emitted in the regions around
    them. Raises E402 where sub-graphs nest deeper than a program can.
    """
    gone = set(dissolved) | undefined(graph)
    key = _one_key(graph)
    while True:
        builder = _Builder(graph, gone, graph.place, graph.place, key)
        root = builder.build(0)
        unfit = builder.torn or _intruded(root) | _unread(root)
        if not unfit:
            break
        gone |= unfit
    _declare(root, graph.weights)
    return root


def _one_key(graph: Graph) -> Weights:
    """For every leaf that gives the run's key, the first of them."""
    keys = [node.outputs[0] for node in graph.nodes if isinstance(node.op, RunKey)]
    return dict.fromkeys(keys[1:], keys[0]) if keys else {}


@dataclass
class _Builder:
    """The regions of one graph, or of one sub-graph."""

    graph: Graph
    dissolved: Set[Place]
    base: Place | None
    """The place that the graph's own places are relative to."""
    at: Place | None
    """The place that it stands at: equal instances share their sub-graphs, whose places are the first one's."""
    weights: Weights
    torn: set[Place] = field(default_factory=set[Place])
    known: dict[Place | None, Region] = field(default_factory=dict[Place | None, Region])
    edges: dict[Region, dict[tuple[Node | Region, Node | Region], None]] = field(
        default_factory=dict[Region, dict[tuple["Node | Region", "Node | Region"], None]]
    )
    readers: dict[Value, list[Region]] = field(default_factory=dict[Value, list[Region]])

    def build(self, nesting: int) -> Region:
        if nesting > NESTING:
            raise error("E402", f"control flow is nested more than {NESTING} levels deep", hint="split the network")
        root = Region(self.at, self.at.path if self.at is not None else "", captured=self.weights)
        root.level = self.base.depth if self.base is not None else 0
        place = self.base
        while place is not None:
            self.known[place] = root
            place = place.parent
        self.known[None] = root
        root.inputs = dict.fromkeys(self.graph.inputs)
        members: Members = {root: {}}
        inputs = {v.node for v in self.graph.inputs}
        for node in self.graph.nodes:
            if node in inputs or is_leaf(node):
                continue
            region = self._region(node.place)
            _enter(region, node, members)
            self._connect(node, region)
        self._finish(root)
        for region in members:
            region.items = list(self._ordered(region, members))
            for item in region.items:
                if isinstance(item, Node):
                    self._descend(item, region, nesting)
        for region in members:
            if region is not root:
                arrange(region)
        for region in members:
            region.items = chains.group(region)
        return root

    def _region(self, place: Place | None) -> Region:
        """The region of a place: its own, or, where it has none, that of the nearest place around it."""
        new: list[Place] = []
        while place not in self.known:
            assert place is not None
            new.append(place)
            place = place.parent
        region = self.known[place]
        for inner in reversed(new):
            if not self._is_transparent(inner, region):
                region = Region(inner, self._path(inner), region, region.depth + 1, inner.depth, captured=self.weights)
            self.known[inner] = region
        return region

    def _is_transparent(self, place: Place, around: Region) -> bool:
        if place.block is None or place in self.dissolved or around.depth >= DEEPEST:
            return True
        return place.block.kind != "fn" and self._path(place) == around.path

    def _path(self, place: Place) -> str:
        """The path of a place below `base`, as if that were `at`."""
        base = self.base.path if self.base is not None else ""
        path = place.path.removeprefix(base).removeprefix(".") if base else place.path
        above = self.at.path if self.at is not None else ""
        return f"{above}.{path}" if above and path else above or path

    def _connect(self, node: Node, region: Region) -> None:
        """Make the operands of a node flow from where they are to `region`."""
        for operand in node.operands:
            value = self.weights.get(operand, operand)
            match value.op:
                case Full() | Arange() | Constant():
                    continue
                case Param(path=path) | State(path=path):
                    self.readers.setdefault(value, []).append(region)
                    _pass_down(value, path, region)
                case _:
                    self._flow(value, node, region)

    def _flow(self, value: Value, user: Node | None, to: Region) -> None:
        """Make a value an output of every region that it leaves and an input of every one that it enters."""
        source, target = self._source(value), to
        start: Node | Region = value.node
        end: Node | Region | None = user
        while source is not target:
            if source.depth >= target.depth:
                source.outputs[value] = None
                start, source = source, _around(source)
            else:
                target.inputs[value] = None
                end, target = target, _around(target)
        if end is not None and not is_leaf(value.node):
            self.edges.setdefault(source, {})[start, end] = None

    def _source(self, value: Value) -> Region:
        return self.known[None] if is_leaf(value.node) else self._region(value.node.place)

    def _finish(self, root: Region) -> None:
        """Let the outputs flow to the root, and each new state to where its state may be set."""
        root.results = self.graph.outputs
        root.outputs = dict.fromkeys(self.graph.outputs)
        for value in self.graph.outputs:
            if not is_constant(value) and value not in self.weights and not isinstance(value.op, Param | State):
                self._flow(value, None, root)
        for state, value in self.graph.updates:
            home = _meet([self._source(value), *self.readers.get(state, ())])
            while not home.owns(path_of(state)):
                home = _around(home)
            home.updates.append((state, value))
            if not is_leaf(value.node):
                self._flow(value, None, home)

    def _ordered(self, region: Region, members: Members) -> Iterable[Node | Region]:
        """The items, operands first and otherwise as they were made; marks the regions that this tears."""
        items = members[region]
        edges = self.edges.get(region, {})
        position = {item: i for i, item in enumerate(items)}
        if all(position[a] < position.get(b, -1) for a, b in edges if a in position):
            return items
        order = _sorted(position, edges)
        if len(order) < len(items):
            left = items.keys() - set(order)
            circular = [(a, b) for a, b in edges if a in left and b in left]
            self.torn |= torn.choose(left, circular, lambda r: _nodes(r, members))
        return order

    def _descend(self, node: Node, region: Region, nesting: int) -> None:
        graphs = bodies_of(node.op)
        if not graphs:
            return
        bodies: list[Region] = []
        for graph in graphs:
            # What takes part in a gradient of its own is a function of its operands: no weight is at hand in it.
            weights = {} if isinstance(node.op, CustomGrad) else self._captured(node, graph)
            base = graph.place if graph.place is not None else node.place
            inner = _Builder(graph, self.dissolved, base, node.place, weights)
            bodies.append(inner.build(nesting + 1))
            self.torn |= inner.torn
        region.bodies[node] = tuple(bodies)

    def _captured(self, node: Node, graph: Graph) -> dict[Value, Value]:
        """The inputs of a sub-graph that are weights. Captures are the last operands, and the last inputs."""
        found: dict[Value, Value] = {}
        # What a loop carries may start as a weight, but does not stay one.
        match node.op:
            case Scan(carries=carries, sequences=sequences):
                first = carries + sequences
            case While(carries=first):
                pass
            case _:
                first = 0
        captures = node.operands[first:]
        for operand, value in zip(captures, graph.inputs[len(graph.inputs) - len(captures) :], strict=True):
            source = self.weights.get(operand, operand)
            if isinstance(source.op, Param | State) and source.type == value.type:
                found[value] = source
        return found


def _enter(region: Region, node: Node, members: Members) -> None:
    """Make a node an item of its region, and the region one of that around it."""
    item: Node | Region = node
    while True:
        items = members.setdefault(region, {})
        known = item in items
        items[item] = None
        if known or region.parent is None:
            return
        item, region = region, region.parent


def _pass_down(value: Value, path: str, region: Region) -> None:
    while not region.owns(path):
        region.inputs[value] = None
        region = _around(region)


def _around(region: Region) -> Region:
    if region.parent is None:
        raise AssertionError("a root is around every region")
    return region.parent


def _meet(regions: Iterable[Region]) -> Region:
    """The innermost region around all of the given ones."""
    first, *others = regions
    for other in others:
        while first is not other:
            if first.depth >= other.depth:
                first = _around(first)
            else:
                other = _around(other)
    return first


def _nodes(region: Region, members: Members) -> Iterator[Node]:
    """The nodes of a region and of those inside it."""
    pending = [region]
    while pending:
        for item in members[pending.pop()]:
            if isinstance(item, Node):
                yield item
            else:
                pending.append(item)


def _sorted(
    position: Mapping[Node | Region, int], edges: Iterable[tuple[Node | Region, Node | Region]]
) -> list[Node | Region]:
    """Topological order, early items first; items on or behind a cycle are left out."""
    after: dict[Node | Region, list[Node | Region]] = {item: [] for item in position}
    waiting = dict.fromkeys(position, 0)
    for a, b in edges:
        after[a].append(b)
        waiting[b] += 1
    items = list(position)
    ready = [position[item] for item in items if not waiting[item]]
    heapq.heapify(ready)
    order: list[Node | Region] = []
    while ready:
        item = items[heapq.heappop(ready)]
        order.append(item)
        for other in after[item]:
            waiting[other] -= 1
            if not waiting[other]:
                heapq.heappush(ready, position[other])
    return order


def _intruded(root: Region) -> set[Place]:
    """The places below whose path another block stands that is no part of them: a module holds what is below its own.

    `x -> a: Block -> a.b: Block` puts `b` into the module `a`, which the block `a` knows nothing of.
    """
    regions = [region for region in post_order(root) if not region.is_function]
    places: dict[str, list[Place]] = {}
    inside: dict[str, set[str]] = {}
    for region in regions:
        if region.place is not None and region is not root:
            places.setdefault(region.path, []).append(region.place)
        above = region.parent
        while above is not None:
            inside.setdefault(above.path, set()).add(region.path)
            above = above.parent
    return {
        place
        for path in {region.path for region in regions}
        for prefix in paths_above(path)
        if path not in inside.get(prefix, ())
        for place in places.get(prefix, ())
    }


def _unread(root: Region) -> set[Place]:
    """The places that give nothing: what they compute, updates of their states, is no value that one could call for."""
    return {region.place for region in post_order(root) if region.place is not None and not region.outputs}


def _declare(root: Region, weights: Iterable[Value]) -> None:
    """Give each weight to the regions with the longest path that it belongs to."""
    owners: dict[str, list[Region]] = {}
    for region in post_order(root):
        if not region.is_function:
            owners.setdefault(region.path, []).append(region)
    owners.pop(root.path, None)
    for weight in weights:
        prefix = path_of(weight).rpartition(".")[0]
        while prefix and prefix not in owners:
            prefix = prefix.rpartition(".")[0]
        for region in owners.get(prefix, [root]):
            region.weights.append(weight)
