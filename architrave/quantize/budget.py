"""Bits for each tensor under a budget: of size, of multiplications by their bits, or of time.

Tensors are named by the paths of the scales of their quantizers. What one costs by its bits comes from
`sensitivity`, and adds up.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from architrave.ir.arrays import known
from architrave.ir.cost import Sizes, multiply_adds_by_node
from architrave.ir.graph import Graph, Node
from architrave.ir.source import error
from architrave.passes.quantize.rounding.rounded import CONTRACTIONS
from architrave.passes.quantize.rounding.sites import activation_sites, sites, weight_sites
from architrave.passes.quantize.rounding.widths import Bits
from architrave.quantize.allocate import Choice, frontier, within
from architrave.quantize.noise import quantizer
from architrave.quantize.sensitivity import Losses, Measure, measured, sensitivities
from architrave.quantize.size import FLOAT_BITS
from architrave.record.recorder import silent

Cost = Callable[[Bits], float]
"""What a network takes with other bits at the tensors that are named; the others have theirs."""
LEVELS = (2, 3, 4, 6, 8)
"""The bits that are tried, up to those that a weight has."""
STEPS = 4096
"""In how many steps costs are counted for the front: that of a network with many tensors stays short."""


@dataclass(frozen=True)
class Work:
    """One contraction: its multiply-adds, and the bits of its operands but the bias; 32 for one in floats."""

    node: Node
    multiply_adds: int
    bits: tuple[int, ...]


def size_in_bits(graph: Graph) -> Cost:
    """The bits of all rounded weights. `graph` is what the pass `quantize` made; scales are not counted."""
    numbers = {site.scale: math.prod(map(known, site.value.shape)) for site in weight_sites(graph)}
    own = {site.scale: site.op.bits for site in sites(graph)}
    return lambda bits: float(sum(n * _wide(bits.get(path, own[path])) for path, n in numbers.items()))


def bit_operations(work: Work) -> float:
    """Multiply-adds times the bits of both operands: the time of a contraction where that is all that counts."""
    return float(work.multiply_adds * math.prod(work.bits))


def time(graph: Graph, model: Callable[[Work], float] = bit_operations, sizes: Sizes | None = None) -> Cost:
    """The sum over all contractions of what a model of a machine says of each, by default of MAC x bits.

    `sizes` binds the symbols of the inputs, which are 1 otherwise. Contractions inside of loops are left out.
    """
    own: dict[Node | None, tuple[str, int]] = {site.node: (site.scale, site.op.bits) for site in sites(graph)}
    bound = {**dict.fromkeys(graph.symbols, 1), **(sizes or {})}
    counts = multiply_adds_by_node(graph, bound)
    nodes = [node for node in graph.nodes if isinstance(node.op, CONTRACTIONS) and node in counts]
    operands = {node: [own.get(quantizer(v), ("", 0)) for v in node.operands[:2]] for node in nodes}

    def cost(bits: Bits) -> float:
        total = 0.0
        for node, given in operands.items():
            total += model(Work(node, known(counts[node]), tuple(_wide(bits.get(*each)) for each in given)))
        return total

    return cost


def front(losses: Losses, cost: Cost) -> list[Choice]:
    """The choices of which none is both cheaper and better than another, the cheapest first: ZeroQ's, of any cost.

    The cost must be a sum over tensors, as size is, or time where bits of activations stay. It is counted in `STEPS`
    steps, rounded up, so that on the way a choice that is better by less than that may be passed over.
    """
    least = {path: min(by_bits) for path, by_bits in losses.items()}
    base = cost(least)
    more = {path: {b: cost({**least, path: b}) - base for b in by_bits} for path, by_bits in losses.items()}
    step = sum(max(by_bits.values()) for by_bits in more.values()) / STEPS or 1.0
    counted = {path: {b: math.ceil(c / step - 1e-9) for b, c in by_bits.items()} for path, by_bits in more.items()}
    found = [replace(choice, size=cost(choice.bits)) for choice in frontier(counted, losses)]
    best: list[Choice] = []
    for choice in sorted(found, key=lambda choice: (choice.size, choice.loss)):
        if not best or choice.loss < best[-1].loss:
            best.append(choice)
    return best


def greedy(losses: Losses, cost: Cost, budget: float) -> Choice:
    """Bits within a budget: from the most of each tensor, those are taken that cost least for what they save.

    For any cost that falls with the bits, that of weights and activations together too. A saving that has shrunk
    since it was looked at is looked at again before it is taken. Raises E918 where the fewest bits take more.
    """
    levels = {path: sorted(by_bits, reverse=True) for path, by_bits in losses.items()}
    bits = {path: level[0] for path, level in levels.items()}
    spent = cost(bits)

    def price(path: str, lower: int) -> float:
        saved = spent - cost({**bits, path: lower})
        worse = max(losses[path][lower] - losses[path][bits[path]], 0.0)
        return worse / saved if saved > 0 else math.inf

    waiting = [(price(path, level[1]), path, 1) for path, level in levels.items() if len(level) > 1]
    heapq.heapify(waiting)
    while spent > budget:
        if not waiting:
            raise error("E918", f"no choice of bits takes {budget:.6g} or less", hint=f"the fewest take {spent:.6g}")
        _, path, i = heapq.heappop(waiting)
        now = price(path, levels[path][i])
        if waiting and now > waiting[0][0]:
            heapq.heappush(waiting, (now, path, i))
            continue
        bits[path] = levels[path][i]
        spent = cost(bits)
        if i + 1 < len(levels[path]):
            heapq.heappush(waiting, (price(path, levels[path][i + 1]), path, i + 1))
    return Choice(spent, sum(losses[path][b] for path, b in bits.items()), bits)


def allotted(
    graph: Graph,
    weights: Mapping[str, Any],
    measure: Measure,
    most: int,
    budget: float,
    progress: Callable[[int], object] = silent,
) -> dict[str, int]:
    """The bits of each weight, of which a number has `budget` on average: those with the least loss, by the front.

    That is of the weights that have `most` bits in `graph`, which is calibrated; what an annotation gives others keeps
    these. What each loses alone is measured with each of the `levels(most)`. Losses do not quite add up: where even
    bits within the budget are better by the measure, they are taken. Raises E918 for a budget below the fewest bits.
    """
    own = {site.scale: site.op.bits for site in weight_sites(graph)}
    free = [path for path, bits in own.items() if bits == most]
    size = size_in_bits(graph)
    numbers = size(dict.fromkeys(own, 1))
    fewest = size(dict.fromkeys(free, levels(most)[0])) / max(numbers, 1)
    if not budget >= fewest:
        hint = f"the fewest that can be had are {fewest:.4g}"
        raise error("E918", f"weights cannot have {budget:.4g} bits on average", hint=hint)
    found = sensitivities(graph, weights, measure, free, levels(most), progress)
    losses = {path: found.get(path, {bits: 0.0}) for path, bits in own.items()}
    limit = budget * numbers
    mixed = within(front(losses, size), limit).bits
    even = {path: max((b for b in by_bits if b <= budget), default=min(by_bits)) for path, by_bits in losses.items()}
    exact = dict.fromkeys((site.scale for site in activation_sites(graph)), 0)
    loss = measured(graph, weights, measure)
    fitting = [bits for bits in (mixed, even) if size(bits) <= limit]
    return dict(min(fitting, key=lambda bits: loss({**exact, **bits})))


def levels(most: int) -> list[int]:
    """The bits that are tried for a weight that may have `most`."""
    return sorted({bits for bits in LEVELS if bits < most} | {most})


def _wide(bits: int) -> int:
    return bits or FLOAT_BITS
