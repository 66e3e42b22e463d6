"""Searching: trials one after another, in as many processes as share a storage."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import Trial, TrialState

from architrave.ir.source import ArchitraveError
from architrave.search.space.feasible import Feasible
from architrave.search.space.members import Member
from architrave.search.study.candidate import Candidate, Scene
from architrave.search.study.objectives import Objective, latency, objectives
from architrave.search.study.results import Result, front, opened_study, result
from architrave.search.study.sampler import decide
from architrave.search.study.settings import Settings
from architrave.search.study.slots import Slots, is_settled
from architrave.search.study.storage import check_there, close, guarded, opened
from architrave.search.study.strategies import keeping

BEAT = 15.0
"""The seconds between two signs of life of a trial."""
PAUSE = 0.5
"""The seconds between two looks at trials of other processes."""


@dataclass(frozen=True)
class Search:
    """A search that is open: its members, its objectives, and its trials in their storage.

    with Search.of(Settings("net.arch", data="digits", storage="sqlite:///found.db")) as search:
        Worker(search).run()
        best = search.front()
    """

    settings: Settings
    scene: Scene
    feasible: Feasible
    slots: Slots
    objectives: Mapping[str, Objective]

    @classmethod
    def of(cls, settings: Settings) -> Search:
        """Begin a search, or go on with it. Raises what the model, the objectives and the storage do."""
        scene = Scene(settings)
        wanted = objectives(settings.objectives)
        if settings.supernet is not None or any(objective.examples for objective in wanted.values()):
            # What is wrong with them is said before anything begins.
            _ = scene.examples
        scene.costs.check()
        feasible = Feasible(scene.costs, lambda member: latency(Candidate(scene, member)))
        # A space without a member that keeps its constraints is refused here, too.
        feasible.sample(np.random.default_rng(settings.seed))
        trials = settings.trials
        if settings.strategy == "grid":
            trials = sum(1 for _ in islice(keeping(feasible), trials))
        storage = opened(settings.storage)
        try:
            study = opened_study(scene, feasible, storage)
        except BaseException:
            close(storage)
            raise
        return cls(settings, scene, feasible, Slots(study, storage, trials), wanted)

    def __enter__(self) -> Search:
        return self

    def __exit__(self, *problem: object) -> None:
        close(self.slots.storage)

    @property
    def study(self) -> Study:
        """The study, as Optuna has it."""
        return self.slots.study

    def results(self) -> list[Result]:
        """What the trials that are over came to."""
        with guarded(self.settings.storage):
            return [result(trial, self.settings.objectives) for trial in self.slots.settled()]

    def front(self) -> list[Result]:
        """The members that no other beats in everything."""
        return front(self.results(), self.objectives)


@dataclass(frozen=True)
class Worker:
    """A process that does trials until all are done, by itself or by others.

    `told` is called whenever a trial of this process is over, and while it waits for others.
    """

    search: Search
    told: Callable[[], object] = field(default=lambda: None)

    def run(self) -> None:
        """Do trials. Raises E961, E962 where the storage fails, and what a strategy does."""
        name = self.search.settings.storage
        with guarded(name):
            while True:
                check_there(name)
                trial = self.slots.claim()
                if trial is not None:
                    self._do(trial)
                elif self._all_done():
                    return
                else:
                    time.sleep(PAUSE)
                self.told()

    @property
    def slots(self) -> Slots:
        """The places of the search."""
        return self.search.slots

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return self.search.settings.objectives

    def _all_done(self) -> bool:
        current = self.slots.current()
        return len(current) == self.slots.trials and all(map(is_settled, current.values()))

    def _do(self, trial: Trial) -> None:
        try:
            with beating(self.slots, trial):
                member = decide(trial, self.search.feasible.costs.space)
                self._judge(trial, member)
        except UpdateFinishedTrialError:
            # Another process took this one for dead, and the trial is no longer ours.
            return
        except BaseException:
            with contextlib.suppress(Exception):
                self.slots.give_back(trial)
            raise

    def _judge(self, trial: Trial, member: Member) -> None:
        known = next((r for r in self.search.results() if r.values and r.member == member), None)
        if known is not None:
            trial.set_user_attr("same_as", known.slot)
            self.slots.finish(trial, known.values.values())
            return
        try:
            values = self._values(trial, member)
        except optuna.TrialPruned:
            self.slots.finish(trial, None, TrialState.PRUNED)
        except UpdateFinishedTrialError:
            raise
        except ArchitraveError as problem:
            if problem.diagnostics[0].code in ("E961", "E962"):
                raise
            self.slots.fail(trial, f"{problem.diagnostics[0].code}: {problem.diagnostics[0].message}")
        except Exception as problem:
            self.slots.fail(trial, f"{type(problem).__name__}: {str(problem)[:500]}".rstrip(": "))
        else:
            self._tell(trial, values)

    def _tell(self, trial: Trial, values: Mapping[str, float]) -> None:
        strange = next((name for name, value in values.items() if not math.isfinite(value)), None)
        if strange is not None:
            self.slots.fail(trial, f"`{strange}` is {values[strange]}")
            return
        self.slots.finish(trial, values.values())

    def _values(self, trial: Trial, member: Member) -> dict[str, float]:
        early = next(iter(self.search.objectives.values())).early if len(self._names) == 1 else None

        def learnt(row: Mapping[str, Any]) -> None:
            if early is None or early not in row:
                return
            with guarded(self.search.settings.storage):
                trial.report(row[early], row["epoch"])
                stop = trial.should_prune()
            if stop:
                raise optuna.TrialPruned

        candidate = Candidate(self.search.scene, member, learnt)
        return {name: float(o.measure(candidate)) for name, o in self.search.objectives.items()}


@contextlib.contextmanager
def beating(slots: Slots, trial: Trial) -> Generator[None]:
    """Signs of life of a trial, for processes that cannot see this one."""
    over = threading.Event()
    identifier = slots.identifier(trial.number)

    def beat() -> None:
        count = 0
        while not over.wait(BEAT):
            count += 1
            # What is wrong with the storage is said by what the trial itself does with it.
            with contextlib.suppress(Exception):
                slots.storage.set_trial_user_attr(identifier, "beat", count)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
