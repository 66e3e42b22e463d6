"""What members are judged by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from architrave.ir import cost
from architrave.ir.source import error, nearest
from architrave.prune.timing import inputs_for, seconds
from architrave.search.study import proxies
from architrave.search.study.candidate import Candidate


@dataclass(frozen=True)
class Objective:
    """A number of a member: how it is found, and which way is better.

    `examples` says whether it needs any, `early` which number of an epoch tells of it before the last.
    """

    measure: Callable[[Candidate], float]
    maximize: bool = False
    examples: bool = False
    early: str | None = None


def latency(candidate: Candidate) -> float:
    """The seconds of one run on the backend of the search, at the sizes by which costs are counted."""
    sizes, backend = candidate.scene.sizes, candidate.scene.settings.backend
    inputs = inputs_for(candidate.graph, sizes, ())
    return seconds([(candidate.graph, candidate.first)], inputs, backend, lambda done: None)[0]


def accuracy(candidate: Candidate) -> float:
    """The share of the examples held out that is classified well. Raises E968 where there are no classes."""
    if "accuracy" not in candidate.judged:
        raise error("E968", "accuracy is of classes, and the examples have none", hint="take the objective `loss`")
    return candidate.judged["accuracy"]


def _cost(name: str) -> Callable[[Candidate], float]:
    return lambda candidate: candidate.scene.costs.of(candidate.member)[name]


OBJECTIVES: Mapping[str, Objective] = {
    "accuracy": Objective(accuracy, maximize=True, examples=True, early="val_accuracy"),
    "loss": Objective(lambda candidate: candidate.judged["loss"], examples=True, early="val_loss"),
    "params": Objective(_cost("params")),
    "macs": Objective(_cost("macs")),
    "memory": Objective(lambda candidate: cost.memory(candidate.graph, candidate.scene.costs.sizes).peak),
    "latency": Objective(latency),
    "synflow": Objective(proxies.synflow, maximize=True),
    "grad-norm": Objective(proxies.gradient_norm, maximize=True, examples=True),
    "snip": Objective(proxies.snip, maximize=True, examples=True),
    "naswot": Objective(proxies.naswot, maximize=True, examples=True),
}


def objectives(names: Sequence[str]) -> dict[str, Objective]:
    """Objectives by name. Raises E964 for one that there is not, or none, or one that is named twice."""
    for name in names:
        if name not in OBJECTIVES:
            hint = nearest(name, OBJECTIVES) or f"there are {', '.join(OBJECTIVES)}"
            raise error("E964", f"there is no objective `{name}`", hint=hint)
    if not names or len(set(names)) < len(names):
        raise error("E964", "a search has at least one objective, each named once")
    return {name: OBJECTIVES[name] for name in names}
