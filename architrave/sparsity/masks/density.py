"""How many numbers each weight keeps, so that all of them together keep as many as asked for: exactly.

Uniform, Erdős–Rényi (Mocanu and others, "Scalable Training of Artificial Neural Networks with Adaptive Sparse
Connectivity inspired by Network Science", 2018), with kernels (ERK: Evci and others, "Rigging the Lottery", 2020), and
with a dense last layer (ERK+: Liu and others, "The Unreasonable Effectiveness of Random Pruning", 2022).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from architrave.ir.source import error, nearest
from architrave.sparsity.masks.masked import Layer

UNIFORM, EACH, GLOBAL = "uniform", "each", "global"
"""`global` has no counts beforehand: the scores of all weights compete (`architrave.sparsity.masks.selection`)."""


def check_density(density: float, what: str = "a density") -> None:
    """Raises E925 for one that is not above 0 and at most 1."""
    if not 0 < density <= 1:
        hint = "it is the share of numbers that stay: 0.1 leaves one in ten"
        raise error("E925", f"{what} is above 0 and at most 1, not {density:g}", hint=hint)


def total(size: int, density: float) -> int:
    """How many of so many numbers stay: `round(density * size)`, half to even. Raises E925."""
    check_density(density)
    return round(Fraction(str(float(density))) * size)


def counts(
    layers: Sequence[Layer], density: float, distribution: str = UNIFORM, sizes: Mapping[str, int] | None = None
) -> dict[str, int]:
    """How many numbers each weight keeps by a distribution: shares of it rounded by largest remainders.

    Their sum is `round(density * N)`, and none is above the size of its weight. `each` alone rounds for every weight by
    itself: `round((1 - density) * size)` of it go. With `sizes`, by path, weights are counted in blocks of numbers.
    Raises E925 for a density or a distribution that there is not.
    """
    check_density(density)
    found = {layer.path: layer.size for layer in layers} if sizes is None else sizes
    if distribution == EACH:
        return {path: size - round((1 - Fraction(str(float(density)))) * size) for path, size in found.items()}
    if distribution not in DISTRIBUTIONS:
        known = (*DISTRIBUTIONS, EACH, GLOBAL)
        hint = nearest(distribution, known) or f"there are {', '.join(known)}"
        raise error("E925", f"there is no distribution `{distribution}` of numbers over weights", hint=hint)
    wanted = total(sum(found.values()), density)
    shares = DISTRIBUTIONS[distribution](layers, found, wanted)
    return rounded({path: shares[path] * size for path, size in found.items()}, wanted)


def rounded(exact: Mapping[str, float], total: int) -> dict[str, int]:
    """Whole numbers next to `exact` ones, whose sum is `total`: the largest remainders are rounded up.

    `exact` adds up to `total`, but for what floats cannot tell.
    """
    found = {path: math.floor(number) for path, number in exact.items()}
    up = sorted(exact, key=lambda path: found[path] - exact[path])
    for path in up[: total - sum(found.values())]:
        found[path] += 1
    return found


def uniform(layers: Sequence[Layer], sizes: Sizes, wanted: int) -> dict[str, float]:
    """The same density for each weight."""
    return solved(layers, sizes, wanted, lambda layer: 1.0)


def erdos_renyi(layers: Sequence[Layer], sizes: Sizes, wanted: int) -> dict[str, float]:
    """`epsilon * (outputs + inputs) / (outputs * inputs)`: small weights are denser."""
    return solved(layers, sizes, wanted, lambda layer: sum(layer.shape[:2]) / math.prod(layer.shape[:2]))


def erdos_renyi_kernel(layers: Sequence[Layer], sizes: Sizes, wanted: int) -> dict[str, float]:
    """`epsilon * (outputs + inputs + height + width) / (outputs * inputs * height * width)`."""
    return solved(layers, sizes, wanted, lambda layer: sum(layer.shape) / layer.size)


def erdos_renyi_kernel_plus(layers: Sequence[Layer], sizes: Sizes, wanted: int) -> dict[str, float]:
    """As `erdos_renyi_kernel`, with the last weight dense unless it is larger than all that may stay."""
    *others, last = layers
    left = wanted - sizes[last.path]
    if left < 0 or not others:
        return erdos_renyi_kernel(layers, sizes, wanted)
    return {**erdos_renyi_kernel(others, sizes, left), last.path: 1.0}


def solved(layers: Sequence[Layer], sizes: Sizes, wanted: int, raw: Callable[[Layer], float]) -> dict[str, float]:
    """`min(1, epsilon * raw)` for each weight, with the `epsilon` that keeps so many numbers.

    Weights whose density would be above 1 are dense, and `epsilon` is solved for again over the others.
    """
    dense: set[str] = set()
    while True:
        free = [layer for layer in layers if layer.path not in dense]
        left = wanted - sum(sizes[path] for path in dense)
        unit = math.fsum(raw(layer) * sizes[layer.path] for layer in free)
        found = {layer.path: raw(layer) * left / unit for layer in free}
        above = {path for path, share in found.items() if share > 1}
        if not above:
            return {layer.path: found.get(layer.path, 1.0) for layer in layers}
        dense |= above


Sizes = Mapping[str, int]
DISTRIBUTIONS: Mapping[str, Callable[[Sequence[Layer], Sizes, int], dict[str, float]]] = {
    UNIFORM: uniform,
    "er": erdos_renyi,
    "erk": erdos_renyi_kernel,
    "erk+": erdos_renyi_kernel_plus,
}
"""For the name of each distribution, the densities of weights of such sizes for how many numbers all keep together."""
