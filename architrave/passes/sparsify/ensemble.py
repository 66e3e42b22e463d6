"""The mean of several runs of a network that draw random numbers of their own."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import replace

from architrave.ir.graph import Graph, Node, Value
from architrave.ir.nested import innermost_first, rebuild_nested, remade
from architrave.ir.op import Op
from architrave.ir.ops.control import Mode
from architrave.ir.ops.random import RandomBernoulli, RandomBits, RandomNormal, RandomUniform
from architrave.ir.rewrite import inline
from architrave.ir.source import error
from architrave.passes.base import Keeps, Pass, option
from architrave.passes.journal import Declined, Journal
from architrave.passes.select import Select

DRAWS = (RandomBits, RandomUniform, RandomNormal, RandomBernoulli)


class Ensemble(Pass):
    """What draws random numbers in training draws them in inference, too: the outputs are the mean of several runs.

    Of attention over a sample of the positions (`std.pathways`) that is the paper's ensemble: Hussain, Zaki and
    Subramanian, "The Information Pathways Hypothesis: Transformers are Dynamic Self-Ensembles" (2023). Of dropout it is
    Gal and Ghahramani, "Dropout as a Bayesian Approximation" (2016). All runs share the weights.
    """

    keeps = Keeps.LOSSY
    passes: int = option(4, "how many runs")
    only: Select = option(Select(), "what draws as in training: names of places, annotations")

    def apply(self, graph: Graph, journal: Journal) -> Graph:
        """What else training changes, such as batch norms, stays as it is. Raises E803 for no runs at all."""
        if self.passes < 1:
            raise error("E803", f"`ensemble{{passes}}` is a number above 0, not {self.passes}")
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)
        drawing = rebuild_nested(graph, lambda node, op, operands: self._as_in_training(node, op, operands, journal))
        if drawing is graph or not all(v.dtype.is_float for v in graph.outputs):
            last = graph.outputs[-1].node
            journal.refused("ensemble", Declined("nothing in it draws in training alone, or it gives no floats", last))
            return graph
        runs = [_run(drawing, i).outputs for i in range(self.passes)]
        return replace(drawing, outputs=tuple(_mean(outputs) for outputs in zip(*runs, strict=True)))

    def _as_in_training(
        self, node: Node, op: Op, operands: tuple[Value, ...], journal: Journal
    ) -> Sequence[Value] | None:
        if not isinstance(op, Mode) or not self.only.matches(node) or not _draws(op.training):
            return None
        journal.changed("ensemble", node)
        return inline(op.training, operands)


def _draws(graph: Graph) -> bool:
    return any(isinstance(node.op, DRAWS) for inner in innermost_first(graph) for node in inner.nodes)


def _run(graph: Graph, number: int) -> Graph:
    """The network with random numbers of its own: the first run has those that training has."""

    def rewrite(node: Node, op: Op, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if not isinstance(op, DRAWS) or not number:
            return None
        return remade(node, dataclasses.replace(op, path=f"{op.path}.run{number}"), operands)

    return rebuild_nested(graph, rewrite)


def _mean(outputs: Sequence[Value]) -> Value:
    total = outputs[0]
    for output in outputs[1:]:
        total = total + output
    return total / float(len(outputs)) if len(outputs) > 1 else total
