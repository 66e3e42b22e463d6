"""Taking out of a network what depends on its weights alone.

What transforms networks writes new weights as expressions over the old ones. `hoist` makes weights of the values of
these expressions, and of the expressions a graph of its own, which is run once, on the old weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from architrave.ir.graph import Graph, Node, Value, make
from architrave.ir.ops.leaves import Initial, Param, path_of
from architrave.ir.ops.logic import Cast
from architrave.ir.ops.shape import Expand, Reshape, Transpose
from architrave.ir.rewrite import kept
from architrave.passes.base import Pass, Prepare, Rewritten
from architrave.passes.journal import Journal
from architrave.passes.static import Static, is_weight

VIEWS = (Reshape, Transpose, Expand, Cast)
"""What makes no new numbers of a weight."""
_NAMES = ("weight", "bias")


class Hoist(Pass):
    """What depends on weights alone is computed before the network runs: its results become the weights.

    Weights that are used as they are keep their names. A new weight is called after the layer that it goes into, and
    starts as the one did that it replaces there, or else with zeros.
    """

    def apply(self, graph: Graph, journal: Journal) -> Graph | Rewritten:
        """Weights that only made others are gone afterwards. A view of a weight that stays is no weight of its own."""
        static = Static(graph)
        running = [node for node in graph.nodes if node.outputs[0] not in static]
        uses = {v: (node, i) for node in reversed(running) for i, v in reversed(list(enumerate(node.operands)))}
        hoisted = {v: use for v, use in uses.items() if v in static and _is_made_of_weights(v, uses)}
        if not hoisted:
            return graph
        taken = {path_of(v) for v in uses if is_weight(v)} | {path_of(state) for state, _ in graph.updates}
        initial = {(w.op.path, w.type): w.op.initial for w in graph.weights if isinstance(w.op, Param)}
        new: dict[Value, Value] = {}
        for value, (user, position) in sorted(hoisted.items(), key=lambda item: item[1][0].serial):
            journal.changed("hoist", user)
            path = free(_wanted(value, user, position), taken)
            op = Param(path, value.type, initial.get((path, value.type), Initial("zeros")))
            new[value] = make(op, (), user.marks).outputs[0]
        after = _over(graph, running, new)
        old = {made: value for value, made in new.items()}
        prepare = Graph(f"{graph.name}_prepare", (), tuple(old.get(w, w) for w in after.weights), weights=graph.weights)
        return Rewritten(after, Prepare(prepare, tuple(map(path_of, after.weights))))


def _is_made_of_weights(value: Value, uses: Mapping[Value, object]) -> bool:
    """Whether a static value is computed, from a weight at least, and not just a view of one that stays anyway."""
    if not value.node.operands:
        return False
    seen: set[Node] = set()
    pending = [value]
    sources: set[Value] = set()
    views_alone = True
    while pending:
        current = pending.pop()
        if is_weight(current):
            sources.add(current)
        if current.node in seen:
            continue
        seen.add(current.node)
        views_alone = views_alone and (not current.node.operands or isinstance(current.op, VIEWS))
        pending += current.node.operands
    return bool(sources) and not (views_alone and any(weight in uses for weight in sources))


def _over(graph: Graph, running: list[Node], new: dict[Value, Value]) -> Graph:
    """The graph on its new weights, which stand in the order of their use."""
    changed = dict(new)
    for node in running:
        changed.update(zip(node.outputs, kept(node, tuple(changed.get(v, v) for v in node.operands)), strict=True))
    after = replace(
        graph,
        outputs=tuple(changed.get(v, v) for v in graph.outputs),
        updates=tuple((state, changed.get(v, v)) for state, v in graph.updates),
        weights=(),
    )
    return replace(after, weights=tuple(dict.fromkeys(_weights_in_use(after))))


def _weights_in_use(graph: Graph) -> Iterator[Value]:
    for node in graph.nodes:
        yield from filter(is_weight, node.operands)
    yield from filter(is_weight, graph.roots)


def _wanted(value: Value, user: Node, position: int) -> str:
    """What to call a new weight: as its layer calls it."""
    operands = user.op.operands
    name = operands[min(position, len(operands) - 1)].name if operands else ""
    name = name if name in _NAMES else value.hint or "weight"
    return ".".join(filter(None, (str(user.place or ""), name)))


def free(path: str, taken: set[str]) -> str:
    """A path for a new weight that no other has: `path`, or with a number behind it. It is taken then."""
    name, number = path, 2
    while name in taken:
        name, number = f"{path}_{number}", number + 1
    taken.add(name)
    return name
