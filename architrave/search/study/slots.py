"""The places of a search, each of which is taken by one trial that counts, whatever becomes of processes.

A search of 200 trials has 200 slots. A trial belongs to a slot and is one of its attempts, which its attributes say
from the moment at which it exists. Where a process has died in a trial, that is recorded as failed without a reason,
and the slot gets its next attempt. Should two processes do this at once, the attempt with the lower number counts, and
nobody begins the other. The storage decides the rest: a trial that waits begins once, and one that is over stays so. So
a process that was thought dead finds its trial over, and what it has found out is left out.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from architrave.search.study.process import here, is_gone

DEATHS = 5
"""How many processes may die in one slot before it counts as failed."""
SILENCE = 60.0
"""The seconds after which a process counts as dead that is out of sight and whose trial shows no sign of life."""
NAMELESS = 10.0
"""The same for a trial that has begun, and does not say yet where."""


@dataclass
class Slots:
    """The slots of a study, as one process sees them."""

    study: Study
    storage: Any
    trials: int
    _seen: dict[int, tuple[Any, float]] = field(default_factory=dict[int, "tuple[Any, float]"])
    """The last sign of life of each trial, and when it was new."""

    def claim(self) -> Trial | None:
        """The next trial for this process to do; None where all are done or in hands."""
        while True:
            current = self.current()
            given_up = [trial for trial in current.values() if self._give_up(trial)]
            if given_up:
                current = self.current()
            for trial in (current[slot] for slot in sorted(current)):
                if trial.state is TrialState.WAITING and (begun := self._begin(trial)) is not None:
                    return begun
            if not self._add(current):
                return None

    def current(self) -> dict[int, FrozenTrial]:
        """The attempt of each slot that counts."""
        found: dict[int, FrozenTrial] = {}
        for trial in self.study.get_trials(deepcopy=False):
            slot = trial.user_attrs.get("slot")
            if slot is None or slot >= self.trials:
                continue
            if slot not in found or trial.user_attrs["attempt"] > found[slot].user_attrs["attempt"]:
                found[slot] = trial
        return found

    def settled(self) -> list[FrozenTrial]:
        """The trials that are over and count, in the order of their slots."""
        current = self.current()
        return [current[slot] for slot in sorted(current) if is_settled(current[slot])]

    def finish(self, trial: Trial, values: Iterable[float] | None, state: TrialState = TrialState.COMPLETE) -> bool:
        """Record what came of a trial; whether that counts: not where it was given to another process."""
        try:
            self.study.tell(trial, None if values is None else [*values], state=state)
        except (UpdateFinishedTrialError, ValueError):
            if self.study.trials[trial.number].state.is_finished():
                return False
            raise
        return True

    def fail(self, trial: Trial, reason: str) -> bool:
        """Record that a trial has failed, and why."""
        try:
            trial.set_user_attr("failure", reason)
        except UpdateFinishedTrialError:
            return False
        return self.finish(trial, None, TrialState.FAIL)

    def give_back(self, trial: Trial) -> None:
        """Leave a trial to whoever goes on later."""
        try:
            trial.set_user_attr("interrupted", True)
        except UpdateFinishedTrialError:
            return
        self.finish(trial, None, TrialState.FAIL)

    def identifier(self, number: int) -> int:
        """What the storage calls a trial."""
        study: int = self.storage.get_study_id_from_name(self.study.study_name)
        found: int = self.storage.get_trial_id_from_study_id_trial_number(study, number)
        return found

    def _begin(self, waiting: FrozenTrial) -> Trial | None:
        """A trial that waits, if nobody else was quicker."""
        number = self.identifier(waiting.number)
        try:
            if not self.storage.set_trial_state_values(number, state=TrialState.RUNNING):
                return None
            self.storage.set_trial_user_attr(number, "process", here())
        except UpdateFinishedTrialError:
            return None
        return Trial(self.study, number)

    def _give_up(self, trial: FrozenTrial) -> bool:
        """Give the slot of a trial that nobody does any more its next attempt; whether it is such a trial."""
        if trial.state is TrialState.RUNNING and self._is_dead(trial):
            try:
                self.storage.set_trial_state_values(self.identifier(trial.number), state=TrialState.FAIL)
            except UpdateFinishedTrialError:
                return True
            # It may have said why it fails before it ended.
            trial = self.study.get_trials(deepcopy=False)[trial.number]
        if trial.state is not TrialState.FAIL or is_settled(trial):
            return False
        deaths = trial.user_attrs["deaths"] + (0 if "interrupted" in trial.user_attrs else 1)
        decided = trial.params if "decided" in trial.user_attrs else {}
        self._enqueue(trial.user_attrs["slot"], trial.user_attrs["attempt"] + 1, deaths, decided)
        return True

    def _add(self, current: dict[int, FrozenTrial]) -> bool:
        slot = next((slot for slot in range(self.trials) if slot not in current), None)
        if slot is None:
            return False
        self._enqueue(slot, 0, 0, {})
        return True

    def _enqueue(self, slot: int, attempt: int, deaths: int, params: dict[str, Any]) -> None:
        """What was decided before a process died is decided again."""
        about = {"slot": slot, "attempt": attempt, "deaths": deaths}
        decided = {"fixed_params": params}
        self.study.add_trial(optuna.create_trial(state=TrialState.WAITING, user_attrs=about, system_attrs=decided))

    def _is_dead(self, trial: FrozenTrial) -> bool:
        process = trial.user_attrs.get("process")
        gone = None if process is None else is_gone(process)
        if gone is not None:
            return gone
        sign, now = (process, trial.user_attrs.get("beat")), time.monotonic()
        if self._seen.get(trial.number, (None, 0.0))[0] != sign:
            self._seen[trial.number] = (sign, now)
        return now - self._seen[trial.number][1] > (NAMELESS if process is None else SILENCE)


def is_settled(trial: FrozenTrial) -> bool:
    """Whether a trial is over and its slot done: also where it failed for a reason, or too many processes died."""
    if trial.state is not TrialState.FAIL:
        return trial.state.is_finished()
    return "failure" in trial.user_attrs or trial.user_attrs["deaths"] + 1 >= DEATHS
