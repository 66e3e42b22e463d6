"""How a network is pruned, and what a method that scores its units is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

from architrave.ir.arrays import Array
from architrave.ir.axes.groups import Group, Groups
from architrave.ir.source import error
from architrave.record.examples import check_examples, drawn
from architrave.record.recorder import silent
from architrave.train.data import Dataset

By = Literal["macs", "parameters", "units", "time"]
BUDGETS: tuple[By, ...] = get_args(By)
"""What a budget may be in: multiply-adds, trained numbers, units of groups, or seconds of one run."""
Begin = Callable[[str, int], Callable[[int], object]]
"""Told of a stage of the work and how many parts it has; what it gives is told how many more are done."""


@dataclass(frozen=True)
class Plan:
    """How a network is pruned.

    `keep` is the share that stays of what it costs `by`. With the scope `global` all units are ranked together, their
    scores divided as `normalize` says; with `layer` every group loses the same share. Each group keeps the `minimum`
    share of its units at least, and numbers of units that are multiples of `multiple`. `only` chooses groups by the
    names of their weights. The `examples` are those that a method which needs data is given, `batch` of them at once;
    `sizes` bind symbols such as a length, 1 where nothing does. In `rounds` the network is cut little by little.
    """

    keep: float = 0.5
    by: By = "macs"
    method: str = "magnitude"
    scope: Literal["global", "layer"] = "global"
    normalize: str = ""
    minimum: float = 0.1
    multiple: int = 1
    only: str = ""
    rounds: int = 1
    loss: str = "cross_entropy"
    examples: int = 64
    batch: int = 8
    seed: int = 0
    sizes: Mapping[str, int] | None = None
    backend: str = "torch"

    def __post_init__(self) -> None:
        """Raises E936 for a share, a multiple or a number of rounds that no network has."""
        if not 0 < self.keep <= 1:
            raise error("E936", f"a share of {self.keep:g} cannot be kept", hint="more than 0, and 1 at most")
        if not 0 <= self.minimum <= 1:
            raise error("E936", f"no group can keep a share of {self.minimum:g}", hint="from 0 to 1")
        if self.multiple < 1 or self.rounds < 1:
            raise error("E936", "multiples and rounds are counted from 1", hint="give 1 or more")
        if self.by not in BUDGETS:
            raise error("E936", f"there is no budget in `{self.by}`", hint=f"it is one of {', '.join(BUDGETS)}")


@dataclass(frozen=True)
class Task:
    """What a method is given: a network by its groups, those to score, weights, and examples where there are any."""

    groups: Groups
    cut: tuple[Group, ...]
    weights: Mapping[str, Any]
    plan: Plan
    data: Dataset | None = None
    begin: Begin = lambda stage, count: silent

    @cached_property
    def examples(self) -> Dataset:
        """The examples that are drawn. Raises E938 where the method is given none, E915 for what does not fit."""
        if self.data is None:
            raise error("E938", f"the method `{self.plan.method}` needs examples", hint="give data to score by")
        check_examples(self.groups.graph, self.data)
        return drawn(self.data, self.plan.examples)

    @property
    def batches(self) -> list[tuple[Array, ...]]:
        """Their inputs, batch after batch."""
        return [arrays[: len(self.examples.inputs)] for arrays in self.examples.parts(self.plan.batch)]


Scores = dict[Group, Array]
"""For groups what each unit is worth: float64 [units]."""
