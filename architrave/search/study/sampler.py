"""Strategies as Optuna knows them, and Optuna's samplers as strategies: decisions are parameters of trials."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, HyperbandPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from architrave.dsl.space import Domain
from architrave.ir.source import error, nearest
from architrave.search.space.feasible import Feasible
from architrave.search.space.members import Member, Space
from architrave.search.study.reinforce import Reinforce
from architrave.search.study.settings import Settings
from architrave.search.study.strategies import TRIES, Evolution, Grid, Random, Strategy, Tried, Turn

OURS: Mapping[str, Callable[..., Strategy]] = {
    "random": Random,
    "grid": Grid,
    "evolution": Evolution,
    "reinforce": Reinforce,
}
THEIRS: Mapping[str, Callable[..., BaseSampler]] = {
    "tpe": partial(TPESampler, multivariate=True, group=True),
    "nsga2": partial(NSGAIISampler, population_size=20),
}
STRATEGIES = (*OURS, *THEIRS)
PRUNERS: Mapping[str, Callable[[int], BasePruner]] = {
    "none": lambda epochs: NopPruner(),
    "asha": lambda epochs: SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
    "hyperband": lambda epochs: HyperbandPruner(min_resource=1, max_resource=epochs, reduction_factor=3),
}


class Decisions(BaseSampler):
    """Gives a trial the decisions of the member that a strategy proposes for its slot.

    What is drawn follows from the seed, the slot and the trials before it alone.
    """

    def __init__(self, settings: Settings, feasible: Feasible) -> None:
        """Raises E966 for a strategy that there is not, or options that it lacks."""
        self.settings = settings
        self.feasible = feasible
        self.space = feasible.costs.space
        self.theirs = THEIRS.get(settings.strategy)
        self.ours: Strategy | None = None
        _check(settings)
        if self.theirs is None:
            self.ours = OURS[settings.strategy](**settings.options)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Every decision that some member has."""
        return {path: CategoricalDistribution(labels) for path, labels in self.space.labels.items()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The member."""
        slot = int(trial.user_attrs["slot"])
        rng = np.random.default_rng([self.settings.seed, slot])
        turn = Turn(self.feasible, rng, slot, tried(study), self.settings.seed)
        if self.ours is not None:
            return dict(self.ours.propose(turn))
        assert self.theirs is not None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            sampler = self.theirs(**self.settings.options, seed=int(rng.integers(2**31)))
        return dict(_Borrowed(sampler, study, trial, self.space).propose(turn))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Nothing is drawn alone."""
        raise AssertionError(f"the member has no decision `{param_name}`")


@dataclass(frozen=True)
class _Borrowed:
    """A sampler of Optuna, asked for members until one keeps the constraints."""

    sampler: BaseSampler
    study: Study
    trial: FrozenTrial
    space: Space

    def propose(self, turn: Turn) -> Member:
        self.sampler.before_trial(self.study, self.trial)
        for _ in range(TRIES):
            member = self._member()
            if not turn.feasible.broken(member):
                return member
        return turn.fresh()

    def _member(self) -> dict[str, str]:
        known = self.sampler.infer_relative_search_space(self.study, self.trial)
        drawn = self.sampler.sample_relative(self.study, self.trial, known) if known else {}

        def label(domain: Domain) -> str:
            if domain.path not in drawn:
                choice = CategoricalDistribution(domain.labels)
                drawn[domain.path] = self.sampler.sample_independent(self.study, self.trial, domain.path, choice)
            return str(drawn[domain.path])

        return self.space.walk(label)


def decide(trial: Trial, space: Space) -> dict[str, str]:
    """The member of a trial: a categorical parameter for each decision that exists in it."""
    member = space.walk(lambda domain: str(trial.suggest_categorical(domain.path, domain.labels)))
    trial.set_user_attr("decided", True)
    return member


def tried(study: Study) -> list[Tried]:
    """The trials that are over, in their order, their values turned so that more is better."""
    signs = [1.0 if direction.name == "MAXIMIZE" else -1.0 for direction in study.directions]
    return [
        Tried({path: str(label) for path, label in trial.params.items()}, _values(trial, signs))
        for trial in study.get_trials(deepcopy=False)
        if trial.state.is_finished() and trial.params
    ]


def pruner(settings: Settings, early: Sequence[str | None]) -> BasePruner:
    """What stops trials early. Raises E966 for one that there is not, or objectives that tell nothing early."""
    if settings.pruner not in PRUNERS:
        raise error("E966", f"there is no pruner `{settings.pruner}`", hint=f"there are {', '.join(PRUNERS)}")
    if settings.pruner != "none" and (len(early) != 1 or early[0] is None):
        hint = "search by `accuracy` or `loss` alone, or leave the pruner out"
        raise error("E966", f"`{settings.pruner}` goes by one objective that every epoch tells", hint=hint)
    return PRUNERS[settings.pruner](settings.epochs)


def _values(trial: FrozenTrial, signs: Sequence[float]) -> tuple[float, ...] | None:
    if trial.state is not TrialState.COMPLETE:
        return None
    return tuple(sign * value for sign, value in zip(signs, trial.values, strict=True))


def _check(settings: Settings) -> None:
    name = settings.strategy
    if name not in STRATEGIES:
        hint = nearest(name, STRATEGIES) or f"there are {', '.join(STRATEGIES)}"
        raise error("E966", f"there is no strategy `{name}`", hint=hint)
    known = options(name)
    for option, value in settings.options.items():
        if option not in known:
            hint = nearest(option, known) or f"it has {', '.join(known) or 'none'}"
            raise error("E966", f"`{name}` has no option `{option}`", hint=hint)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise error("E966", f"`{option}` of `{name}` is a number that is not negative, and not {value!r}")
        if known[option] == "int" and (value != int(value) or value < 1):
            raise error("E966", f"`{option}` of `{name}` is a whole number from 1, and not {value!r}")


def options(name: str) -> Mapping[str, str]:
    """The options that a strategy has, with their types."""
    match name:
        case "tpe":
            return {"n_startup_trials": "float", "n_ei_candidates": "int"}
        case "nsga2":
            chances = dict.fromkeys(("mutation_prob", "crossover_prob", "swapping_prob"), "float")
            return {"population_size": "int", **chances}
        case _:
            made: Any = OURS[name]
            return {f.name: str(f.type) for f in dataclasses.fields(made) if f.init}
