"""The small dense network that has as many weights as a large sparse one."""

from __future__ import annotations

import math
from collections.abc import Callable

from architrave.ir.graph import Graph
from architrave.ir.ops.leaves import Param
from architrave.ir.source import error
from architrave.sparsity.masks.density import check_density


def numbers(graph: Graph) -> int:
    """How many numbers the trained weights of a network have."""
    weights = (w for w in graph.weights if isinstance(w.op, Param))
    return sum(math.prod(size for size in w.shape if isinstance(size, int)) for w in weights)


def dense_twin(network: Callable[[int], Graph], width: int, density: float) -> int:
    """The largest width with which a network has no more than that share of the numbers that it has at `width`.

    `network` gives the network of a width, such as `lambda width: architrave.load("net.arch", width=width)`. What Zhu
    and Gupta, "To prune, or not to prune" (2017), compare sparse networks with. Raises E925 where width 1 has more.
    """
    check_density(density)
    wanted = density * numbers(network(width))
    low, high = 0, width
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _fits(network, middle, wanted) else (low, middle - 1)
    if not low:
        what = f"no width has as few as {wanted:.0f} numbers: `{network(1).name}` of width 1 has {numbers(network(1))}"
        raise error("E925", what, hint="ask for a higher density")
    return low


def _fits(network: Callable[[int], Graph], width: int, wanted: float) -> bool:
    return numbers(network(width)) <= wanted
