"""Rounding the operands of a network to few bits, in floats: what is trained, calibrated, and lowered to integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from architrave.ir import build
from architrave.ir.dims import Size
from architrave.ir.graph import Graph, Node, Value, apply
from architrave.ir.nested import innermost_first
from architrave.ir.ops.attention import Attention
from architrave.ir.ops.contraction import Linear
from architrave.ir.ops.leaves import Full, Initial, Param, State, path_of
from architrave.ir.ops.quantize import FakeQuantize
from architrave.ir.ops.shape import Reshape
from architrave.ir.place import marked
from architrave.ir.rewrite import kept, rebuild
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType
from architrave.passes.base import Keeps, Pass, Prepare, Rewritten, option
from architrave.passes.hoist import free
from architrave.passes.journal import Declined, Journal
from architrave.passes.quantize.rounding.captured import contracted
from architrave.passes.quantize.rounding.rounded import CONTRACTIONS, handed_on, rounded_operands, weight_axis
from architrave.passes.select import Select
from architrave.passes.static import Static


class Quantize(Pass):
    """What contractions, sums and means take is rounded to few bits, weights and activations; in floats still.

    Scales of weights are the largest of them over the largest integer. Those of activations start at 1: calibration
    on data sets them (`architrave.quantize`), or training does. `integer` makes integers of it all. An annotation
    `@quant(weight = 4, act = 8)` goes before the options. Jacob and others (2018); Krishnamoorthi, "Quantizing deep
    convolutional networks for efficient inference" (2018).
    """

    keeps = Keeps.LOSSY
    bits: int = option(8, "of weights")
    act: int = option(8, "bits of activations; 0 leaves them as they are")
    granularity: Literal["channel", "tensor"] = option("channel", "what has a scale of its own in a weight")
    group: int = option(0, "how many inputs of a fully connected layer share a scale; 0: all")
    symmetric: bool = option(False, "whether activations have no zero point")
    functions: bool = option(False, "whether activation functions, softmax and norms are given rounded numbers, too")
    only: Select = option(Select(), "what to give rounded operands: names of places, operators, annotations")

    def apply(self, graph: Graph, journal: Journal) -> Rewritten:
        """Each tensor is rounded once, however many take it. Attention is written out, to round inside it."""
        self._check()
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)
        graph = rebuild(graph, self._written_out)
        new = _Rounding(self, Static(graph), {path_of(w) for w in graph.weights})

        def offered(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
            given = list(operands)
            # What depends on weights alone makes a weight, which is rounded where it is used.
            touched = self._may_touch(node) and node.outputs[0] not in new.static
            for i in rounded_operands(node, self.functions) if touched else ():
                given[i] = new.rounded(given[i], node, i)
            for i, (inner, position) in contracted(node).items():
                if given[i] in new.static and self._may_touch(inner):
                    given[i] = new.rounded(given[i], inner, position)
            if tuple(given) == operands:
                return None
            journal.changed("quantize", node)
            return kept(node, tuple(given))

        after = rebuild(graph, offered)
        self._refuse(graph, journal)
        return new.with_weights(graph, after)

    def _check(self) -> None:
        """Raises E803 for bits that no integers have."""
        for name, bits, least in (("bits", self.bits, 2), ("act", self.act, 0)):
            if not least <= bits <= 16 or bits == 1:
                raise error("E803", f"`quantize{{{name}}}` takes from 2 to 16 bits, not {bits}")
        if self.group < 0:
            raise error("E803", f"`quantize{{group}}` takes a number of inputs, not {self.group}")

    def _may_touch(self, node: Node) -> bool:
        return self.only.matches(node) and all(fact.name != "keep" for fact in node.facts)

    def _written_out(self, node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if not isinstance(node.op, Attention) or not self._may_touch(node):
            return None
        with marked(place=node.place, span=node.span, facts=node.facts):
            return (node.op.expand(*operands),)

    def _refuse(self, graph: Graph, journal: Journal) -> None:
        """Say which contractions take activations as they are."""
        for inner in innermost_first(graph)[:-1]:
            for node in inner.nodes:
                if isinstance(node.op, CONTRACTIONS):
                    journal.refused(
                        "quantize", Declined("inside a loop or a branch only its weights are rounded", node)
                    )


@dataclass
class _Rounding:
    """The quantizers of a graph as they are made, and how the weights that set them begin."""

    options: Quantize
    static: Static
    taken: set[str]
    made: dict[tuple[Value, object], Value] = field(default_factory=dict[tuple[Value, object], Value])
    starts: dict[Value, Value] = field(default_factory=dict[Value, Value])
    """Each new weight, and its value in terms of the old ones."""
    beside: dict[Value, list[Value]] = field(default_factory=dict[Value, list[Value]])
    """The new weights of each old one that is rounded."""

    def rounded(self, value: Value, node: Node, position: int) -> Value:
        """What a node is given in the place of an operand."""
        if value in self.static:
            return self._weight(value, node, position)
        bits = _annotated(node, "act", self.options.act)
        # What moves elements is looked through: the numbers are rounded where they are made.
        moves: list[tuple[Node, int]] = []
        while (inner := handed_on(value.node)) is not None and value not in self.static:
            moves.append((value.node, inner))
            value = value.node.operands[inner]
        if not bits or isinstance(value.op, FakeQuantize) or value in self.static:
            result = value
        else:
            key = (value, bits)
            result = self.made.get(key) or self.made.setdefault(key, self._activation(value, node, position, bits))
        for move, inner in reversed(moves):
            result = kept(move, (*move.operands[:inner], result, *move.operands[inner + 1 :]))[0]
        return result

    def _activation(self, value: Value, node: Node, position: int, bits: int) -> Value:
        name = value.hint or _operand(node, position)
        scale = self._new(Param(self._path(node, f"{name}_scale"), TensorType(value.dtype, ()), Initial("ones")), node)
        self.starts[scale] = apply(Full(1.0, (), value.dtype))
        if self.options.symmetric:
            return self._rounded(value, node, FakeQuantize(bits, narrow=True), scale)
        zero = self._new(State(self._path(node, f"{name}_zero"), TensorType(DType.I32, ()), Initial("zeros")), node)
        self.starts[zero] = apply(Full(0, (), DType.I32))
        return self._rounded(value, node, FakeQuantize(bits), scale, zero)

    def _weight(self, value: Value, node: Node, position: int) -> Value:
        bits = _annotated(node, "weight", self.options.bits)
        axis = weight_axis(node.op) if self.options.granularity == "channel" else None
        key = (value, (bits, axis))
        if not bits or key in self.made:
            return self.made.get(key, value)
        group = self.options.group if isinstance(node.op, Linear) else 0
        grouped, axes = value, [i for i in range(value.rank) if i != axis]
        if group and _divides(group, value.shape[-1]):
            out, inputs = value.shape
            grouped, axes = apply(Reshape((out, inputs // group, group)), value), [2]
        shape = tuple(1 if i in axes else size for i, size in enumerate(grouped.shape))
        shape = shape if any(size != 1 for size in shape) else ()
        base = path_of(value) if isinstance(value.op, Param) else None
        path = free(f"{base}_scale", self.taken) if base else self._path(node, f"{_operand(node, position)}_scale")
        scale = self._new(Param(path, TensorType(value.dtype, shape), Initial("ones")), node)
        op = FakeQuantize(bits, narrow=True)
        largest: Value = build.max(build.abs(grouped), axes=tuple(axes), keep=True) / float(op.bounds[1])
        self.starts[scale] = apply(Reshape(shape), build.where(largest > 0.0, largest, 1.0))
        if isinstance(value.op, Param):
            self.beside.setdefault(value, []).append(scale)
        result = self._rounded(grouped, node, op, scale)
        self.made[key] = result if result.shape == value.shape else apply(Reshape(value.shape), result)
        return self.made[key]

    def _rounded(self, value: Value, node: Node, op: FakeQuantize, *setting: Value) -> Value:
        with marked(place=node.place, span=node.span):
            return apply(op, value, *setting)

    def _new(self, op: Param | State, node: Node) -> Value:
        with marked(place=node.place, span=node.span):
            return apply(op).named(op.path.rpartition(".")[2])

    def _path(self, node: Node, name: str) -> str:
        return free(".".join(filter(None, (str(node.place or ""), name))), self.taken)

    def with_weights(self, graph: Graph, after: Graph) -> Rewritten:
        """The graph with the new weights: those of a weight behind it, and the others last."""
        beside = {scale for scales in self.beside.values() for scale in scales}
        weights = [v for w in after.weights for v in (w, *self.beside.get(w, ()))]
        weights += [new for new in self.starts if new not in beside]
        prepare = Graph(
            f"{graph.name}_prepare", (), tuple(self.starts.get(w, w) for w in weights), weights=graph.weights
        )
        return Rewritten(replace(after, weights=tuple(weights)), Prepare(prepare, tuple(path_of(w) for w in weights)))


def _annotated(node: Node, name: str, bits: int) -> int:
    """The bits that an annotation `@quant` asks for. Raises E803 for such as cannot be had."""
    asked = [dict(fact.kwargs)[name] for fact in node.facts if fact.name == "quant" and name in dict(fact.kwargs)]
    if not asked:
        return bits
    if not isinstance(asked[-1], int) or asked[-1] not in (0, *range(2, 17)):
        raise error("E803", f"`@quant({name} = {asked[-1]})` asks for no number of bits from 2 to 16", node.span)
    return asked[-1]


def _operand(node: Node, position: int) -> str:
    operands = node.op.operands
    return operands[min(position, len(operands) - 1)].name


def _divides(group: int, size: Size) -> bool:
    return isinstance(size, int) and size % group == 0 and size > group
