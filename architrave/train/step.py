"""One training step as one graph: the network, its gradients, clipping, the optimizer, and what is remembered.

Weights, what the optimizer remembers of them, and the network's own states are the states of this graph; it prints,
is verified and compiled like any other, and every backend runs the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from architrave.ir import build
from architrave.ir.autodiff import value_and_grad
from architrave.ir.graph import Graph, Node, Value, make
from architrave.ir.initial import initial
from architrave.ir.mode import specialize
from architrave.ir.ops.leaves import Param, State, path_of
from architrave.ir.ops.logic import StopGradient
from architrave.ir.place import Block, Place, marked
from architrave.ir.rewrite import rebuild
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType
from architrave.train.clipping import Clipping
from architrave.train.groups import Group, Rule, rule
from architrave.train.objective import Objective
from architrave.train.optimizers import Moment, Optimizer
from architrave.train.precision import mixed

MEMORY = "optimizer"
"""What the paths of everything that the optimizer remembers begin with."""
COUNT = f"{MEMORY}.count"

Learning: TypeAlias = Callable[[Mapping[str, Value]], Mapping[str, Value]]
"""Of all weights and states, by path: for each weight that rests in some steps, a truth value, whether it learns."""


def always(weights: Mapping[str, Value]) -> Mapping[str, Value]:
    """Every weight learns in every step."""
    return {}


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: everything that the step depends on, but its rate and the data.

    `decay` is the weight decay, `accumulate` the number of batches whose gradients are averaged for one update, and
    with `mixed` the network computes in bfloat16. A weight that rests in a step, as `learning` says, does not change,
    nor does what the optimizer remembers of it; of several batches for one update, one in which it learns is enough.
    """

    optimizer: Optimizer
    objective: Objective = field(default_factory=Objective)
    decay: float = 0.0
    groups: tuple[Group, ...] = ()
    clipping: Clipping = field(default_factory=Clipping)
    accumulate: int = 1
    mixed: bool = False
    learning: Learning = always


def step_graph(
    network: Graph, recipe: Recipe, target: TensorType | None = None, gradients: bool = False, scores: bool = False
) -> Graph:
    """The graph of a step. It takes the network's inputs, the target if there is a loss, and the rate, a number.

    It gives the loss; whether it and all gradients are finite, a truth value: if not, the step changes nothing; with
    `scores` the network's first output; and with `gradients` those of all weights that learn, in the order of
    `learning`. Raises E542 and E543 for a loss that does not suit, E544 where no weight learns.
    """
    graph, rules = _graded(network, recipe, target, scores)
    both = _with_states(graph)
    found = both.outputs[len(both.outputs) - len(rules) :]
    aux = both.outputs[1 : -len(rules)]
    weights = {path_of(w): w for w in both.weights}
    step = _Step(recipe, rules, weights, dict(zip(rules, found, strict=True)), both.place)
    whole = _stepped(both, step, (*aux, *found) if gradients else aux)
    return replace(whole, name=f"{network.name}_step")


def gradient_graph(
    network: Graph, recipe: Recipe, target: TensorType | None = None, scores: bool = False
) -> tuple[Graph, tuple[str, ...]]:
    """The graph of the part of a step before the optimizer, and the paths of the weights whose gradients it gives.

    It takes the network's inputs and the target, and gives what `step_graph` does, gradients included. It raises the
    same.
    """
    graph, rules = _graded(network, recipe, target, scores)
    loss, *others = graph.outputs
    finite = _all_finite([loss, *graph.outputs[len(graph.outputs) - len(rules) :]])
    return replace(graph, name=f"{network.name}_gradients", outputs=(loss, finite, *others)), tuple(rules)


def update_graph(network: Graph, recipe: Recipe, gradients: bool = False) -> Graph:
    """The graph of the other part. It takes the loss, all gradients in the order of `learning`, and the rate.

    It gives what `step_graph` does. The network's own states stay. Raises E544 where no weight learns.
    """
    rules = _rules(specialize(network, training=True), recipe)
    ops = {path_of(w): w.op for w in network.weights}
    weights = {p: build.state(p, op.type, op.initial) for p, op in ops.items() if isinstance(op, Param | State)}
    given = {path: build.input(f"gradient_{i}", weights[path].type) for i, path in enumerate(rules)}
    loss: Value = build.input("loss", "[]")
    inputs = (loss, *given.values())
    plain = Graph(f"{network.name}_update", inputs, inputs, tuple(weights.values()), place=network.place)
    return _stepped(plain, _Step(recipe, rules, weights, given, network.place), (*given.values(),) if gradients else ())


def _graded(
    network: Graph, recipe: Recipe, target: TensorType | None, scores: bool
) -> tuple[Graph, Mapping[str, Rule]]:
    """A network with its loss, perhaps its scores, and the gradients of what learns."""
    network = mixed(network) if recipe.mixed else network
    attached = recipe.objective.attached(network, target)
    aux = network.outputs[:1] if scores else ()
    graph = specialize(replace(attached, outputs=(*attached.outputs, *aux)), training=True)
    rules = _rules(graph, recipe)
    return value_and_grad(graph, [w for w in graph.weights if path_of(w) in rules], has_aux=scores), rules


def _rules(graph: Graph, recipe: Recipe) -> Mapping[str, Rule]:
    rules = learning(graph, recipe)
    if not rules:
        raise error("E544", f"`{graph.name}` has no weight that learns")
    return rules


