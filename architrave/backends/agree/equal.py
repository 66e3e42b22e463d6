"""Are two networks the same function? The oracle runs both, in float64 and on the same random inputs.

Weights that are not given are drawn, and with them the statistics of normalizations: what starts as one number
everywhere would hide what it multiplies or divides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from architrave.backends.agree.difference import FORWARD, Difference, difference, working_dtype
from architrave.backends.agree.equality import Equality
from architrave.backends.agree.gradient import GradientOracle
from architrave.backends.agree.noise import resolution
from architrave.backends.agree.part import first_parting
from architrave.backends.agree.report import Comparison
from architrave.backends.agree.shared import Given, Weights, arrays, listed, weights_of
from architrave.backends.agree.trial import Trial, trial
from architrave.backends.agree.witness import in_precision, input_labels, output_names, results
from architrave.backends.differentiated import Differentiated
from architrave.ir.dims import Size, unify
from architrave.ir.graph import Graph
from architrave.ir.interpret import Result, interpret
from architrave.ir.mode import specialize
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import printable
from architrave.ir.storage import is_float
from architrave.ir.types import TensorType

SEEDS = 3
"""How many times two networks run, each time on other numbers."""


def equal(
    a: Graph,
    b: Graph,
    weights: Weights | None = None,
    weights_b: Given = None,
    *,
    sizes: Mapping[str, int] | None = None,
    training: bool = False,
    gradients: bool = False,
    seed: int = 0,
    seeds: int = SEEDS,
    tolerance: float | None = None,
    progress: Callable[[str], object] = lambda step: None,
) -> Equality:
    """Compare the outputs, in training the new states, and the gradients of the inputs, of two networks.

    `weights` are those of `a` by path, random ones by default. `weights_b` are those of `b`, or a function that makes
    them from those of `a`; without them both networks have the same. `sizes` are those of the symbolic dimensions
    of `a`. `tolerance` is 1e-10 of the largest number, or what the dtype allows in which checkpoints of both hold their
    numbers. Raises E808 for weights that only one of them has, where none are given for it, E519 for sizes that do not
    fit, E512, E513 and E807 for weights that do not, or are NaN.
    """
    mode = "training" if training else "inference"
    if a.name == b.name:
        b = replace(b, name=f"the other {b.name}")
    pair = _Pair(specialize(a, training), specialize(b, training), training)
    allowed = _tolerance(pair, weights, weights_b) if tolerance is None else tolerance
    found = Equality(a.name, b.name, mode, allowed, problem=_signatures(pair.a, pair.b))
    if found.problem is not None:
        return found
    known = {**_known_sizes(pair.a, pair.b), **(sizes or {})}
    for number in range(seed, seed + seeds):
        progress(f"run {number - seed + 1} of {seeds}")
        of_a = trial(pair.a, known, number, np.float64)
        if weights is not None:
            of_a = in_precision(replace(of_a, weights=arrays(weights)), np.float64)
        of_b = in_precision(replace(of_a, weights=weights_of(pair.b, pair.a, of_a.weights, weights_b)), np.float64)
        found.sizes.update(of_a.sizes)
        expected, actual = pair.run(pair.a, of_a), pair.run(pair.b, of_b)
        found.runs[number] = _rows(pair, expected, actual, allowed)
        if gradients:
            found.runs[number] += _gradients(pair, of_a, of_b, expected, allowed)
        silent = _silent(pair.a, expected)
        if silent is not None and found.ok:
            return replace(found, unclear=f"no number of `{printable(silent)}` is finite, which says nothing")
        if not found.ok:
            progress("looking for where they part")
            return replace(found, parting=first_parting(pair.a, pair.b, of_a, of_b, training, allowed))
    return found


@dataclass(frozen=True)
class _Pair:
    """Two networks in one mode."""

    a: Graph
    b: Graph
    training: bool

    def run(self, graph: Graph, given: Trial) -> Result:
        return interpret(graph, given.inputs, given.weights, self.training, key=given.key)

    def row(self, kind: str, name: str, found: Difference, allowed: float) -> Comparison:
        mode = "training" if self.training else "inference"
        where = (mode, "float64", kind, name, self.a.name, self.b.name)
        return Comparison(*where, found.absolute, found.relative, allowed, found.problem)


def _rows(pair: _Pair, expected: Result, actual: Result, allowed: float) -> list[Comparison]:
    """The outputs by position, the states by path."""
    names = output_names(pair.a)
    pairs = [("output", *each) for each in zip(names, expected.outputs, actual.outputs, strict=True)]
    pairs += [("state", path, x, actual.updates[path]) for path, x in expected.updates.items()]
    return [pair.row(kind, name, difference(found, wanted), allowed) for kind, name, wanted, found in pairs]


def _gradients(pair: _Pair, of_a: Trial, of_b: Trial, expected: Result, allowed: float) -> list[Comparison]:
    """The gradients of the inputs by position, for the same cotangents of the outputs."""
    a = GradientOracle.of(pair.a, pair.training, of_a, expected)
    b = GradientOracle(Differentiated.of(pair.b, pair.training), of_b, a.cotangents)
    floor = resolution("float64") / allowed * a.largest if allowed else 0.0
    named = [(x, y) for x, y in zip(input_labels(pair.a), input_labels(pair.b), strict=True) if x in a.expected]
    return [pair.row("gradient", x, difference(b.expected[y], a.expected[x], floor), allowed) for x, y in named]


def _silent(graph: Graph, result: Result) -> str | None:
    """The first result that has numbers none of which is finite."""
    found = ((name, x) for _, name, x in results(graph, result) if x.size and x.dtype.kind in "fc")
    return next((name for name, x in found if not np.isfinite(x).any()), None)


def _signatures(a: Graph, b: Graph) -> str | None:
    """Why two networks cannot be the same function whatever they compute."""
    for what, of_a, of_b in (("takes", a.inputs, b.inputs), ("gives", a.outputs, b.outputs)):
        types_a, types_b = ([v.type for v in values] for values in (of_a, of_b))
        if len(types_a) != len(types_b) or not all(map(_may_be_one, types_a, types_b)):
            shown_a, shown_b = (", ".join(map(str, types)) or "nothing" for types in (types_a, types_b))
            return f"{a.name} {what} {shown_a}, {b.name} {what} {shown_b}"
    states_a, states_b = ({path_of(state) for state, _ in graph.updates} for graph in (a, b))
    only = sorted(states_a ^ states_b)
    return f"only one of them updates {listed(only)}" if only else None


def _may_be_one(a: TensorType, b: TensorType) -> bool:
    """Whether types agree in all that is known before a run."""
    known = ((x, y) for x, y in zip(a.shape, b.shape, strict=False) if isinstance(x, int) and isinstance(y, int))
    return (a.dtype, a.rank) == (b.dtype, b.rank) and all(x == y for x, y in known)


def _known_sizes(a: Graph, b: Graph) -> dict[str, int]:
    """The sizes of `a` that the inputs of `b` fix."""
    sizes: dict[str, Size] = {}
    for x, y in zip(a.inputs, b.inputs, strict=True):
        for size, other in zip(x.shape, y.shape, strict=True):
            if isinstance(other, int):
                unify(size, other, sizes)
    return {name: size for name, size in sizes.items() if isinstance(size, int)}


def _tolerance(pair: _Pair, weights: Weights | None, weights_b: Given) -> float:
    """How far two networks may be apart: in float64, unless each has its own weights, which were rounded."""
    dtypes = ["float64"]
    if weights is not None and weights_b is not None and not callable(weights_b):
        held = (*arrays(weights).values(), *arrays(weights_b).values())
        dtypes += [array.dtype.name for array in held if is_float(array.dtype)]
    coarsest = max(dtypes, key=lambda name: FORWARD.get(name, 0.0))
    return max(FORWARD[working_dtype(graph, coarsest)] for graph in (pair.a, pair.b))
