"""From a graph to boxes and arrows: the instances of blocks down to some depth, and what stands between them.

Each application of an instance is a box of its own, as data flows through it; so is a fn, or a block without a name,
inside which no instance has one. Operators that are in neither are small boxes. What is computed from weights alone is
not drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass, field

from architrave.draw.labels import kinds_of
from architrave.draw.parts import Edges, Outline, Part, Role
from architrave.draw.places import below, bodies_of, holders
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.ops.control import Choice, Control, Scan
from architrave.ir.ops.leaves import Input
from architrave.ir.place import Place
from architrave.ir.types import TensorType

MOST_PARTS = 50_000
"""Parts that are made before equal ones share one."""
NESTING = 16
"""Graphs inside graphs inside the network are drawn this deep."""


def outline(graph: Graph, depth: int, dissolved: Set[str] = frozenset()) -> Outline | None:
    """The boxes and arrows of a graph in one mode; None for too many. The lists in `dissolved` are no boxes."""
    builder = _Builder(graph, depth, dissolved, holders(graph))
    if builder.count > MOST_PARTS:
        return None
    found = Outline(builder.root, builder.edges())
    found.keep(_shown(found))
    return found


@dataclass(eq=False)
class _Scope:
    """A graph, where it stands: its own nodes are in `part`. `base` is the place that its places are relative to."""

    graph: Graph
    part: Part
    base: Place | None
    above: tuple[_Scope, Node] | None = None
    nesting: int = 0
    owners: dict[Node, Part] = field(default_factory=dict[Node, Part])
    inputs: dict[Value, Part] = field(default_factory=dict[Value, Part])
    bodies: dict[Node, list[_Scope]] = field(default_factory=dict[Node, "list[_Scope]"])
    passed: dict[Value, Part] = field(default_factory=dict[Value, Part])
    """For results that are inputs: the box that says so."""


class _Builder:
    """The parts of a network."""

    def __init__(self, graph: Graph, depth: int, dissolved: Set[str], holders: Set[Place | Node]) -> None:
        self.limit = depth
        self.dissolved = dissolved
        self.holders = holders
        self.count = 0
        self.root = Part("model", graph.name, "", is_open=True)
        self.known: dict[tuple[Part, str, Place | None], Part] = {}
        self.scopes: list[_Scope] = []
        self.elements: dict[Node, Place] = {}
        outermost = _Scope(graph, self.root, graph.place)
        for value in graph.inputs:
            part = self._part("input", value.hint or "input", self.root)
            part.outputs[value.type] = None
            outermost.inputs[value] = part
        pending = [outermost]
        while pending and self.count <= MOST_PARTS:
            scope = pending.pop()
            self.scopes.append(scope)
            pending += reversed([body for node in scope.graph.nodes for body in self._enter(node, scope)])

    def edges(self) -> Edges:
        """What flows where; notes the types of what leaves each box."""
        found: Edges = {}
        for scope in self.scopes:
            for node, part in scope.owners.items():
                for body in scope.bodies.get(node, ()):
                    for value in body.graph.outputs:
                        self._flow(_results(body, value), value.type, part, found)
                for value in node.operands if node not in scope.bodies else ():
                    self._flow(_sources(scope, value), value.type, part, found)
                    self._tie(scope, value.node, node)
            for value, part in scope.passed.items():
                self._flow(_sources(scope, value), value.type, part, found)
        outermost = self.scopes[0]
        for value in outermost.graph.outputs:
            part = self._part("output", "output", self.root)
            part.outputs[value.type] = None
            self._flow(_sources(outermost, value), value.type, part, found)
        return found

    def _flow(self, sources: Iterator[Part], type: TensorType, to: Part, found: Edges) -> None:
        """Lead arrows to a box, and note what leaves the boxes that they come from, and frames around these."""
        around = set(to.upwards())
        for source in sources:
            if source is to:
                continue
            found[source, to] = None
            for part in source.upwards():
                if part in around:
                    break
                part.outputs.setdefault(type)

    def _tie(self, scope: _Scope, node: Node, user: Node) -> None:
        """Note that what an element of a list gives goes to another one, or to some box outside of it."""
        source, to = scope.owners.get(node), scope.owners[user]
        if source is not None and node in self.elements:
            source.ties[self.elements[node], self.elements[user] if source is to else to] = None

    def _enter(self, node: Node, scope: _Scope) -> Iterator[_Scope]:
        """Give a node its box. Yields the graphs inside it that are drawn."""
        if not node.operands and not isinstance(node.op, Control):
            return
        around, element = self._locate(node.place, scope)
        if element is not None:
            self.elements[node] = element
        if not around.is_open:
            around.nodes.append(node)
            scope.owners[node] = around
            return
        if isinstance(node.op, Control) and node in self.holders and scope.nesting < NESTING:
            yield from self._open(node, around, scope)
            return
        role: Role = "choice" if isinstance(node.op, Choice) else "operator"
        name = node.op.path if isinstance(node.op, Choice) else ""
        part = self._part(role, _relative(name, around), around)
        part.kinds = kinds_of(node)
        part.nodes.append(node)
        scope.owners[node] = part

    def _open(self, node: Node, around: Part, scope: _Scope) -> Iterator[_Scope]:
        """The graphs of a control-flow operator, in a frame of its own."""
        is_choice = isinstance(node.op, Choice)
        frame = self._part("choice" if is_choice else "loop", "", around, is_open=True)
        frame.kinds = [f"choice {_relative(node.op.path, around)}"] if isinstance(node.op, Choice) else kinds_of(node)
        labels = node.op.labels if isinstance(node.op, Choice) else ()
        if is_choice:
            # Where alternatives meet. Without it, each would lead to each of those of the next choice.
            scope.owners[node] = self._part("operator", "", frame)
            scope.owners[node].kinds = ["or"]
        scope.bodies[node] = []
        for number, graph in enumerate(bodies_of(node.op)):
            part = self._part("alternative", labels[number], frame, is_open=True) if is_choice else frame
            inner = _Scope(graph, part, graph.place or node.place, (scope, node), scope.nesting + 1)
            for value in graph.outputs:
                if value in graph.inputs and value not in inner.passed:
                    inner.passed[value] = self._part("operator", "", part)
                    inner.passed[value].kinds = ["identity"]
            scope.bodies[node].append(inner)
            yield inner

    def _locate(self, place: Place | None, scope: _Scope) -> tuple[Part, Place | None]:
        """The box that a place lies in, or the frame; and of a list, the element."""
        frame, depth = scope.part, scope.part.depth
        if self.limit == 0:
            return self._known(frame, self.root.name, None, "instance", 0), None
        steps = below(place, scope.base)
        for number, step in enumerate(steps):
            *lists, own = step.segment.split(".")
            if not own and step.block is not None and step not in self.holders:
                return self._known(frame, "", step, "call", depth), None
            if not own:
                continue
            name = ""
            for segment in lists:
                depth, name = depth + 1, _joined(name, segment)
                if depth >= self.limit and _joined(frame.path, name) not in self.dissolved:
                    return self._known(frame, name, None, "instance", depth), step
            depth += 1
            frame = self._known(frame, _joined(name, own), step, "instance", depth)
            # What has a name may be given it by another: the place of a choice, or of a fn.
            frame.block = frame.block or next((inner.block for inner in steps[number + 1 :] if inner.block), None)
            if not frame.is_open:
                break
        return frame, None

    def _known(self, frame: Part, name: str, place: Place | None, role: Role, depth: int) -> Part:
        """The part of one application of an instance, or of a list of them."""
        key = (frame, name, place)
        if key not in self.known:
            is_open = role == "instance" and place in self.holders and depth < self.limit
            part = self.known[key] = self._part(role, name, frame, is_open=is_open)
            part.depth = depth
            part.block = place.block if place is not None else None
        return self.known[key]

    def _part(self, role: Role, name: str, around: Part, *, is_open: bool = False) -> Part:
        self.count += 1
        path = _joined(around.path, name) if role == "instance" else around.path
        part = Part(role, name, path, around, depth=around.depth, is_open=is_open)
        around.parts.append(part)
        return part


def _sources(scope: _Scope, value: Value) -> Iterator[Part]:
    """The boxes that a value comes from: several where a decision is open, none for a weight or a constant."""
    # Recursion as deep as graphs nest: a result that is passed through has a box, so that no chain of them is followed.
    node = value.node
    if value in scope.inputs:
        yield scope.inputs[value]
    elif node in scope.owners:
        yield scope.owners[node]
    elif node in scope.bodies:
        for body in scope.bodies[node]:
            yield from _results(body, body.graph.outputs[value.index])
    elif isinstance(node.op, Input) and scope.above is not None:
        outer, holder = scope.above
        given = _given(holder, scope.graph.inputs.index(value))
        if given is not None:
            yield from _sources(outer, given)


def _results(body: _Scope, value: Value) -> Iterator[Part]:
    """The boxes that a result of a graph inside another comes from."""
    if value in body.passed:
        yield body.passed[value]
    else:
        yield from _sources(body, value)


def _given(node: Node, position: int) -> Value | None:
    """The operand that a body's input is, or begins as; None for the number of the step."""
    if isinstance(node.op, Scan) and node.op.sequences == 0:
        position -= 1
    return node.operands[position] if position >= 0 else None


def _shown(found: Outline) -> set[Part]:
    """The boxes that are not left out: operators between instances, inputs and outputs."""
    fixed = {box for box in found.boxes if box.role in ("instance", "input", "output")}
    forth: dict[Part, list[Part]] = {}
    back: dict[Part, list[Part]] = {}
    for a, b in found.edges:
        forth.setdefault(a, []).append(b)
        back.setdefault(b, []).append(a)
    return fixed | (_reached(fixed, forth) & _reached(fixed, back))


def _reached(starts: Set[Part], steps: dict[Part, list[Part]]) -> set[Part]:
    reached = set(starts)
    pending = list(starts)
    while pending:
        new = [part for part in steps.get(pending.pop(), ()) if part not in reached]
        reached.update(new)
        pending += new
    return reached


def _joined(above: str, name: str) -> str:
    return f"{above}.{name}" if above and name else above or name


def _relative(path: str, around: Part) -> str:
    return path.removeprefix(around.path).removeprefix(".") if around.path else path
