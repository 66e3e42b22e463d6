"""Methods that choose rounded weights, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.source import error, nearest
from architrave.quantize.adaround import AdaRound
from architrave.quantize.layerwise import ByHessian, Method, layerwise
from architrave.quantize.record import silent

NEAREST = "nearest"
METHODS: Mapping[str, Callable[[str], Method | None]] = {
    NEAREST: lambda backend: None,
    "gptq": lambda backend: ByHessian(),
    "adaround": lambda backend: AdaRound(backend=backend),
}
"""For the name of each method what it does with a layer, on a backend. Rounding to the nearest needs nothing done."""


def check_method(name: str) -> None:
    """Raises E914 where there is no method of that name."""
    if name not in METHODS:
        hint = nearest(name, METHODS) or f"there are {', '.join(METHODS)}"
        raise error("E914", f"there is no method `{name}` to round weights by", hint=hint)


def with_rounded_weights(
    graph: Graph,
    weights: Mapping[str, Any],
    batches: Sequence[Sequence[Any]],
    name: str = NEAREST,
    *,
    backend: str = "torch",
    progress: Callable[[int], object] = silent,
) -> dict[str, Array]:
    """The weights of a network with quantizers, on their grids by a method; `layerwise` says what it takes.

    By `nearest` they stay as they are: their quantizers round them. Raises E914.
    """
    check_method(name)
    method = METHODS[name](backend)
    return dict(weights) if method is None else layerwise(graph, weights, batches, method, backend, progress)
