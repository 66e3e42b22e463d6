"""Masks: weights of which some numbers are 0, and stay so while the others learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from architrave.ir import build
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.ops.leaves import Full, Initial, Param, State, path_of
from architrave.ir.ops.logic import Where
from architrave.ir.place import marked
from architrave.ir.rewrite import kept, rebuild
from architrave.ir.source import error
from architrave.ir.types import DType
from architrave.passes.base import Pass, Prepare, Rewritten, option
from architrave.passes.journal import Declined, Journal
from architrave.passes.select import Select
from architrave.passes.sparsify.uses import Use, use_of, weight_uses

SUFFIX = "_mask"
"""What the path of a mask has behind that of its weight."""


class Mask(Pass):
    """Weights that contractions take get a mask: where it is false they count as 0, and learn nothing.

    A mask is a state, `layer.weight_mask`, of the shape of its weight and true everywhere: `architrave.sparsity` and
    `architrave sparsify` set it. Biases and norms get none, and neither do weights that anything else takes, too.
    """

    only: Select = option(Select(), "whose weights to mask: names of places, operators, annotations")

    def apply(self, graph: Graph, journal: Journal) -> Graph | Rewritten:
        """A weight has one mask, however many take it. One that has a mask keeps it."""
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)
        masked = {site.weight for site in mask_sites(graph)}
        chosen = [use for use in weight_uses(graph) if use.weight not in masked and self._is_chosen(use)]
        for use in chosen:
            if use.refusal is not None:
                journal.refused("mask", Declined(f"`{use.path}` stays dense: {use.refusal}", _user(use)))
        masks = {use.weight: _new(use.weight) for use in chosen if use.refusal is None}
        if not masks:
            return graph
        _check_paths(graph, masks)
        where = {weight: _masked(weight, mask) for weight, mask in masks.items()}

        def rewrite(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
            if not any(v in where for v in operands):
                return None
            return kept(node, tuple(where.get(v, v) for v in operands))

        for weight in masks:
            journal.changed("mask", weight.node)
        after = rebuild(graph, rewrite)
        weights = tuple(v for w in after.weights for v in ((w, masks[w]) if w in masks else (w,)))
        ones = {mask: build.full(value=True, shape=mask.shape, dtype=DType.BOOL) for mask in masks.values()}
        outputs = tuple(ones.get(w, w) for w in weights)
        prepare = Graph(f"{graph.name}_prepare", (), outputs, weights=graph.weights)
        return Rewritten(replace(after, weights=weights), Prepare(prepare, tuple(map(path_of, weights))))

    def _is_chosen(self, use: Use) -> bool:
        nodes = [*(node for node, _ in use.contractions), *use.outermost]
        kept_back = any(fact.name == "keep" for node in nodes for fact in node.facts)
        return not kept_back and any(map(self.only.matches, nodes))


class BakeMasks(Pass):
    """Masks go: what they hide is 0 in the weights themselves, which may be anything again when they learn."""

    def apply(self, graph: Graph, journal: Journal) -> Graph | Rewritten:
        """The weights keep their names."""
        sites = {site.node: site for site in mask_sites(graph)}
        if not sites:
            return graph
        masks = {site.mask: site for site in sites.values()}

        def rewrite(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
            if node not in sites:
                return None
            journal.changed("bake-masks", node)
            return (sites[node].weight,)

        after = rebuild(graph, rewrite)
        # What a mask says of something else, such as the deviation of a random weight, it goes on to say.
        weights = tuple(w for w in after.weights if w not in masks or after.users.get(w.node))
        baked = {site.weight: site.node.outputs[0] for site in sites.values()}
        outputs = tuple(baked.get(w, w) for w in weights)
        prepare = Graph(f"{graph.name}_prepare", (), outputs, weights=graph.weights)
        return Rewritten(replace(after, weights=weights), Prepare(prepare, tuple(map(path_of, weights))))


@dataclass(frozen=True)
class MaskSite:
    """A weight with a mask: the node `where(mask, weight, 0)`."""

    node: Node

    @property
    def mask(self) -> Value:
        return self.node.operands[0]

    @property
    def weight(self) -> Value:
        return self.node.operands[1]

    @property
    def path(self) -> str:
        """The path of the weight."""
        return path_of(self.weight)

    @property
    def mask_path(self) -> str:
        return path_of(self.mask)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(size for size in self.weight.shape if isinstance(size, int))

    def use(self, graph: Graph) -> Use:
        """What takes the masked weight."""
        return use_of(graph, self.weight, self.node.outputs[0])


def mask_sites(graph: Graph) -> list[MaskSite]:
    """Every weight of a graph that has a mask, in the order of the weights."""
    order = {weight: i for i, weight in enumerate(graph.weights)}
    found = [MaskSite(node) for node in graph.nodes if _is_site(node)]
    return sorted(found, key=lambda site: order.get(site.weight, len(order)))


def _is_site(node: Node) -> bool:
    match node.op, [v.op for v in node.operands]:
        case Where(), [State(path=mask), Param(path=weight), Full(value=0, shape=())]:
            return mask == weight + SUFFIX
        case _:
            return False


def _new(weight: Value) -> Value:
    with marked(place=weight.node.place, span=weight.node.span):
        return build.state(path_of(weight) + SUFFIX, weight.type.with_dtype(DType.BOOL), Initial("ones"))


def _masked(weight: Value, mask: Value) -> Value:
    with marked(place=weight.node.place, span=weight.node.span):
        masked: Value = build.where(mask, weight, 0.0)
    return masked


def _user(use: Use) -> Node:
    return use.outermost[0] if use.outermost else use.weight.node


def _check_paths(graph: Graph, masks: dict[Value, Value]) -> None:
    """Raises E924 where another weight has the path of a mask."""
    taken = {path_of(w) for w in graph.weights}
    for weight, mask in masks.items():
        if path_of(mask) in taken:
            what = f"the mask of `{path_of(weight)}` cannot be called `{path_of(mask)}`: a weight of that name is there"
            raise error("E924", what, weight.node.span, hint="rename that weight, or leave this one out with `only`")
