"""How weights are made sparse, and what a method that does it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.source import error
from architrave.record.examples import check_examples, drawn
from architrave.sparsity.masks.density import UNIFORM, check_density
from architrave.sparsity.masks.masked import Layer, layers, with_masks
from architrave.sparsity.masks.pattern import NM, Pattern, Unstructured
from architrave.sparsity.masks.selection import Scores, select
from architrave.train.data import Dataset


@dataclass(frozen=True)
class Plan:
    """How weights are made sparse: how many stay, which, and by what.

    `density` is the share that stays; a pattern N:M has its own. `examples` are those that a method which needs data is
    given, `batch` of them at once, and `backend` computes. With `permute` channels first get an order that suits N:M.
    """

    density: float | None = None
    method: str = "magnitude"
    pattern: Pattern | NM = field(default_factory=Unstructured)
    distribution: str = UNIFORM
    only: str = ""
    seed: int = 0
    examples: int = 64
    batch: int = 4
    backend: str = "torch"
    permute: bool = False

    @property
    def share(self) -> float:
        """The share of numbers that stay. Raises E925 for none, or for one that the pattern does not leave."""
        if not isinstance(self.pattern, NM):
            if self.density is None:
                raise error("E925", "how many numbers stay is not said", hint="give a density, such as 0.1")
            check_density(self.density)
            return self.density
        if self.density is not None and self.density != self.pattern.density:
            what = f"`{self.pattern}` leaves a density of {self.pattern.density:g}, not of {self.density:g}"
            raise error("E925", what, hint="leave the density out")
        return self.pattern.density

    def at(self, density: float) -> Plan:
        """The plan on the way there, when so many numbers stay."""
        if isinstance(self.pattern, NM):
            return replace(self, pattern=self.pattern.at(density), density=None)
        return replace(self, density=density)


@dataclass(frozen=True)
class Task:
    """What a method is given: a network with masks (the pass `mask`), its weights, and examples where there are any."""

    graph: Graph
    weights: Mapping[str, Any]
    plan: Plan
    data: Dataset | None = None

    @cached_property
    def layers(self) -> list[Layer]:
        """The weights that can have the plan's pattern. Raises E926 where none can."""
        found = [layer for layer in layers(self.graph) if self.plan.pattern.refusal(layer) is None]
        if not found:
            first = layers(self.graph)[0]
            reason = self.plan.pattern.refusal(first)
            raise error("E926", f"no weight can be made sparse as `{self.plan.pattern}`: `{first.path}`: {reason}")
        return found

    @cached_property
    def refused(self) -> dict[str, str]:
        """The weights that cannot, by path, with the reason: they stay dense."""
        reasons = {layer.path: self.plan.pattern.refusal(layer) for layer in layers(self.graph)}
        return {path: reason for path, reason in reasons.items() if reason is not None}

    def examples(self) -> Dataset:
        """As many examples as the plan says. Raises E925 where there are none, E915 where they do not fit."""
        if self.data is None:
            raise error("E925", f"the method `{self.plan.method}` needs examples", hint="give data to score by")
        check_examples(self.graph, self.data)
        return drawn(self.data, self.plan.examples)

    def masked(self, scores: Scores) -> dict[str, Array]:
        """The weights under masks that keep the highest scores, as the plan says."""
        plan = self.plan
        return with_masks(
            self.graph, self.weights, select(self.layers, scores, plan.share, plan.pattern, plan.distribution)
        )


Criterion = Callable[[Task], Scores]
Method = Callable[[Task], dict[str, Array]]
"""Gives all weights anew, with masks and with zeros where these are false."""


def by_scores(criterion: Criterion) -> Method:
    """The method that keeps what a criterion gives the highest scores."""
    return lambda task: task.masked(criterion(task))
