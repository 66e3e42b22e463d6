"""What edges of a circuit are used for on examples, and weights that follow from it: expectation maximization."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from architrave.backends.load import compile
from architrave.ir import build
from architrave.ir.arrays import Array
from architrave.ir.autodiff import grad
from architrave.ir.graph import Graph
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import error
from architrave.sparsity.circuits.circuit import Circuit, Weights, normalised
from architrave.sparsity.circuits.graph import circuit_graph

SMALLEST = 1e-300


def log_likelihood(circuit: Circuit, weights: Mapping[str, Any], x: Array, backend: str = "numpy") -> Array:
    """The logarithm of the probability of each example, float64 [N]. Weights need not be normalised."""
    program = compile(circuit_graph(circuit), backend)
    return np.asarray(program(_double(weights), _checked(circuit, x)), np.float64)


def flows(circuit: Circuit, weights: Mapping[str, Any], x: Array, backend: str = "numpy") -> Weights:
    """How often each edge, and each category of each leaf, is used on examples: the sum of what is expected of each.

    It is the gradient of the sum of log-likelihoods by the logarithms of the weights, which are normalised. Weights of
    one node sum to how often the node is used, and those of the last layer to the number of examples.
    """
    network = circuit_graph(circuit, normalise=False)
    total = Graph(network.name, network.inputs, (build.sum(network.outputs[0]),), network.weights)
    slope = grad(total, wrt=total.weights)
    found = compile(slope, backend).run(_double(weights), _checked(circuit, x)).outputs
    return {path_of(w): np.asarray(f, np.float64) for w, f in zip(total.weights, found, strict=True)}


def em(
    circuit: Circuit,
    weights: Mapping[str, Any],
    x: Array,
    steps: int = 1,
    *,
    rate: float = 1.0,
    smoothing: float = 1e-3,
    batch: int | None = None,
    seed: int = 0,
    backend: str = "numpy",
) -> Weights:
    """The weights after steps of expectation maximization: the flow of each over that of its node.

    `smoothing` is added to each flow. On all examples at once with `rate` 1 no step lowers the likelihood, but for the
    smoothing; on a random `batch` weights move by `rate` of the way to the new ones. Raises E945 for no examples.
    """
    rng: Any = np.random.default_rng(seed)
    current = normalised(circuit, _double(weights))
    for _ in range(steps):
        chosen = x if batch is None else x[rng.choice(len(x), min(batch, len(x)), replace=False)]
        used = flows(circuit, current, chosen, backend)
        new = normalised(circuit, {path: np.log(flow + smoothing + SMALLEST) for path, flow in used.items()})
        current = {path: np.log((1 - rate) * np.exp(w) + rate * np.exp(new[path])) for path, w in current.items()}
    return current


def _double(weights: Mapping[str, Any]) -> Weights:
    return {path: np.asarray(w, np.float64) for path, w in weights.items()}


def _checked(circuit: Circuit, x: Array) -> Array:
    """Raises E945 for examples that are none of the circuit."""
    rows = np.asarray(x)
    if rows.ndim != 2 or rows.shape[1] != circuit.variables or not len(rows) or rows.dtype.kind not in "iu":
        what = f"a circuit takes integers [N, {circuit.variables}], not {rows.dtype} {list(rows.shape)}"
        raise error("E945", what, hint="one row for each example")
    if rows.min() < -1 or rows.max() >= circuit.categories:
        hint = "-1 stands for what is unknown"
        raise error("E945", f"categories are from 0 to {circuit.categories - 1}", hint=hint)
    return rows.astype(np.int64)
