"""Where two networks part: the first place of both whose numbers differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from architrave.backends.agree.difference import difference
from architrave.backends.agree.trial import Trial
from architrave.ir.arrays import Array
from architrave.ir.bind import bind, sizes_of
from architrave.ir.graph import Graph, Node
from architrave.ir.interpret import interpret
from architrave.ir.source import printable
from architrave.ir.types import TensorType

Key: TypeAlias = "tuple[str, tuple[TensorType, ...]]"
"""A place, and the types of what a node there gives."""


@dataclass(frozen=True)
class Site:
    """A node, its source line, and where the innermost block that it lies in was put to use."""

    op: str
    span: str | None
    line: str | None
    applied: str | None

    @classmethod
    def of(cls, node: Node) -> Site:
        """The site of a node. One that was made in Python has no lines."""
        span, applied = node.span, node.place.span if node.place is not None else None
        line = span.source.line(span.line).strip() if span is not None else None
        shown = [None if text is None else printable(str(text)) for text in (span, line, applied)]
        return cls(node.op.name, *shown)

    def __str__(self) -> str:
        where = f" at {self.span}: {self.line}" if self.span else ""
        return f"`{self.op}`{where}" + (f" (applied at {self.applied})" if self.applied else "")


@dataclass(frozen=True)
class Parting:
    """The first two nodes, one of each network, that have one place and one type and give different numbers."""

    place: str
    type: str
    a: Site
    b: Site
    problem: str

    def lines(self, a: str, b: str) -> Iterator[str]:
        """In words, with the names of the networks."""
        yield f"they part in `{self.place or a}` ({self.type}): {self.problem}"
        yield f"  {a}: {self.a}"
        yield f"  {b}: {self.b}"

    def to_json(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return asdict(self)


def first_parting(a: Graph, b: Graph, of_a: Trial, of_b: Trial, training: bool, tolerance: float) -> Parting | None:
    """The first counterparts, in the order of `b`, that differ and that the outputs depend on through no equal ones.

    What a pass moves makes numbers differ in between that are equal again later: these say nothing. None where no
    node has a counterpart that differs.
    """
    a, b = bind(a, of_a.sizes), bind(b, sizes_of(b, [x.shape for x in of_b.inputs]))
    pairs = _counterparts(a, b)
    values: dict[Node, tuple[Array, ...]] = {}
    wanted = set(pairs.values())

    def remember(node: Node, results: tuple[Array, ...]) -> None:
        if node in wanted:
            values[node] = results

    problems: dict[Node, str | None] = {}

    def compare(node: Node, results: tuple[Array, ...]) -> None:
        if node in pairs:
            problems[node] = _problem(results, values.pop(pairs[node]), tolerance)

    interpret(a, of_a.inputs, of_a.weights, training, key=of_a.key, observe=remember)
    interpret(b, of_b.inputs, of_b.weights, training, key=of_b.key, observe=compare)
    reached = _behind_the_outputs(b, problems)
    for node in b.nodes:
        problem = problems.get(node)
        if node in reached and problem is not None:
            types = ", ".join(map(str, node.types))
            return Parting(str(node.place or ""), types, Site.of(pairs[node]), Site.of(node), problem)
    return None


def _counterparts(a: Graph, b: Graph) -> dict[Node, Node]:
    """The node of `a` that each node of `b` stands for: by place and type, and where there are several, by order.

    Of places that have more of one type in one network than in the other, only the last ones are counterparts.
    """
    pairs: dict[Node, Node] = {}
    of_a, of_b = _by_key(a), _by_key(b)
    for key, nodes in of_b.items():
        others = of_a.get(key, [])
        many = len(nodes) if len(nodes) == len(others) else 1
        pairs.update(zip(nodes[-many:], others[-many:], strict=False))
    return pairs


def _by_key(graph: Graph) -> dict[Key, list[Node]]:
    """What depends on the inputs, by place and types."""
    found: dict[Key, list[Node]] = {}
    running = {v.node for v in graph.inputs}
    for node in graph.nodes:
        if any(v.node in running for v in node.operands):
            running.add(node)
            found.setdefault((str(node.place or ""), node.types), []).append(node)
    return found


def _behind_the_outputs(graph: Graph, problems: dict[Node, str | None]) -> set[Node]:
    """The nodes that the results depend on, not going on behind those that are as they should be."""
    reached: set[Node] = set()
    pending = [v.node for v in graph.roots]
    while pending:
        node = pending.pop()
        equal = node in problems and problems[node] is None
        if node in reached or equal:
            continue
        reached.add(node)
        pending += [v.node for v in node.operands]
    return reached


def _problem(actual: tuple[Array, ...], expected: tuple[Array, ...], tolerance: float) -> str | None:
    for x, y in zip(actual, expected, strict=True):
        found = difference(x, y)
        if found.problem is not None or found.relative > tolerance:
            return found.problem or f"{found.relative:.1e} of the range"
    return None
