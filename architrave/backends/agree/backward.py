"""Where the gradients of a backend part ways with the oracle's: the node through which it goes back otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from architrave.backends.agree.difference import difference
from architrave.backends.agree.gradient import GradientOracle
from architrave.backends.agree.trial import Trial
from architrave.backends.agree.witness import Failure, attempt
from architrave.backends.differentiated import Differentiated
from architrave.backends.load import compile
from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Node, Value, make
from architrave.ir.interpret import interpret
from architrave.ir.mode import specialize
from architrave.ir.nested import remade
from architrave.ir.ops.leaves import Input, path_of
from architrave.ir.rewrite import rebuild


@dataclass(frozen=True)
class Backward:
    """A backend whose gradients are off by more than `tolerance` of the scale of a gradient, or of `floor`."""

    graph: Graph
    backend: str
    training: bool
    trial: Trial
    cotangents: Sequence[Array | None]
    tolerance: float
    floor: float

    def first(self, source: Value) -> tuple[Node, str] | None:
        """The node nearest to the outputs whose results have gradients that agree, and an operand one that does not.

        `source` is a param or an input whose gradients differ. The network is cut at a value, which becomes an input,
        and the gradients of that input are compared. None where every such part agrees by itself.
        """
        graph = specialize(self.graph, self.training)
        expected: dict[Value, Array] = {}

        def observe(node: Node, values: tuple[Array, ...]) -> None:
            expected.update(zip(node.outputs, values, strict=True))

        interpret(
            graph,
            self.trial.inputs,
            self.trial.weights,
            self.training,
            key=self.trial.key,
            observe=observe,
        )
        return _latest(graph, source, lambda value, user: self._problem(graph, value, user, expected[value]))

    def _problem(self, graph: Graph, value: Value, user: Node | None, number: Array) -> str | None:
        """How the gradients of one value differ, or the part of them that comes back through one user."""
        part = cut(graph, value, user)
        weights = {path_of(w): self.trial.weights[path_of(w)] for w in part.weights}
        given = replace(self.trial, weights=weights, inputs=(*self.trial.inputs, number))
        actual = attempt(lambda: self._actual(part, given))
        if isinstance(actual, Failure):
            return actual.reason
        found = difference(actual, self._expected(part, given), self.floor)
        if found.problem is None and found.relative <= self.tolerance:
            return None
        return found.problem or f"relative error {found.relative:.1e} of gradients"

    def _actual(self, part: Graph, given: Trial) -> Array:
        """The backend's gradient of the last input."""
        options: Any = {"cotangents": self.cotangents, "training": self.training, "key": given.key}
        gradients = compile(part, self.backend).gradients(given.weights, *given.inputs, **options)
        return np.asarray(gradients.inputs[-1])

    def _expected(self, part: Graph, given: Trial) -> Array:
        oracle = GradientOracle(Differentiated.of(part, self.training), given, list(self.cotangents))
        return list(oracle.expected.values())[-1]


def cut(graph: Graph, value: Value, user: Node | None = None) -> Graph:
    """The graph with `value` as one more input, the last; everywhere, or as an operand of `user` alone."""
    given = make(Input("cut", value.type), ()).outputs[0]

    def everywhere(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        return [given if v is value else v for v in node.outputs] if node is value.node else None

    def at_user(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        return remade(node, node.op, tuple(given if v is value else v for v in operands)) if node is user else None

    rewrite = everywhere if user is None else at_user
    weights = tuple(w for w in graph.weights if user is not None or w is not value)
    return rebuild(graph, rewrite, inputs=(*graph.inputs, given), weights=weights, updates=())


def _latest(
    graph: Graph, source: Value, problem: Callable[[Value, Node | None], str | None]
) -> tuple[Node, str] | None:
    """Follow the gradients that differ from `source` towards the outputs, by halving and then node by node."""
    after = _descendants(graph, source)
    path = [source, *(v for n in graph.nodes if n in after for v in n.outputs if v.dtype.is_float)]
    low, high = 0, len(path) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if problem(path[middle], None) is not None:
            low = middle
        else:
            high = middle - 1
    value = path[low]
    while True:
        told = problem(value, None)
        if told is None:
            return None
        users = [node for node in graph.users[value.node] if value in node.operands]
        user = next((node for node in users if problem(value, node) is not None), users[0] if users else None)
        if user is None:
            return None
        further = next((v for v in user.outputs if v.dtype.is_float and problem(v, None) is not None), None)
        if further is None:
            return user, told
        value = further


def _descendants(graph: Graph, source: Value) -> set[Node]:
    found: set[Node] = set()
    for node in graph.nodes:
        if any(v is source or v.node in found for v in node.operands):
            found.add(node)
    return found
