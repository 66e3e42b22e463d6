"""Other bits for the quantizers of a network: for each tensor its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from architrave.ir import build
from architrave.ir.graph import Graph, Node, Value, apply, make
from architrave.ir.ops.leaves import path_of
from architrave.ir.ops.logic import Cast
from architrave.ir.ops.quantize import FakeQuantize
from architrave.ir.rewrite import rebuild
from architrave.ir.source import error, nearest
from architrave.ir.types import DType
from architrave.passes.base import Keeps, Prepare
from architrave.passes.journal import Journal
from architrave.passes.pipeline import Transformed
from architrave.passes.quantize.rounding.sites import Site, sites

Bits = Mapping[str, int]
"""Bits of tensors, by the paths of the scales of their quantizers."""
MOST = 16


def widths(graph: Graph) -> dict[str, int]:
    """The bits of every quantizer of a network, by the path of its scale."""
    return {site.scale: site.op.bits for site in sites(graph)}


def with_widths(graph: Graph, bits: Bits) -> Transformed:
    """A network of the pass `quantize` with other bits at some quantizers: from 2 to 16, or 0 for none.

    The weights that are made of the old ones leave each range as it is: fewer bits have a larger scale. Raises E901
    for bits that cannot be had, where no quantizer has such a scale, and where others read it, too.
    """
    found = sites(graph)
    _check(graph, found, bits)
    chosen = {site.node: bits[site.scale] for site in found if site.scale in bits}

    def rewrite(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if node not in chosen:
            return None
        if not chosen[node]:
            return operands[:1]
        new = make(_wide(node, chosen[node]), operands, node.marks)
        new.hints.update(node.hints)
        return new.outputs

    starts: dict[Value, Value] = {}
    dropped: set[Value] = set()
    for site in found:
        if chosen.get(site.node):
            starts.update(zip(site.node.operands[1:], _rescaled(site, chosen[site.node]), strict=True))
        elif site.node in chosen:
            dropped.update(site.node.operands[1:])
    after = rebuild(graph, rewrite)
    weights = tuple(w for w in after.weights if w not in dropped)
    prepare = Graph(f"{graph.name}_prepare", (), tuple(starts.get(w, w) for w in weights), weights=graph.weights)
    made = Prepare(prepare, tuple(map(path_of, weights)))
    return Transformed(replace(after, weights=weights), Keeps.LOSSY, Journal(), (made,))


def _wide(node: Node, bits: int) -> FakeQuantize:
    """The quantizer with other bits. A gain of LSQ goes with the root of its largest integer."""
    assert isinstance(node.op, FakeQuantize)
    new = replace(node.op, bits=bits)
    gain = 1.0 if node.op.gain == 1.0 else node.op.gain * math.sqrt(node.op.bounds[1] / new.bounds[1])
    return replace(new, gain=gain)


def _rescaled(site: Site, bits: int) -> tuple[Value, ...]:
    """The scale, and the zero point where there is one, with which other bits have the same range."""
    scale, *zero = site.node.operands[1:]
    (least, most), (low, high) = site.op.bounds, _wide(site.node, bits).bounds
    if not zero:
        return (scale * (most / high),)
    ratio = (most - least) / (high - low)
    steps: Value = build.round(low + (apply(Cast(scale.dtype), zero[0]) - float(least)) / ratio)
    return scale * ratio, apply(Cast(DType.I32), build.clip(steps, lo=float(low), hi=float(high)))


def _check(graph: Graph, found: Sequence[Site], bits: Bits) -> None:
    by_scale: dict[str, list[Site]] = {}
    for site in found:
        by_scale.setdefault(site.scale, []).append(site)
    for path, wanted in bits.items():
        if path not in by_scale:
            hint = nearest(path, tuple(by_scale)) or "give the path of a scale, such as `head.weight_scale`"
            raise error("E901", f"no quantizer of `{graph.name}` has the scale `{path}`", hint=hint)
        if wanted not in (0, *range(2, MOST + 1)):
            raise error("E901", f"`{path}` is asked for {wanted} bits", hint=f"from 2 to {MOST}, or 0 for none")
        _check_alone(graph, by_scale[path])


def _check_alone(graph: Graph, sharing: Sequence[Site]) -> None:
    """Raises E901 where changing a scale would change more than the quantizers that share it."""
    first, nodes = sharing[0], {site.node for site in sharing}
    settings = first.node.operands[1:]
    same = all(site.op.bounds == first.op.bounds and site.node.operands[1:] == settings for site in sharing)
    alone = all(user in nodes for setting in settings for user in graph.users[setting.node])
    learnt = all(old not in settings for old, _ in graph.updates)
    if not (same and alone and learnt):
        hint = "give it its bits before other passes share its scale, or average it"
        raise error("E901", f"`{first.scale}` is read by more than quantizers of one kind", first.node.span, hint=hint)
