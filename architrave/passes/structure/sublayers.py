"""Parts of a network that can be left out: residual branches, and whole blocks of them.

A branch is what an addition adds to a value that the branch was computed from. It is recognized on the graph alone, so
that it does not matter how the source says it, and a norm at its beginning belongs to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import Literal, get_args

from architrave.ir.dims import Size
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.ops.arithmetic import Add
from architrave.ir.ops.attention import Attention
from architrave.ir.ops.contraction import Einsum, Linear, Matmul
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.leaves import Input, Param
from architrave.ir.place import Place
from architrave.passes.static import Static, is_weight

Kind = Literal["attention", "mlp", "conv", "other", "nested", "block"]
"""What a part does. `nested` is a branch with branches of its own, `block` what is at a place with branches."""
KINDS: tuple[Kind, ...] = get_args(Kind)
LIMIT = 5000
"""Nodes of the longest branch. To follow longer ones from each addition would take time quadratic in the network."""


@dataclass(frozen=True, eq=False)
class Sublayer:
    """A part that can be left out: what follows then gets `before`, which has the same type, in place of `after`."""

    name: str
    """The place that it is, or the last of those in it that compute with weights."""
    kind: Kind
    before: Value
    after: Value
    nodes: frozenset[Node]
    """What is computed for it alone; not `after`, in a branch."""

    @cached_property
    def weights(self) -> tuple[Value, ...]:
        """The params that it reads, in the order of their making."""
        found = {v for node in self.nodes for v in node.operands if isinstance(v.op, Param)}
        return tuple(sorted(found, key=lambda v: v.node.serial))

    @property
    def parameters(self) -> Size:
        """How many trained numbers it reads."""
        return sum((v.type.size for v in self.weights), 0)


def branches(graph: Graph) -> list[Sublayer]:
    """The residual branches of a graph, in the order in which they are added.

    One of which anything but the sum decides what the first output is cannot be left out, and is not among them; nor
    is one that holds a node annotated with `@keep`.
    """
    static, trunk = Static(graph), dict[Value, Value]()
    found: list[Sublayer] = []
    sums: set[Node] = set()
    for node in graph.nodes:
        if not isinstance(node.op, Add) or len({v.type for v in (*node.operands, *node.outputs)}) != 1:
            continue
        for stream, added in (node.operands, node.operands[::-1]):
            sources = {stream, trunk.get(stream, stream)}
            nodes = _between(sources, added, static)
            if not nodes or added in sources:
                continue
            # In `x + a + b` both are branches of x.
            trunk[node.outputs[0]] = trunk.get(stream, stream)
            branch = Sublayer(_name(node, nodes), _kind(nodes, sums, static), stream, node.outputs[0], frozenset(nodes))
            if _can_go(graph, branch):
                found.append(branch)
                sums.add(node)
            break
    return found


def blocks(graph: Graph) -> list[Sublayer]:
    """The places with branches that take one value and give one of its type, such as the layers of a transformer."""
    inner = branches(graph)
    known = {(b.before, b.after) for b in inner}
    found = parts_at(graph, [str(b.after.node.place) for b in inner if str(b.after.node.place or "")]).values()
    alike = [b for b in found if b.before.type == b.after.type and (b.before, b.after) not in known]
    return [b for b in alike if _can_go(graph, b)]


def parts_at(graph: Graph, paths: Iterable[str]) -> dict[str, Sublayer]:
    """What is at and below each place that takes one value and gives one: of values that it takes, one of its type.

    `before` and `after` may differ in type here, where nothing of the type of `after` is taken.
    """
    static = Static(graph)
    members: dict[str, set[Node]] = {path: set() for path in paths}
    for node in graph.nodes:
        if node.operands and node.outputs[0] not in static:
            for path in _paths(node.place, members):
                members[path].add(node)
    made = ((path, _part(graph, path, nodes, static)) for path, nodes in members.items())
    return {path: part for path, part in made if part is not None}


def lost_with(graph: Graph, part: Sublayer) -> set[Value]:
    """What depends on the inside of a part, past `after`: outputs and new states that go with it, as of a cache."""
    inside = {*part.nodes, part.after.node}
    touched = {v for node in part.nodes for v in node.outputs if v is not part.after}
    if all(user in inside for node in part.nodes if node is not part.after.node for user in graph.users[node]):
        return touched
    for node in graph.nodes:
        if node not in inside and any(v in touched for v in node.operands):
            touched.update(node.outputs)
    return touched


def _between(sources: set[Value], end: Value, static: Static) -> set[Node]:
    """The nodes on the ways from any of `sources` to `end`; none where there is no way, or too many nodes are on it."""
    first = min(v.node.serial for v in sources)
    seen: set[Node] = set()
    pending = [] if end in static else [end.node]
    while pending and len(seen) <= LIMIT:
        node = pending.pop()
        if node in seen or node.serial <= first:
            continue
        seen.add(node)
        pending += [v.node for v in node.operands if v not in sources and v not in static]
    found: set[Node] = set()
    for node in sorted(seen, key=lambda n: n.serial) if not pending else ():
        if any(v in sources or v.node in found for v in node.operands):
            found.add(node)
    return found if end.node in found else set()


def _kind(nodes: set[Node], sums: set[Node], static: Static) -> Kind:
    if nodes & sums:
        return "nested"
    if any(isinstance(node.op, Attention) or _multiplies_values(node, static) for node in nodes):
        return "attention"
    if any(isinstance(node.op, Conv) for node in nodes):
        return "conv"
    return "mlp" if any(isinstance(node.op, Linear | Matmul | Einsum) for node in nodes) else "other"


def _multiplies_values(node: Node, static: Static) -> bool:
    """Whether it contracts two values that depend on the input, as attention does that is written out."""
    return isinstance(node.op, Matmul | Einsum) and sum(v not in static for v in node.operands) > 1


def _name(sum: Node, nodes: set[Node]) -> str:
    """The place that holds all of a branch that computes with matrices, if there is one; or else the last of it."""
    weighted = [n for n in nodes if any(isinstance(v.op, Param) and v.rank > 1 for v in n.operands)]
    paths = [str(node.place or "") for node in sorted(weighted or nodes, key=lambda n: n.serial)]
    steps = zip(*(path.split(".") for path in paths), strict=False)
    shared = ".".join(alike[0] for alike in takewhile(lambda alike: len(set(alike)) == 1, steps))
    return shared if len(shared) > len(str(sum.place or "")) else paths[-1]


def _part(graph: Graph, path: str, nodes: set[Node], static: Static) -> Sublayer | None:
    used = {v for n in nodes for v in n.operands if v.node not in nodes}
    taken = [v for v in used if v not in static and not is_weight(v)]
    read = {v for n in nodes for user in graph.users[n] if user not in nodes for v in user.operands}
    given = [v for n in nodes for v in n.outputs if v in read or v in graph.outputs]
    if len(given) != 1:
        return None
    alike = [v for v in taken if v.type == given[0].type] or taken
    return Sublayer(path, "block", alike[0], given[0], frozenset(nodes)) if len(alike) == 1 else None


def _paths(place: Place | None, wanted: dict[str, set[Node]]) -> Iterator[str]:
    """Those of the wanted paths that a place is at or below."""
    seen: set[str] = set()
    while place is not None:
        if place.path in wanted and place.path not in seen:
            seen.add(place.path)
            yield place.path
        place = place.parent


def _can_go(graph: Graph, part: Sublayer) -> bool:
    if any(fact.name == "keep" for node in part.nodes for fact in node.facts):
        return False
    return not any(isinstance(n.op, Input) for n in part.nodes) and graph.outputs[0] not in lost_with(graph, part)
