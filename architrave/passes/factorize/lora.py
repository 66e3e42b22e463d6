"""Frozen weights with updates of low rank, which learn in their place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from architrave.ir.arrays import known
from architrave.ir.graph import Graph, Node, Value, apply
from architrave.ir.ops.arithmetic import Add, Multiply
from architrave.ir.ops.contraction import Matmul
from architrave.ir.ops.leaves import Full, Initial, Param, path_of
from architrave.ir.ops.logic import StopGradient
from architrave.ir.ops.shape import Reshape
from architrave.ir.place import marked
from architrave.ir.rewrite import kept, rebuild
from architrave.ir.types import TensorType
from architrave.passes.base import Pass, Prepare, Rewritten, option
from architrave.passes.factorize.freeze import frozen
from architrave.passes.hoist import free
from architrave.passes.journal import Declined, Journal
from architrave.passes.reparam.trainable import start
from architrave.passes.select import Select
from architrave.passes.sparsify.uses import Use, weight_uses


class Lora(Pass):
    """Weights of convolutions, linear layers and products are frozen, and given updates of low rank that learn.

    A weight W [F, *rest] becomes `W + alpha / rank * reshape(lora_B @ lora_A)`, with lora_A [rank, prod(rest)] and
    lora_B [F, rank], which starts at 0: the network is the same at first, bit for bit. `merge-lora` is the way back. Hu
    and others, "LoRA: Low-Rank Adaptation of Large Language Models" (2021); of kernels as in Qi and others, "My3DGen:
    Building Lightweight Personalized 3D Generative Model" (2023). A modulated convolution has its update before it is
    modulated.
    """

    rank: int = option(4, "of the updates")
    alpha: float = option(0.0, "the updates count alpha / rank times; 0 for once, alpha = rank")
    only: Select = option(Select(), "whose weights: names of places, operators, annotations")
    frozen: bool = option(True, "whether biases, norms and all other weights learn nothing, either")
    seed: int = option(0, "what lora_A is drawn with")

    def apply(self, graph: Graph, journal: Journal) -> Graph | Rewritten:
        """A weight that several nodes take has one update."""
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)
        taken = {path_of(w) for w in graph.weights}
        updates: dict[Value, _Update] = {}
        for use in filter(self._is_chosen, weight_uses(graph)):
            if not all(isinstance(size, int) for size in use.weight.shape):
                journal.refused("lora", Declined("its weight has no known size", use.outermost[0]))
                continue
            journal.changed("lora", use.weight.node)
            updates[use.weight] = self._update(use, taken)
        if not updates:
            return graph

        def offered(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
            if not any(v in updates for v in operands):
                return None
            return kept(node, tuple(updates[v].result if v in updates else v for v in operands))

        after = rebuild(graph, offered)
        others = [w for w in graph.weights if w not in updates and isinstance(w.op, Param) and w.dtype.is_float]
        after = frozen(after, others) if self.frozen else after
        weights = tuple(v for w in after.weights for v in (w, *(updates[w].weights if w in updates else ())))
        new = {v for update in updates.values() for v in update.weights}
        values = tuple(start(w, self.seed) if w in new else w for w in weights)
        prepare = Graph(f"{graph.name}_prepare", (), values, weights=graph.weights)
        return Rewritten(replace(after, weights=weights), Prepare(prepare, tuple(map(path_of, weights))))

    def _is_chosen(self, use: Use) -> bool:
        nodes = [*(node for node, _ in use.contractions), *use.outermost]
        kept_back = any(fact.name == "keep" for node in nodes for fact in node.facts)
        return bool(use.contractions) and not kept_back and any(map(self.only.matches, nodes))

    def _update(self, use: Use, taken: set[str]) -> _Update:
        weight = use.weight
        rows, columns = known(weight.shape[0]), math.prod(map(known, weight.shape[1:]))
        bound = 1 / math.sqrt(max(columns, 1))
        with marked(place=weight.node.place, span=weight.node.span):
            down = self._param("lora_A", (self.rank, columns), Initial("uniform", (-bound, bound)), weight, taken)
            up = self._param("lora_B", (rows, self.rank), Initial("zeros"), weight, taken)
            made = apply(Reshape(weight.shape), apply(Matmul(), up, down))
            if self.alpha:
                made = made * (self.alpha / self.rank)
            return _Update((down, up), apply(StopGradient(), weight) + made)

    def _param(self, name: str, shape: tuple[int, ...], initial: Initial, beside: Value, taken: set[str]) -> Value:
        above = path_of(beside).rpartition(".")[0]
        path = free(".".join(filter(None, (above, name))), taken)
        return apply(Param(path, TensorType(beside.dtype, shape), initial)).named(name)


class MergeLora(Pass):
    """Updates of low rank go into their weights, which are weights like any others again, and can be trained."""

    def apply(self, graph: Graph, journal: Journal) -> Graph | Rewritten:
        """The way back from `lora`: the weights keep their names."""
        adapted = {node: found for node in graph.nodes if (found := _adapted(node)) is not None}
        if not adapted:
            return graph

        def offered(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
            if node not in adapted:
                return None
            journal.changed("merge-lora", node)
            return (adapted[node].base,)

        after = rebuild(graph, offered)
        gone = {v for each in adapted.values() for v in each.weights if not after.users.get(v.node)}
        weights = tuple(w for w in after.weights if w not in gone)
        merged = {each.base: node.outputs[0] for node, each in adapted.items()}
        values = tuple(merged.get(w, w) for w in weights)
        prepare = Graph(f"{graph.name}_prepare", (), values, weights=graph.weights)
        return Rewritten(replace(after, weights=weights), Prepare(prepare, tuple(map(path_of, weights))))


@dataclass(frozen=True)
class _Adapted:
    """A weight with an update: the frozen one, and those of the update."""

    base: Value
    weights: tuple[Value, Value]


def _adapted(node: Node) -> _Adapted | None:
    """A node as the sum that `lora` writes."""
    match node.op, [v.node for v in node.operands]:
        case Add(), [Node(op=StopGradient(), operands=(base,)), update] if isinstance(base.op, Param):
            if isinstance(update.op, Multiply) and isinstance(update.operands[1].op, Full):
                update = update.operands[0].node
            product = update.operands[0].node if isinstance(update.op, Reshape) else update
            if isinstance(product.op, Matmul) and all(_is_update(v) for v in product.operands):
                up, down = product.operands
                return _Adapted(base, (up, down))
            return None
        case _:
            return None


def _is_update(value: Value) -> bool:
    return isinstance(value.op, Param) and value.op.path.rpartition(".")[2].startswith("lora_")


@dataclass(frozen=True)
class _Update:
    """The new weights beside one, and what takes its place."""

    weights: tuple[Value, Value]
    result: Value
