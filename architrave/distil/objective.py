"""A loss in which teachers take part. It trains with the ordinary trainer, and what comes out is the student alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from architrave.distil.terms import Logits, Scene, Term
from architrave.ir import build
from architrave.ir.graph import Graph, Node, Value, make
from architrave.ir.mode import specialize
from architrave.ir.ops.leaves import Param, State, path_of
from architrave.ir.place import marked
from architrave.ir.prefix import prefixed, prefixed_weights
from architrave.ir.rewrite import rebuild
from architrave.ir.source import error
from architrave.ir.types import TensorType
from architrave.train.objective import Objective

PREFIX = "teacher"


@dataclass(frozen=True, eq=False)
class Teacher:
    """A trained network, whose inputs are those of the student. It is used as it is in inference, and never learns."""

    graph: Graph
    weights: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Distillation(Objective):
    """What a student is to match of its teachers, and beside it, with `share` of 1, the loss `loss` by the targets.

        objective = Distillation("cross_entropy", teachers=(Teacher(large, weights),), terms=(Logits(temperature=4.0),))
        trainer = Trainer(student, Recipe(AdamW(), objective), schedule, target)

    Without a `loss` the targets are not looked at. The student is judged by its loss, or else as `judged_by` says.
    """

    teachers: Sequence[Teacher] = ()
    terms: Sequence[Term] = (Logits(),)
    share: float = 1.0
    judged_by: str = "cross_entropy"

    @property
    def held(self) -> Mapping[str, Any]:
        """The weights of the teachers, as they are called in the graph of the loss."""
        found: dict[str, Any] = {}
        for i, teacher in enumerate(self.teachers):
            read = {path_of(w) for w in _frozen(teacher.graph).weights}
            found |= prefixed_weights({p: w for p, w in teacher.weights.items() if p in read}, f"{PREFIX}.{i}")
        return found

    @property
    def judge(self) -> Objective:
        """The loss by the targets, without any teacher."""
        return Objective(self.loss or self.judged_by, self.arguments)

    def attached(self, network: Graph, target: TensorType | None = None) -> Graph:
        """The student with its teachers, and the sum of all terms as the only output.

        Weights of teachers are states at `teacher.0` and so on, which nothing changes. Raises E934 for teachers that do
        not fit, and what `Objective` does.
        """
        if not self.teachers:
            raise error("E934", f"`{network.name}` has no teacher to learn from", hint="give at least one")
        if any(path_of(w).split(".")[0] == PREFIX for w in network.weights):
            raise error("E934", f"`{network.name}` has a block `{PREFIX}` itself", hint="call it something else")
        labels = super().attached(network, target) if self.loss else None
        given = labels.inputs[-1:] if labels is not None else ()
        if labels is None and target is not None:
            given = (build.input("target", target),)
        inputs = network.inputs
        teachers = [self._beside(network, teacher, i) for i, teacher in enumerate(self.teachers)]
        with marked(place=network.place):
            total = self.share * labels.outputs[0] if labels is not None else None
            for i, term in enumerate(self.terms):
                part: Value = term.share * term.loss(Scene(network, tuple(teachers), f"distil.{i}"))
                total = part if total is None else total + part
        if total is None:
            raise error("E934", f"there is nothing that `{network.name}` is to match", hint="give terms or a loss")
        whole = Graph(network.name, (*inputs, *given), (total,), (), network.updates, network.place)
        weights = (node.outputs[0] for node in whole.nodes if isinstance(node.op, Param | State))
        return replace(whole, weights=tuple(dict.fromkeys((*network.weights, *weights))))

    def _beside(self, network: Graph, teacher: Teacher, i: int) -> Graph:
        ours, theirs = ([v.type for v in graph.inputs] for graph in (network, teacher.graph))
        if ours != theirs:
            shown = " and ".join(", ".join(map(str, types)) for types in (ours, theirs))
            raise error("E934", f"`{network.name}` and its teacher `{teacher.graph.name}` have other inputs: {shown}")
        return prefixed(_frozen(teacher.graph), f"{PREFIX}.{i}", network.place, network.inputs)


def _frozen(teacher: Graph) -> Graph:
    """The teacher in inference, with states for weights: those that it then reads."""

    def rewrite(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        match node.op:
            case Param(path=path, type=type, initial=first):
                return make(State(path, type, first), (), node.marks).outputs
            case _:
                return None

    graph = rebuild(specialize(replace(teacher, updates=()), training=False), rewrite)
    read = set(replace(graph, weights=()).nodes)
    return replace(graph, weights=tuple(w for w in graph.weights if w.node in read))
