"""Training supernets whose members are slices: each step several of them learn at once, and share one update."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from architrave.backends.load import Program, compile
from architrave.distil.terms import Scene, Term
from architrave.ir import build
from architrave.ir.arrays import Array
from architrave.ir.autodiff import with_gradients
from architrave.ir.bind import sizes_of
from architrave.ir.dims import substitute
from architrave.ir.graph import Graph, Value
from architrave.ir.mode import specialize
from architrave.ir.ops.leaves import path_of
from architrave.ir.types import TensorType
from architrave.search.space.members import Member
from architrave.search.supernet.slices import Slices
from architrave.train import Objective, Recipe, Schedule, Trainer
from architrave.train.step import learning
from architrave.weights import fit

Draw: TypeAlias = Callable[[Slices, Any], list[Member]]
"""Which members learn in a step; the second argument is a NumPy generator."""
COMPILED = 64
"""Members whose programs are kept."""


@dataclass(frozen=True)
class Sandwich:
    """The largest member, then the smallest, and `others` that are drawn.

    Yu and Huang, "Universally Slimmable Networks and Improved Training Techniques" (2019).
    """

    others: int = 2

    def __call__(self, slices: Slices, rng: Any) -> list[Member]:
        return [slices.largest, slices.smallest, *(slices.costs.space.sample(rng) for _ in range(self.others))]


@dataclass(frozen=True)
class Sampled:
    """So many members that are drawn, each as likely as every other: Valipour and others, "SortedNet" (2023)."""

    count: int = 2

    def __call__(self, slices: Slices, rng: Any) -> list[Member]:
        return [slices.costs.space.sample(rng) for _ in range(self.count)]


class SliceTrainer:
    """The weights of the largest member, and what the optimizer remembers of them.

    In a step the gradients of all members that are drawn are summed where their weights stand in those of the largest,
    and the optimizer makes one update. With `taught` the members after the first learn from what that one gives in the
    same step, and from no targets: with `Sandwich()` that is in-place distillation. Running statistics are those of the
    first; a child takes its own from batches. Each member is compiled when it is first drawn, and the programs of those
    that were drawn last are kept.
    """

    def __init__(
        self,
        slices: Slices,
        weights: Mapping[str, Any],
        recipe: Recipe,
        schedule: Schedule,
        target: TensorType,
        draw: Draw,
        *,
        taught: Term | None = None,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int = 0,
        compiled: int = COMPILED,
    ) -> None:
        """Start from weights of the largest member. Raises E502 to E505, and what a `Trainer` does."""
        self.slices, self.objective, self.target = slices, recipe.objective, target
        self.draw, self.taught, self.backend, self.seed = draw, taught, backend, seed
        self.dtype, self.compiled = np.dtype(dtype), compiled
        self.learning = tuple(learning(slices.graph, recipe))
        """The paths of what learns."""
        self._recipe, self._schedule = replace(recipe, objective=Objective()), schedule
        self._programs: OrderedDict[tuple[Any, ...], Program] = OrderedDict()
        self._start(weights)

    def _start(self, weights: Mapping[str, Any]) -> None:
        self._held = fit(weights, self.slices.graph, self.dtype)
        self._update = Trainer(
            _updating(self.slices.graph, self.learning),
            self._recipe,
            self._schedule,
            backend=self.backend,
            dtype=self.dtype.name,
            seed=self.seed,
            weights={path: self._held[path] for path in self.learning},
        )

    def beside(self, weights: Mapping[str, Any]) -> SliceTrainer:
        """The same for other weights, which learn by themselves; compiled programs are shared."""
        other = copy(self)
        other._start(weights)
        return other

    @property
    def steps(self) -> int:
        """The batches that were seen."""
        return self._update.steps

    @property
    def rate(self) -> float:
        """The learning rate of the next update."""
        return self._update.rate

    def states(self) -> dict[str, Array]:
        """The weights of the largest member, and all that the optimizer remembers of them, by path."""
        return {**self._held, **self._update.states()}

    def restore(self, states: Mapping[str, Any], steps: int) -> None:
        """Go on from states that `states` gave after so many batches. Raises E502 to E505."""
        self._held = fit({path: states[path] for path in self._held if path in states}, self.slices.graph, self.dtype)
        self._update.restore({path: w for path, w in states.items() if path not in self._resting}, steps)

    def drawn(self, step: int) -> list[Member]:
        """The members that learn in a step; they follow from the seed."""
        return self.draw(self.slices, np.random.default_rng((self.seed, step)))

    def train(self, *arrays: Any, members: Sequence[Member] | None = None) -> list[float]:
        """Let the members of this step, or those given, learn from a batch: inputs and target.

        Gives the loss of each before.
        """
        *inputs, target = arrays
        weights = self.weights()
        total = {path: np.zeros_like(weights[path]) for path in self.learning}
        losses: list[float] = []
        taught, states = False, dict[str, Array]()
        for member in self.drawn(self.steps) if members is None else members:
            program = self._program(member, taught)
            mine = self.slices.weights(member, weights)
            given = [*inputs, target, *self._flowing(program.graph, [*inputs, target])]
            result = program.run(mine, *given, training=True, key=(self.seed, self.steps))
            loss, scores, *found = result.outputs
            learning = [path for path in map(path_of, program.graph.weights) if path in total]
            total = self.slices.added(member, dict(zip(learning, found, strict=True)), total)
            losses.append(float(loss))
            if len(losses) == 1:
                states = self.slices.written(member, result.updates, weights)
                taught, target = self.taught is not None, scores if self.taught is not None else target
        self._held |= {path: states[path] for path in states if path not in total}
        self._update.train(*(total[path] for path in self.learning))
        return losses

    def weights(self) -> dict[str, Array]:
        """The weights of the largest member."""
        return {**self._held, **self._update.weights()}

    @property
    def _resting(self) -> set[str]:
        """The paths of what the optimizer does not change: running statistics."""
        return self._held.keys() - set(self.learning)

    def _program(self, member: Member, taught: bool) -> Program:
        key = (taught, *member.items())
        if key not in self._programs:
            self._programs[key] = compile(self._differentiated(member, taught), self.backend)
        self._programs.move_to_end(key)
        while len(self._programs) > self.compiled:
            self._programs.popitem(last=False)
        return self._programs[key]

    def _differentiated(self, member: Member, taught: bool) -> Graph:
        """A member with its loss and scores, and the gradients of the loss by what learns."""
        network = self.slices.network(member)
        if taught:
            assert self.taught is not None, "there is what a member is taught by"
            attached = _taught(network, self.taught)
        else:
            attached = self.objective.attached(network, self.target)
        both = replace(attached, outputs=(*attached.outputs, network.outputs[0]))
        graph = specialize(both, training=True)
        return with_gradients(graph, [w for w in graph.weights if path_of(w) in self.learning])

    def _flowing(self, graph: Graph, given: list[Any]) -> list[Array]:
        """What flows back: one to the loss, nothing to the scores."""
        *wanted, _, scores = graph.inputs
        sizes = sizes_of(replace(graph, inputs=tuple(wanted)), [np.shape(x) for x in given])
        shape: Any = [substitute(size, sizes) for size in scores.shape]
        return [np.ones((), self.dtype), np.zeros(shape, self.dtype)]


def _taught(network: Graph, term: Term) -> Graph:
    """A member that learns from scores which are given in place of targets."""
    scores: Value = build.input("scores", network.outputs[0].type)
    loss = term.loss(Scene(network, (Graph("scores", (scores,), (scores,)),), "distil"))
    return replace(network, inputs=(*network.inputs, scores), outputs=(loss,))


def _updating(graph: Graph, paths: Sequence[str]) -> Graph:
    """A network whose gradients are its inputs: the sum of their products with the weights that learn."""
    weights = {path_of(w): w for w in graph.weights}
    inputs: list[Value] = [build.input(f"gradient_{i}", weights[path].type) for i, path in enumerate(paths)]
    total: Value = build.sum(inputs[0] * weights[paths[0]])
    for gradient, path in zip(inputs[1:], paths[1:], strict=True):
        total = total + build.sum(gradient * weights[path])
    return Graph(f"{graph.name}_update", tuple(inputs), (total,), tuple(weights[path] for path in paths))
