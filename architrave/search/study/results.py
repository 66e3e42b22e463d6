"""A search in its storage: whose it is, what its trials came to, and which are best."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from architrave.ir.source import error, printable
from architrave.search.space.feasible import Feasible
from architrave.search.study.candidate import Scene
from architrave.search.study.objectives import Objective, objectives
from architrave.search.study.sampler import Decisions, pruner
from architrave.search.study.storage import guarded
from architrave.search.study.strategies import dominates

ABOUT = "architrave"
"""The attribute of a study that says what it searches."""


@dataclass(frozen=True)
class Result:
    """What became of the trial in a slot: its values by objective, or why it has none."""

    slot: int
    member: Mapping[str, str]
    values: Mapping[str, float]
    failure: str | None = None
    pruned: bool = False
    seconds: float = 0.0


def opened_study(scene: Scene, feasible: Feasible, storage: Any) -> Study:
    """The study of a search, which is made if there is none.

    Raises E960 for one of another space, E965 for one under other conditions, E964 and E966 for what there is not.
    """
    settings = scene.settings
    wanted = objectives(settings.objectives)
    # Nothing is known early of members that do not learn.
    stops = pruner(settings, [objective.early if scene.supernet is None else None for objective in wanted.values()])
    name = settings.study or feasible.costs.space.name
    with guarded(settings.storage), warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study = optuna.create_study(
            storage=storage,
            sampler=Decisions(settings, feasible),
            pruner=stops,
            study_name=name,
            directions=["maximize" if objective.maximize else "minimize" for objective in wanted.values()],
            load_if_exists=True,
        )
        network = {"network": scene.digest, "supernet": scene.supernet}
        about = {"space": feasible.costs.space.fingerprint, **network, **settings.conditions()}
        if ABOUT not in study.user_attrs and not study.get_trials(deepcopy=False):
            study.set_user_attr(ABOUT, about)
        _check(study, about, settings.storage)
    return study


def result(trial: FrozenTrial, names: Sequence[str]) -> Result:
    """A trial that is over."""
    done = trial.state is TrialState.COMPLETE
    values = dict(zip(names, trial.values, strict=True)) if done else {}
    failure: str | None = None
    if trial.state is TrialState.FAIL:
        failure = trial.user_attrs.get("failure", "the process has ended each time")
    elapsed = trial.duration.total_seconds() if trial.duration is not None else 0.0
    member = {path: str(label) for path, label in trial.params.items()}
    pruned = trial.state is TrialState.PRUNED
    return Result(trial.user_attrs["slot"], member, values, failure, pruned, elapsed)


def front(results: Sequence[Result], wanted: Mapping[str, Objective]) -> list[Result]:
    """The results that no other beats in everything, the best by the first objective first; each member once."""
    scored = {tuple(sorted(r.member.items())): r for r in reversed(results) if r.values}
    points = [(r, _oriented(r, wanted)) for r in scored.values()]
    best = [(r, point) for r, point in points if not any(dominates(other, point) for _, other in points)]
    return [r for r, _ in sorted(best, key=lambda pair: ([-x for x in pair[1]], pair[0].slot))]


def _oriented(found: Result, wanted: Mapping[str, Objective]) -> tuple[float, ...]:
    return tuple(found.values[name] if o.maximize else -found.values[name] for name, o in wanted.items())


def _check(study: Study, about: Mapping[str, Any], storage: str | None) -> None:
    found = study.user_attrs.get(ABOUT)
    where = f"the study `{printable(study.study_name)}` in {printable(str(storage))}"
    if found is None:
        raise error("E960", f"{where} is of another program", hint="give this search a name of its own with --study")
    if found["space"] != about["space"]:
        hint = "give this search a name of its own with --study, or another storage"
        raise error("E960", f"{where} is of another space: its choices are others", hint=hint)
    other = [
        f"{name} was {found.get(name)!r}, and is {value!r}" for name, value in about.items() if found.get(name) != value
    ]
    if other:
        hint = "go on with the same, or give this search a name of its own with --study"
        raise error("E965", f"{where} was made under other conditions: {'; '.join(other)}", hint=hint)
