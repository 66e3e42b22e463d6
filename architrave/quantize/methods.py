"""Methods that choose rounded weights, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.source import error, nearest
from architrave.quantize.adaround import AdaRound
from architrave.quantize.bias import BiasCorrection
from architrave.quantize.layerwise import ByHessian, Finish, Method, Nearest, layerwise
from architrave.quantize.norm_tweaking import NormTweaking
from architrave.quantize.smooth import AWQ, Chosen, SmoothQuant
from architrave.record.recorder import silent

NEAREST = "nearest"
METHODS: Mapping[str, Callable[[str], tuple[Method, Finish | None] | None]] = {
    NEAREST: lambda backend: None,
    "adaround": lambda backend: (AdaRound(backend=backend), None),
    "bias-correction": lambda backend: (BiasCorrection(), None),
    "gptq": lambda backend: (ByHessian(), None),
    "norm-tweaking": lambda backend: (Nearest(), NormTweaking(backend=backend)),
}
"""For the name of each method what it does with a layer and then with a part of the network, on a backend.

Rounding to the nearest needs nothing done.
"""
MIGRATIONS: Mapping[str, Callable[[int, int], Chosen]] = {
    "awq": lambda bits, group: AWQ(bits, group) if group else AWQ(bits),
    "smoothquant": lambda bits, group: SmoothQuant(),
}
"""What scales channels before anything is rounded to so many bits, in groups of so many inputs."""


def check_method(name: str, kinds: Mapping[str, object] = METHODS) -> None:
    """Raises E914 where there is no method of that name."""
    if name not in kinds:
        hint = nearest(name, kinds) or f"there are {', '.join(kinds)}"
        raise error("E914", f"there is no method `{name}`", hint=hint)


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
    found = METHODS[name](backend)
    if found is None:
        return dict(weights)
    method, finish = found
    return layerwise(graph, weights, batches, method, backend, progress, finish=finish)
