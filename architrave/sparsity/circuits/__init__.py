"""Probabilistic circuits: distributions as sums and products, learnt, pruned and grown.

    circuit = balanced(variables=16, categories=2, latents=4)
    weights = em(circuit, start(circuit), examples, steps=20)
    circuit, weights = trimmed(*pruned(circuit, weights, flows(circuit, weights, examples), 0.5))
    circuit, weights = grown(circuit, weights, noise=0.1)

Dang, Liu and Van den Broeck, "Sparse Probabilistic Circuits via Pruning and Growing" (2022).
"""

from architrave.sparsity.circuits.circuit import Circuit, Products, Sums, balanced, start
from architrave.sparsity.circuits.graph import circuit_graph
from architrave.sparsity.circuits.learning import em, flows, log_likelihood
from architrave.sparsity.circuits.surgery import drop_bound, grown, pruned, trimmed

__all__ = [
    "Circuit",
    "Products",
    "Sums",
    "balanced",
    "circuit_graph",
    "drop_bound",
    "em",
    "flows",
    "grown",
    "log_likelihood",
    "pruned",
    "start",
    "trimmed",
]
