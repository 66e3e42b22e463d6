"""What `architrave train --sparsity` adds to a run: masks, and when they are chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from architrave.ir.source import error, nearest, printable

if TYPE_CHECKING:
    from architrave.ir.graph import Graph
    from architrave.sparsity.masks.schedules import Gradual
    from architrave.sparsity.scores.plan import Plan
    from architrave.train import Dataset, Refresh, Trainer

DEFAULTS: Mapping[str, Any] = {
    "method": "magnitude",
    "pattern": "unstructured",
    "distribution": "uniform",
    "only": "",
    "begin": 0.1,
    "end": 0.6,
    "every": 0,
    "examples": 64,
}
"""The settings of `--sparsity-option`. `begin` and `end` are shares of the run, `every` is a number of steps."""
UPDATES = 50
"""How often masks are chosen unless `every` says otherwise."""
AT_ONCE = ("random", "snip", "grasp", "synflow")
"""Methods whose masks are chosen before the first step, and stay."""


@dataclass(frozen=True)
class Sparsity:
    """How sparse a network becomes in training: the share of its weights that goes, and the settings."""

    share: float
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, share: float, pairs: Sequence[str]) -> Sparsity:
        """What `NAME=VALUE` options say. Raises E925 for a share or a setting that there is not."""
        if not 0 <= share < 1:
            hint = "it is the share of the weights that goes: 0.9 leaves one in ten"
            raise error("E925", f"a sparsity is from 0 to below 1, not {share:g}", hint=hint)
        settings = dict(DEFAULTS) | dict(map(_setting, pairs))
        if not 0 <= settings["begin"] <= settings["end"] <= 1 or settings["every"] < 0 or settings["examples"] < 1:
            what = "`begin` and `end` of sparse training are shares of the run, `every` and `examples` numbers above 0"
            raise error("E925", what)
        return cls(share, settings)

    def masked(
        self, network: Graph, weights: Mapping[str, Any], steps: int, data: Dataset, seed: int, backend: str
    ) -> tuple[Graph, dict[str, Any], Refresh]:
        """The network with masks, its weights with them, and what changes these in a run of so many steps.

        Raises E924 to E926 for what cannot be.
        """
        from architrave.sparsity.learning.dynamic import REWIRING
        from architrave.sparsity.learning.training import Gradually
        from architrave.sparsity.scores.methods import METHODS, check_method
        from architrave.sparsity.scores.one_shot import masked
        from architrave.sparsity.scores.plan import Task

        method = self.settings["method"]
        check_method(method, {**METHODS, **REWIRING})
        plan = self._plan("random" if method in REWIRING else method, seed, backend)
        if method in REWIRING and str(plan.pattern) != "unstructured":
            raise error("E926", f"`{method}` moves single numbers, not such as `{plan.pattern}`")
        graph, held = masked(network, weights, plan.only)
        schedule = self._schedule(plan.share, steps)
        if method not in AT_ONCE and method not in REWIRING:
            return graph, held, Gradually(plan, schedule, data)
        first = METHODS[plan.method](Task(graph, held, plan, data))
        rewiring = REWIRING[method](schedule.every, until=schedule.end) if method in REWIRING else None
        return graph, first, rewiring or _unchanged

    def _plan(self, method: str, seed: int, backend: str) -> Plan:
        from architrave.sparsity.masks.pattern import pattern
        from architrave.sparsity.scores.plan import Plan

        share = float(1 - Fraction(str(self.share)))
        shape, distribution, only, examples = (
            self.settings[k] for k in ("pattern", "distribution", "only", "examples")
        )
        return Plan(share, method, pattern(shape), distribution, only, seed, examples, backend=backend)

    def _schedule(self, density: float, steps: int) -> Gradual:
        """When masks are chosen in a run of so many steps. Raises E925 where there is no time."""
        from architrave.sparsity.masks.schedules import Gradual

        begin, end = (int(self.settings[name] * steps) for name in ("begin", "end"))
        if begin == end:
            return Gradual.at_once(density, max(1, begin))
        schedule = Gradual.over(density, begin, end, self.settings["every"] or max(1, (end - begin) // UPDATES))
        if schedule.end > steps:
            what = f"masks chosen every {schedule.every} steps are not done within the {steps} of the run"
            raise error("E925", what, hint="give a smaller `every`, or more epochs")
        return schedule


def _unchanged(trainer: Trainer, batch: Sequence[Any]) -> None:
    """Masks that stay as they are."""


def _setting(pair: str) -> tuple[str, Any]:
    """A setting of `DEFAULTS`: text, or a number where that is one."""
    name, _, value = pair.partition("=")
    if name not in DEFAULTS:
        hint = nearest(name, DEFAULTS) or f"it has {', '.join(DEFAULTS)}"
        raise error("E925", f"sparse training has no setting `{printable(name)}`", hint=hint)
    default = DEFAULTS[name]
    if isinstance(default, str):
        return name, value
    try:
        return name, int(value) if isinstance(default, int) else float(value)
    except ValueError:
        raise error("E925", f"`{name}` of sparse training is a number, not `{printable(value)}`") from None


def baked(network: Graph, weights: Mapping[str, Any]) -> dict[str, Any]:
    """The weights of the network without its masks, with zeros where these are false."""
    from architrave.passes import apply

    return dict(apply(network, "bake-masks").weights(weights))