def _stepped(graph: Graph, step: _Step, aux: Sequence[Value]) -> Graph:
    """A graph whose first output is the loss, with the update of a step and some outputs of its own."""
    loss = graph.outputs[0]
    finite = _all_finite([loss, *step.gradients.values()])
    updates = [(old, build.where(finite, new, old)) for old, new in (*graph.updates, *step.updates())]
    return replace(
        graph,
        inputs=(*graph.inputs, step.rate),
        outputs=(loss, finite, *aux),
        weights=(*graph.weights, *step.memory.values()),
        updates=tuple(updates),
    )


def learning(network: Graph, recipe: Recipe) -> dict[str, Rule]:
    """What holds for each weight that learns, by path and in the order of the network's weights."""
    params = [w for w in network.weights if isinstance(w.op, Param) and w.dtype.is_float]
    rules = {path_of(w): rule(w, recipe.groups, recipe.decay) for w in params if not _is_frozen(network, w)}
    return {path: found for path, found in rules.items() if found.rate}


def _is_frozen(network: Graph, weight: Value) -> bool:
    """Whether no gradient flows to a weight, whoever takes it: it would only decay."""
    users = network.users.get(weight.node, ())
    return bool(users) and all(isinstance(user.op, StopGradient) for user in users)


class _Step:
    """The part of a step after the gradients."""

    def __init__(
        self,
        recipe: Recipe,
        rules: Mapping[str, Rule],
        weights: Mapping[str, Value],
        gradients: Mapping[str, Value],
        place: Place | None,
    ) -> None:
        self.recipe = recipe
        self.rules = rules
        self.weights = weights
        self.gradients = {path: _cast(g, _wide(g.dtype)) for path, g in gradients.items()}
        self.block = Block("fn", type(recipe.optimizer).__name__.lower(), type(recipe.optimizer).__doc__)
        self.place = place
        self.rate: Value = build.input("rate", "[]")
        self.memory: dict[str, Value] = {}
        self.active = {path: v for path, v in recipe.learning(weights).items() if path in rules}

    def updates(self) -> list[tuple[Value, Value]]:
        """The new value of each weight that learns, and of all that is remembered."""
        count = self._remembered(COUNT, TensorType(DType.I64, ()))
        now = count + 1
        if self.recipe.accumulate == 1:
            return [(count, now), *self._advanced(self.gradients, now)]
        sums = {path: self._remembered(f"{MEMORY}.sum.{path}", g.type) for path, g in self.gradients.items()}
        total = {path: sums[path] + g for path, g in self.gradients.items()}
        ready = build.equal(now % self.recipe.accumulate, 0)
        means = {path: g / self.recipe.accumulate for path, g in total.items()}
        before = {path: self._remembered(f"{MEMORY}.active.{path}", v.type) for path, v in self.active.items()}
        seen = {path: build.logical_or(before[path], v) for path, v in self.active.items()}
        forgotten = [(before[path], build.where(ready, False, v)) for path, v in seen.items()]
        self.active = seen
        updates = self._advanced(means, now // self.recipe.accumulate)
        emptied = [(sums[path], build.where(ready, 0.0, total[path])) for path in sums]
        return [(count, now), *((old, build.where(ready, new, old)) for old, new in updates), *emptied, *forgotten]

    def _advanced(self, gradients: Mapping[str, Value], count: Value) -> list[tuple[Value, Value]]:
        clipped = self.recipe.clipping.clipped(self.weights, gradients)
        step = _cast(count, DType.FLOAT)
        return [pair for path, g in clipped.items() for pair in self._one(path, g, step)]

    def _one(self, path: str, gradient: Value, step: Value) -> Sequence[tuple[Value, Value]]:
        """The updates of one weight and of what is remembered of it."""
        weight, optimizer = self.weights[path], self.recipe.optimizer
        dtype = _wide(weight.dtype)
        shapes = {name: () if name in optimizer.numbers else weight.shape for name in optimizer.remembered()}
        slots = {
            name: self._remembered(f"{MEMORY}.{name}.{path}", TensorType(dtype, shape))
            for name, shape in shapes.items()
        }
        with marked(place=Place("", self.block, self.place)):
            share = self.rules[path].rate
            rate = self.rate if share == 1 else self.rate * share
            w, g, rate, step = (_cast(v, dtype) for v in (weight, gradient, rate, step))
            new, after = optimizer.advance(Moment(w, g, slots, rate, step, self.rules[path].decay))
            new = _cast(new, weight.dtype)
        found = [(weight, new), *((slots[name], after[name]) for name in slots)]
        if path not in self.active:
            return found
        return [(old, build.where(self.active[path], new, old)) for old, new in found]

    def _remembered(self, path: str, type: TensorType) -> Value:
        if path in self.weights:
            raise error("E545", f"`{path}` is a weight of the network", hint=f"call its block other than `{MEMORY}`")
        self.memory[path] = build.state(path, type, initial("zeros"))
        return self.memory[path]


def _all_finite(values: Sequence[Value]) -> Value:
    """Whether all numbers are finite: one that is not makes the sum of all of them so."""
    total, *sums = [_cast(build.sum(v), DType.FLOAT) for v in values]
    for part in sums:
        total = total + part
    finite: Value = build.isfinite(total)
    return finite


def _wide(dtype: DType) -> DType:
    """What an optimizer computes in: half precision is too coarse to add small steps up in."""
    return DType.FLOAT if dtype in (DType.BF16, DType.F16) else dtype


def _cast(value: Value, dtype: DType) -> Value:
    cast: Value = value if value.dtype is dtype else build.cast(value, dtype)
    return cast


def _with_states(graph: Graph) -> Graph:
    """The graph with its params as states: a step changes them as it does the others."""

    def rewrite(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        match node.op:
            case Param(path=path, type=type, initial=first):
                return make(State(path, type, first), (), node.marks).outputs
            case _:
                return None

    return rebuild(graph, rewrite)
