"""Training a network: step by step, or in a loop of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from architrave.backends.load import Program, compile
from architrave.backends.runner import Session
from architrave.ir.arrays import Array
from architrave.ir.bind import sizes_of
from architrave.ir.graph import Graph
from architrave.ir.initializers import init
from architrave.ir.mode import specialize
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import error
from architrave.ir.types import TensorType
from architrave.train.data import Dataset
from architrave.train.diagnosis import not_finite
from architrave.train.evaluation import Evaluation
from architrave.train.schedules import Schedule
from architrave.train.step import Recipe, learning, step_graph
from architrave.weights import fit


class Trainer:
    """A network on its way: weights, what the optimizer remembers, and how many batches there were.

    The whole step is one program of the backend, and its states stay there between steps. Random numbers (dropout) are
    keyed by the seed and the number of the batch: on every backend a run draws the same.

        trainer = Trainer(network, Recipe(AdamW(), Objective("cross_entropy")), Schedule(1e-3, 500), target)
        for images, labels in batches:
            loss = trainer.train(images, labels)
    """

    def __init__(
        self,
        network: Graph,
        recipe: Recipe,
        schedule: Schedule,
        target: TensorType | None = None,
        *,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int = 0,
        weights: Mapping[str, Any] | None = None,
        gradients: bool = False,
        scores: bool = False,
    ) -> None:
        """Start from `weights`, or from the network's first ones for the seed.

        `target` is the type of the targets, which the loss gets. With `gradients` those of the last batch are kept, and
        with `scores` what the network gave for it. Raises E400, E502 to E505 and what `step_graph` does.
        """
        self.network = network
        self.recipe = recipe
        self.schedule = schedule
        self.target = target
        self.backend = backend
        self.seed = seed
        self._keeps_scores = scores
        self.steps = 0
        """The batches that the network has seen."""
        self.graph = self._step(gradients, scores)
        self.gradients: dict[str, Array] = {}
        """Of the last batch, by the path of the weight, before clipping; empty unless they are kept."""
        self.scores: Array | None = None
        """What the network gave for the last batch, before it learned from it; None unless it is kept."""
        self.program: Program = compile(self.graph, backend)
        self._dtype = np.dtype(dtype)
        self._held = init(self.graph, seed, dtype)
        brought = {path: w for path, w in recipe.objective.held.items() if path in self._held}
        self._held |= {path: np.asarray(w, self._held[path].dtype) for path, w in brought.items()}
        if weights is not None:
            self._held |= fit(weights, network, dtype)
        self._session: Session | None = None

    @property
    def rate(self) -> float:
        """The learning rate of the next update."""
        return self.schedule(self.steps // self.recipe.accumulate)

    def train(self, *arrays: Any) -> float:
        """Learn from one batch: the inputs and, where there is a loss, the target. Gives the loss before.

        Raises E546 where the loss or a gradient is not finite: then nothing has changed, and the error says where that
        began. Raises E510, E511 and E517 for arrays that do not fit.
        """
        *wanted, _ = (v.hint for v in self.graph.inputs)
        if len(arrays) != len(wanted):
            raise error("E510", f"a step takes {len(wanted)} arrays ({', '.join(map(str, wanted))}), not {len(arrays)}")
        given = (*map(np.asarray, arrays), np.asarray(self.rate, self._dtype))
        converted = self._converted(given)
        outputs = self._started(given).run(converted, (self.seed, self.steps))
        loss = float(outputs[0])
        if not outputs[1]:
            raise not_finite(self.graph, self.steps + 1, loss, converted[-1], converted, self.states(), self.seed)
        self.steps += 1
        rest = list(outputs[2:])
        if self._keeps_scores:
            self.scores = rest.pop(0)
        if rest:
            self.gradients = dict(zip(self._learning, rest, strict=True))
        return loss

    def weights(self) -> dict[str, Array]:
        """The weights and states of the network, by path: what a checkpoint of it holds."""
        states = self.states()
        return {path_of(w): states[path_of(w)] for w in self.network.weights}

    def states(self) -> dict[str, Array]:
        """The weights, and all that the optimizer remembers, by path."""
        return dict(self._held) if self._session is None else self._session.states()

    def restore(self, states: Mapping[str, Any], steps: int) -> None:
        """Go on from states that `states` gave after so many batches. Raises E502 to E505."""
        self._held = fit(states, self.graph, self._dtype)
        self._session = None
        self.steps = steps

    def assign(self, states: Mapping[str, Any]) -> None:
        """Give some states other values between two steps: weights, masks, what the optimizer remembers.

        Raises E502 to E505 for what does not fit, and then nothing has changed.
        """
        given = replace(self.graph, weights=tuple(w for w in self.graph.weights if path_of(w) in states))
        fitted = fit(states, given, self._dtype)
        if self._session is None:
            self._held |= fitted
        else:
            self._session.assign(fitted)

    def judged(self, data: Dataset) -> dict[str, float]:
        """What the network has learnt: its loss on examples and, of classes, its accuracy."""
        return self.evaluation.run(self.weights(), data)

    @cached_property
    def evaluation(self) -> Evaluation:
        """The network in inference mode, with the loss."""
        return Evaluation(self.network, self.recipe.objective.judge, self.target, self.backend)

    def _step(self, gradients: bool, scores: bool) -> Graph:
        return step_graph(self.network, self.recipe, self.target, gradients, scores)

    @cached_property
    def _learning(self) -> tuple[str, ...]:
        return tuple(learning(specialize(self.network, training=True), self.recipe))

    def _started(self, given: Sequence[Array]) -> Session:
        if self._session is None:
            self._session = self.program.session(self._held, *given)
        return self._session

    def _converted(self, given: Sequence[Array]) -> list[Array]:
        """The arrays in the dtypes of the session, which its first batch has set."""
        session = self._started(given)
        sizes_of(self.graph, [x.shape for x in given])
        for value, x, like in zip(self.graph.inputs, given, session.execution.inputs, strict=True):
            if x.dtype.kind != like.dtype.kind and not np.can_cast(x.dtype, like.dtype, "same_kind"):
                raise error("E517", f"the input `{value.hint}` is {value.type}, but the array holds {x.dtype}")
        return [x.astype(like.dtype, copy=False) for x, like in zip(given, session.execution.inputs, strict=True)]
