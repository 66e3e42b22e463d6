"""Where a backend parts ways with the oracle: the first node that it computes otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from architrave.backends.agree.difference import Difference, difference
from architrave.backends.agree.report import Divergence
from architrave.backends.agree.trial import Trial
from architrave.backends.agree.witness import Failure, attempt, in_precision
from architrave.backends.load import compile
from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.interpret import interpret
from architrave.ir.mode import specialize


def first_divergence(
    graph: Graph, backend: str, training: bool, trial: Trial, dtype: str, tolerance: float
) -> Divergence | None:
    """The first node whose operands agree with the oracle's while a result of it does not.

    It is found by halving: parts of the network are compiled that end at a node, and their results compared. None
    where every part agrees when it is compiled by itself.
    """
    search = _Search(specialize(graph, training), backend, training, trial, dtype, tolerance)
    found = search.first()
    if found is None:
        return None
    node, problem = found
    return Divergence.at(node, backend, "training" if training else "inference", dtype, problem)


class _Search:
    """One search: the oracle's value of every node, and the backend's of those that are asked for."""

    def __init__(self, graph: Graph, backend: str, training: bool, trial: Trial, dtype: Any, tolerance: float) -> None:
        self.graph = graph
        self.backend = backend
        self.training = training
        self.trial = in_precision(trial, dtype)
        self.tolerance = tolerance
        self.expected: dict[Value, Array] = {}
        interpret(graph, trial.inputs, trial.weights, training, key=trial.key, observe=self._observe)

    def first(self) -> tuple[Node, str] | None:
        """The first node that differs, and how."""
        last = self._problem([*self.graph.outputs, *(new for _, new in self.graph.updates)])
        if last is None:
            return None
        nodes = [n for n in self.graph.nodes if n.operands]
        low, high = 0, len(nodes) - 1
        while low < high:
            middle = (low + high) // 2
            if self._problem(nodes[middle].outputs) is None:
                low = middle + 1
            else:
                high = middle
        return self._back(nodes[low])

    def _back(self, node: Node) -> tuple[Node, str] | None:
        """From a node that differs to one whose operands do not: nodes may differ on several paths."""
        while True:
            computed = [v for v in node.operands if v.node.operands]
            worse = next((v.node for v in computed if self._problem([v]) is not None), None)
            if worse is None:
                problem = self._problem(node.outputs)
                return None if problem is None else (node, problem)
            node = worse

    def _problem(self, values: Sequence[Value]) -> str | None:
        """How the backend differs at these values."""
        part = replace(self.graph, outputs=tuple(values), updates=())
        result = attempt(
            lambda: compile(part, self.backend).run(
                self.trial.weights, *self.trial.inputs, training=self.training, key=self.trial.key
            )
        )
        if isinstance(result, Failure):
            return result.reason
        pairs = zip(values, result.outputs, strict=True)
        return next(filter(None, (self._told(difference(a, self.expected[v])) for v, a in pairs)), None)

    def _told(self, found: Difference) -> str | None:
        if found.problem is None and found.relative <= self.tolerance:
            return None
        return found.problem or f"relative error {found.relative:.1e}"

    def _observe(self, node: Node, values: tuple[Array, ...]) -> None:
        self.expected.update(zip(node.outputs, values, strict=True))
