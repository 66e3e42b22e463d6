"""Sampling of paths and of examples by how much there is to learn from them.

Lu, Lin and others, "PA&DA: Jointly Sampling PAth and DAta for Consistent NAS" (2023). An alternative is drawn in
proportion to the norm of its gradient, an example to that of its scores; each loss is divided by how likely it was
drawn, so that the gradient stays that of uniform draws on average, with the least variance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.source import error
from architrave.ir.type_parser import parse_type
from architrave.passes.search.needs import Needing
from architrave.passes.search.switched import SWITCH, Switched, switch_path
from architrave.train import Recipe, Schedule
from architrave.train.objective import Weighted
from architrave.train.paths import PathTrainer

IMPORTANCE = "importance"
"""What the paths begin with of what is remembered of norms."""


def importance(norms: Any, share: float = 1.0) -> Array:
    """Probabilities in proportion to norms, mixed with `1 - share` of uniform ones; uniform where all norms are 0."""
    found = np.asarray(norms, np.float64)
    uniform = np.full(found.shape, 1 / found.size)
    total = found.sum()
    return share * found / total + (1 - share) * uniform if total > 0 else uniform


def variance(norms: Any, probabilities: Any, mean_norm: float) -> float:
    """How far `g_i / (M p_i)` is from the mean of M gradients, squared and on average; `mean_norm` is that of the mean.

    With probabilities in proportion to norms it is least, `(sum |g_i| / M)^2 - |mean|^2`.
    """
    found, drawn = np.asarray(norms, np.float64), np.asarray(probabilities, np.float64)
    some = found > 0
    return float((found[some] ** 2 / drawn[some]).sum() / found.size**2 - mean_norm**2)


def example_norms(scores: Any, labels: Any) -> Array:
    """Of each example the norm of the gradient of cross entropy by its scores: that of `softmax - onehot`."""
    scores = np.asarray(scores, np.float64)
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    return np.asarray(np.linalg.norm(shares - np.eye(scores.shape[-1])[np.asarray(labels)], axis=-1))


class Norms:
    """The mean norm of each of some things in the steps of an epoch."""

    def __init__(self, count: int) -> None:
        self.known = np.full(count, np.nan)
        """Those of the epochs before; NaN of what was in none."""
        self._sums, self._counts = np.zeros(count), np.zeros(count)

    def note(self, places: Any, norms: Any) -> None:
        """Those of one step; a place may be there several times."""
        np.add.at(self._sums, places, norms)
        np.add.at(self._counts, places, 1)

    def taken(self) -> Array:
        """Those after this epoch, with which another begins."""
        seen = self._counts > 0
        self.known[seen] = self._sums[seen] / self._counts[seen]
        self._sums[:] = self._counts[:] = 0
        there = ~np.isnan(self.known)
        return np.where(there, self.known, self.known[there].mean() if there.any() else 0.0)

    def state(self) -> Array:
        """All that is remembered, [3, count]."""
        return np.stack([self.known, self._sums, self._counts])

    def restore(self, state: Array) -> None:
        """Go on from what `state` gave."""
        self.known, self._sums, self._counts = (np.array(row) for row in state)


class PaDa:
    """Training a supernet by importance sampling of paths and of examples.

    Probabilities begin uniform. They are taken anew after each epoch, from the gradients that alternatives had in its
    steps, and examples by their scores; what was not drawn in it keeps what it had before, and what never was counts as
    what others have on average. Alternatives without weights have the uniform part alone.
    """

    def __init__(
        self,
        supernet: Switched,
        inputs: Sequence[Any],
        labels: Any,
        recipe: Recipe,
        schedule: Schedule,
        *,
        batch: int = 32,
        share: float = 0.5,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int = 0,
        weights: Mapping[str, Any] | None = None,
    ) -> None:
        """`inputs` and integer `labels` hold all examples; the recipe's loss is one of labels.

        Raises what a `Trainer` does.
        """
        self.inputs, self.labels = [np.asarray(x) for x in inputs], np.asarray(labels)
        self.batch, self.share, self.backend, self.seed = batch, share, backend, seed
        objective = Weighted(recipe.objective.loss, recipe.objective.arguments)
        self.trainer = PathTrainer(
            supernet,
            self.drawn,
            replace(recipe, objective=objective),
            schedule,
            parse_type("i64[N]"),
            backend=backend,
            dtype=dtype,
            seed=seed,
            weights=weights,
            gradients=True,
            scores=True,
        )
        self.supernet = supernet
        self.paths = {path: importance(np.zeros(len(labels))) for path, labels in supernet.labels.items()}
        """How likely each label of each decision is."""
        self.examples = importance(np.zeros(len(self.labels)))
        """How likely each example is."""
        self._of_paths = {path: Norms(len(labels)) for path, labels in supernet.labels.items()}
        self._of_examples = Norms(len(self.labels))

    def train(self) -> float:
        """Let a member that is drawn learn from examples that are drawn. Gives their loss before, as it is weighed."""
        step = self.trainer.steps
        rng: Any = np.random.default_rng((self.seed, step, 1))
        places = rng.choice(len(self.labels), self.batch, p=self.examples)
        factor = self.factor(self.drawn(step))
        weights = factor / (len(self.labels) * self.examples[places])
        loss = self.trainer.train(*(x[places] for x in self.inputs), self.labels[places], weights)
        self._note(self.drawn(step), factor)
        self._of_examples.note(places, example_norms(self.trainer.scores, self.labels[places]))
        return loss

    def refresh(self) -> None:
        """Take all probabilities anew: what is called after each epoch."""
        for path, norms in self._of_paths.items():
            self.paths[path] = importance(norms.taken(), self.share)
        self.examples = importance(self._of_examples.taken(), self.share)

    @property
    def steps(self) -> int:
        """The batches that were seen."""
        return self.trainer.steps

    @property
    def rate(self) -> float:
        """The learning rate of the next update."""
        return self.trainer.rate

    def weights(self) -> dict[str, Array]:
        """The weights of the supernet, by path."""
        return self.trainer.weights()

    def states(self) -> dict[str, Array]:
        """All that it needs to go on later, by path: of what is drawn, its probabilities above its norms."""
        return {**self.trainer.states(), **self._importance()}

    def restore(self, states: Mapping[str, Any], steps: int) -> None:
        """Go on from states that `states` gave after so many batches. Raises E502 to E505, E547."""
        for path, array in self._importance().items():
            if path not in states or np.shape(states[path]) != array.shape:
                raise error("E547", "this is no run whose paths and examples were drawn by importance")
        self.examples, *norms = states[f"{IMPORTANCE}.examples"]
        self._of_examples.restore(np.stack(norms))
        for path in self.paths:
            self.paths[path], *norms = states[f"{IMPORTANCE}.paths.{path}"]
            self._of_paths[path].restore(np.stack(norms))
        known = self._importance()
        self.trainer.restore({path: w for path, w in states.items() if path not in known}, steps)

    def _importance(self) -> dict[str, Array]:
        drawn = {f"paths.{path}": (p, self._of_paths[path]) for path, p in self.paths.items()}
        every = {**drawn, "examples": (self.examples, self._of_examples)}
        return {f"{IMPORTANCE}.{name}": np.vstack([p, norms.state()]) for name, (p, norms) in every.items()}

    def drawn(self, step: int) -> dict[str, str]:
        """The member of a step."""
        rng: Any = np.random.default_rng((self.seed, step, 0))
        chances = self.paths.items()
        return {path: self.supernet.labels[path][int(rng.choice(len(p), p=p))] for path, p in chances}

    def factor(self, member: Mapping[str, str]) -> float:
        """By what the loss of a member is multiplied: how likely it is by uniform draws, over how likely it is here."""
        positions = ((path, self.supernet.labels[path].index(label)) for path, label in member.items())
        return float(np.prod([1 / (len(self.paths[path]) * self.paths[path][i]) for path, i in positions]))

    @cached_property
    def _owners(self) -> dict[str, tuple[str, int]]:
        """Which alternative a weight belongs to."""
        decisions = {switch_path(path): path for path in self.supernet.labels}
        found = Needing(self.supernet.graph, SWITCH).alternatives()
        return {weight: (decisions[switch], i) for weight, (switch, i) in found.items()}

    def _note(self, member: Mapping[str, str], factor: float) -> None:
        """Remember the norms of the gradients of what was taken, as they would be without weighing."""
        squares: dict[tuple[str, int], float] = {}
        for weight, gradient in self.trainer.gradients.items():
            owner = self._owners.get(weight)
            if owner is not None:
                squares[owner] = squares.get(owner, 0.0) + float(np.square(gradient, dtype=np.float64).sum())
        for path, label in member.items():
            i = self.supernet.labels[path].index(label)
            self._of_paths[path].note([i], [np.sqrt(squares.get((path, i), 0.0)) / factor])
