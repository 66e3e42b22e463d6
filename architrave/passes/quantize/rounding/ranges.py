"""How the ranges of rounded numbers follow training: by gradients, or by averages of what was seen."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from architrave.ir import build
from architrave.ir.enclose import placeholder
from architrave.ir.graph import Graph, Node, Value, apply, make
from architrave.ir.ops.control import Mode
from architrave.ir.ops.leaves import Initial, Param, State, path_of
from architrave.ir.ops.logic import Cast
from architrave.ir.place import marked
from architrave.ir.rewrite import rebuild
from architrave.ir.types import DType
from architrave.passes.base import Pass, Prepare, Rewritten, option
from architrave.passes.hoist import free
from architrave.passes.journal import Declined, Journal
from architrave.passes.quantize.rounding.sites import Site, sites
from architrave.passes.select import Select


class Ranges(Pass):
    """How the scales of a rounded network follow training. Forward, and in inference, it stays as it is.

    `lsq` weighs their gradients by `1 / sqrt(n * largest)` of n numbers in each example: Esser and others, "Learned
    Step Size Quantization" (2020). `clipping` lets only the numbers beyond the range of an activation move it: Li and
    others, "PAMS" (2020). `average` makes the ranges of activations moving averages of what each batch spans: Jacob
    and others (2018).
    """

    by: Literal["lsq", "clipping", "average"] = option("lsq", "what moves the scales")
    momentum: float = option(0.99, "for `average`: what a step keeps of the average")
    only: Select = option(Select(), "which quantizers: names of places, operators, annotations")

    def apply(self, graph: Graph, journal: Journal) -> Graph | Rewritten:
        """Scales are set before, by calibration: an average goes on from there."""
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)
        found = {site.node: site for site in sites(graph) if self.only.matches(site.node)}
        for site in found.values():
            journal.changed(self.by, site.node)
        return _averaged(graph, found, self.momentum, journal) if self.by == "average" else self._learned(graph, found)

    def _learned(self, graph: Graph, found: Mapping[Node, Site]) -> Graph:
        def rewrite(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
            site = found.get(node)
            if site is None or (site.is_weight and self.by == "clipping"):
                return None
            changed = {"clipped_only": True} if self.by == "clipping" else {"gain": _gain(site)}
            new = make(replace(site.op, **changed), operands, node.marks)
            new.hints.update(node.hints)
            return new.outputs

        return rebuild(graph, rewrite)


def _gain(site: Site) -> float:
    """Of LSQ: by how many numbers, those of one example, share an element of the scale. A symbolic size is a batch."""
    count = math.prod(size for size in site.value.shape if isinstance(size, int))
    return 1.0 / math.sqrt(max(count // math.prod(site.scale_shape), 1) * site.op.bounds[1])


def _averaged(graph: Graph, found: Mapping[Node, Site], momentum: float, journal: Journal) -> Rewritten:
    """The scales of activations as states, with the least and the largest number where there is a zero point."""
    shared = Counter(site.scale for site in found.values())
    chosen = {site.scale for site in found.values() if not site.is_weight and not site.scale_shape}
    for site in found.values():
        if site.scale in chosen and shared[site.scale] > 1:
            journal.refused("average", Declined("its scale is that of several tensors", site.node))
    chosen = {scale for scale in chosen if shared[scale] == 1}

    def as_state(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        match node.op:
            case Param(path=path, type=type, initial=first) if path in chosen:
                return (make(State(path, type, first), (), node.marks).outputs[0].named(path.rpartition(".")[2]),)
            case _:
                return None

    after = rebuild(graph, as_state)
    taken = {path_of(w) for w in graph.weights}
    old = {path_of(w): w for w in graph.weights}
    updates: list[tuple[Value, Value]] = []
    starts: dict[Value, Value] = {}
    for site in sites(after):
        if site.scale not in chosen:
            continue
        states = [*site.node.operands[1:]]
        if site.zero is not None:
            ends = [_state(site, name, taken) for name in ("low", "high")]
            before = (old[path_of(states[1])], old[site.scale])
            starts.update(zip(ends, _span(site, *before), strict=True))
            states += ends
        updates += zip(states, _updated(site, states, momentum), strict=True)
    weights = (*after.weights, *starts)
    values = tuple(starts.get(w, old.get(path_of(w), w)) for w in weights)
    prepare = Prepare(
        Graph(f"{graph.name}_prepare", (), values, weights=graph.weights), tuple(path_of(w) for w in weights)
    )
    return Rewritten(replace(after, weights=weights, updates=(*after.updates, *updates)), prepare)


def _state(site: Site, name: str, taken: set[str]) -> Value:
    """A state beside the scale `x_scale`, `x_low` or `x_high`."""
    path = free(f"{site.scale.removesuffix('_scale')}_{name}", taken)
    scale = site.node.operands[1]
    return make(State(path, scale.type, Initial("zeros")), (), scale.node.marks).outputs[0].named(path.split(".")[-1])


def _span(site: Site, zero: Value, scale: Value) -> tuple[Value, ...]:
    """The least and the largest number that is not cut off."""
    return tuple(apply(Cast(scale.dtype), bound - zero) * scale for bound in site.op.bounds)


def _updated(site: Site, states: Sequence[Value], momentum: float) -> tuple[Value, ...]:
    """The states after a step: other ones in training alone."""
    operands = (site.value, *states)
    inside = tuple(placeholder(v.hint or "x", v.type) for v in operands)
    with marked(place=site.node.place, span=site.node.span):
        new = _moved(site, inside, momentum)
        op = Mode(Graph("training", inside, new), Graph("inference", inside, inside[1:]))
        return make(op, operands).outputs


def _moved(site: Site, inside: Sequence[Value], momentum: float) -> tuple[Value, ...]:
    """The scale, and with a zero point this and the ends of the range, averaged with what a batch spans, and 0."""
    x, scale, *others = inside
    least, most = site.op.bounds
    if not others:
        reach: Value = build.max(build.abs(x)) / float(most)
        return (_positive(momentum * scale + (1 - momentum) * reach, scale),)
    _, low, high = others
    low = momentum * low + (1 - momentum) * build.minimum(build.min(x), 0.0)
    high = momentum * high + (1 - momentum) * build.maximum(build.max(x), 0.0)
    scale = _positive((high - low) / float(most - least), scale)
    zero: Value = build.clip(build.round(least - low / scale), lo=least, hi=most)
    return scale, apply(Cast(DType.I32), zero), low, high


def _positive(new: Value, old: Value) -> Value:
    """What is 0 everywhere has no range: its scale stays."""
    result: Value = build.where(new > 0.0, new, old)
    return result
