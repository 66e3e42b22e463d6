"""Supernets as continuous mixtures: each choice is a weighted sum of its alternatives, whose weights are trained.

Liu, Simonyan and Yang, "DARTS: Differentiable Architecture Search" (2019).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from architrave.ir import build
from architrave.ir.arrays import Array, np
from architrave.ir.choice import choices
from architrave.ir.enclose import placeholder
from architrave.ir.graph import Graph, Value, make
from architrave.ir.initial import initial
from architrave.ir.ops.control import Choice, Mode
from architrave.ir.source import error
from architrave.passes.search.opening import Mix, opened
from architrave.passes.search.switched import completed, member_graph

ALPHA = "alpha"
"""The name of the weights of alternatives, below the path of their decision."""
TEMPERATURE = "temperature"
DECIDED = 50.0
"""By how much an alternative is ahead that is taken: the others weigh `exp(-50)`, 2e-22."""


@dataclass(frozen=True)
class Gumbel:
    """In training, Gumbel noise is added to the logarithms of the weights, and all is divided by a temperature.

    The temperature is a state that starts at 1 and is lowered from step to step by whoever trains. With `hard` one
    alternative is taken, with the gradient of the weights. Jang, Gu and Poole, "Categorical Reparameterization with
    Gumbel-Softmax" (2017); Dong and Yang, "Searching for a Robust Neural Architecture in Four GPU Hours" (2019).
    """

    hard: bool = False


@dataclass(frozen=True)
class Weighed:
    """A supernet: `source` keeps its choices, in `graph` each is a sum, weighed by the softmax of a parameter.

    A decision has one such parameter, `[n]` for n alternatives, wherever it is used.
    """

    source: Graph
    graph: Graph
    temperature: bool = False

    @cached_property
    def labels(self) -> Mapping[str, tuple[str, ...]]:
        """The labels of every decision, by path."""
        return choices(self.source)

    @cached_property
    def alphas(self) -> tuple[str, ...]:
        """The paths of the parameters that weigh alternatives: they make a group of their own."""
        return tuple(map(alpha_path, self.labels))

    def setting(self, member: Mapping[str, str]) -> dict[str, Array]:
        """The parameters with which it is a member, by path. Raises E952."""
        whole = completed(self.source.name, self.labels, member)
        found = {
            alpha_path(path): DECIDED * np.eye(len(self.labels[path]))[self.labels[path].index(label)]
            for path, label in whole.items()
        }
        return {**found, TEMPERATURE: np.ones(())} if self.temperature else found

    def member(self, member: Mapping[str, str]) -> Graph:
        """A member by itself: a plain graph with the weights that it reads. Raises E952."""
        return member_graph(self.source, member)

    def weights(self, weights: Mapping[str, Any]) -> dict[str, dict[str, float]]:
        """How much each alternative of each decision weighs."""
        found: dict[str, dict[str, float]] = {}
        for path, labels in self.labels.items():
            alpha = np.asarray(weights[alpha_path(path)], np.float64)
            shares = np.exp(alpha - alpha.max())
            found[path] = dict(zip(labels, map(float, shares / shares.sum()), strict=True))
        return found

    def derived(self, weights: Mapping[str, Any]) -> dict[str, str]:
        """The member that takes, of each decision, what weighs most. Nested decisions are there whatever is taken."""
        return {path: max(shares, key=lambda label: shares[label]) for path, shares in self.weights(weights).items()}


def alpha_path(decision: str) -> str:
    """Where the weights of the alternatives of a decision are."""
    return f"{decision}.{ALPHA}"


def weighed(source: Graph, gumbel: Gumbel | None = None) -> Weighed:
    """The mixture of a graph that keeps its choices. Raises E957, see `opened`; E958 for a choice between integers."""
    return Weighed(source, opened(source, _Weighing(gumbel=gumbel)), temperature=gumbel is not None)


@dataclass
class _Weighing(Mix):
    gumbel: Gumbel | None = None
    shares: dict[str, Sequence[Value]] = field(default_factory=dict[str, Sequence[Value]])
    temperature: Value | None = None

    def prepare(self, choice: Choice) -> None:
        if choice.path not in self.shares:
            self.shares[choice.path] = self._shares(choice)

    def mix(self, choice: Choice, alternatives: Sequence[tuple[Value, ...]]) -> tuple[Value, ...]:
        for value in alternatives[0]:
            if not value.dtype.is_float:
                raise error("E958", f"`{choice.path}` chooses between tensors {value.type}, which cannot be weighed")
        self.prepare(choice)
        shares = self.shares[choice.path]
        return tuple(_sum(shares, results) for results in zip(*alternatives, strict=True))

    def _shares(self, choice: Choice) -> Sequence[Value]:
        n = len(choice.labels)
        alpha = build.param(alpha_path(choice.path), f"[{n}]")
        share: Value = build.softmax(alpha) if self.gumbel is None else self._noisy(choice.path, alpha, self.gumbel)
        return [build.reshape(build.slice(share, [i], [i + 1], [1]), []) for i in range(n)]

    def _noisy(self, path: str, alpha: Value, gumbel: Gumbel) -> Value:
        if self.temperature is None:
            self.temperature = build.state(TEMPERATURE, "[]", initial("ones"))
        operands = (alpha, self.temperature, build.run_key())
        inputs = tuple(placeholder(f"x{i}", v.type) for i, v in enumerate(operands))
        logits, temperature, key = inputs
        (n,) = alpha.shape
        uniform = build.maximum(build.random_uniform(key, shape=[n], path=path), 2.0**-25)
        noisy = build.softmax((logits - build.log(-build.log(uniform))) / temperature)
        if gumbel.hard:
            taken = build.cast(build.one_hot(build.argmax(noisy, axis=0), n), noisy.dtype)
            noisy = build.stop_gradient(taken - noisy) + noisy
        training = Graph("training", inputs, (noisy,))
        inference = Graph("inference", inputs, (build.softmax(logits / temperature),))
        return make(Mode(training=training, inference=inference), operands).outputs[0]


def _sum(shares: Sequence[Value], results: Sequence[Value]) -> Value:
    first, *others = [share * value for share, value in zip(shares, results, strict=True)]
    for other in others:
        first = first + other
    return first
