"""Weights that are looked up in tables of few entries, of which only the numbers are stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

from architrave.ir import build
from architrave.ir.arrays import known
from architrave.ir.graph import Graph, Node, Value, apply
from architrave.ir.ops.contraction import Linear
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.index import Take
from architrave.ir.ops.leaves import Arange, Initial, Param, State, path_of
from architrave.ir.ops.logic import Cast
from architrave.ir.ops.packing import Pack, Unpack
from architrave.ir.ops.shape import Reshape
from architrave.ir.place import marked
from architrave.ir.rewrite import kept, rebuild
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType
from architrave.passes.base import Keeps, Pass, Prepare, Rewritten, option
from architrave.passes.hoist import free
from architrave.passes.journal import Declined, Journal
from architrave.passes.select import Select


@dataclass(frozen=True)
class Lookup:
    """How a weight of `shape` is held: `table` [groups, entries, width] of numbers, `codes` of `bits` in bytes.

    The rows of the weight lie in groups of neighbours, each with a table of its own; a code stands for `width`
    neighbours in a row.
    """

    table: str
    codes: str
    shape: tuple[int, ...]
    groups: int
    entries: int
    width: int
    bits: int

    @property
    def vectors(self) -> tuple[int, int, int]:
        """The shape of the weight as what is looked up: groups, vectors in each, numbers in a vector."""
        return self.groups, prod(self.shape) // (self.groups * self.width), self.width

    @property
    def bits_per_weight(self) -> float:
        """What codes and table, of 32-bit numbers, take for each number of the weight."""
        return self.bits / self.width + 32 * self.groups * self.entries * self.width / prod(self.shape)

    def value(self, table: Value, codes: Value) -> Value:
        """The weight, looked up."""
        numbers = codes if self.bits == 8 else apply(Unpack(self.bits, signed=False), codes)
        index = apply(Cast(DType.I32), apply(Reshape(self.vectors[:2]), numbers))
        if self.groups > 1:
            index = index + apply(Reshape((self.groups, 1)), apply(Arange(self.groups, DType.I32))) * self.entries
        flat = apply(Reshape((self.groups * self.entries, self.width)), table)
        return apply(Reshape(self.shape), apply(Take(0), flat, index))

    def start(self, weight: Value) -> tuple[Value, Value]:
        """A first table, and the codes of the entries nearest to a weight: even steps, or vectors of the weight."""
        vectors = apply(Reshape(self.vectors), weight)
        steps = apply(Cast(weight.dtype), apply(Arange(self.entries, DType.I32)))
        if self.width == 1:
            least: Value = build.min(vectors, axes=(1,), keep=True)
            reach: Value = build.max(vectors, axes=(1,), keep=True) - least
            step = build.where(reach > 0.0, reach, 1.0) / float(self.entries - 1)
            table = least + step * apply(Reshape((1, self.entries, 1)), steps)
            nearest: Value = build.round((vectors - least) / step)
        else:
            chosen: Value = build.floor(steps * (self.vectors[1] / self.entries))
            table = apply(Take(1), vectors, apply(Cast(DType.I32), chosen))
            products = build.matmul(vectors, build.transpose(table, axes=(0, 2, 1)))
            lengths = apply(Reshape((self.groups, 1, self.entries)), build.sum(table * table, axes=(2,)))
            nearest = build.argmin(lengths - 2.0 * products, axis=-1)
        codes = apply(Cast(DType.U8), apply(Reshape((self.shape[0], -1)), nearest))
        return table, codes if self.bits == 8 else apply(Pack(self.bits), codes)


class Codebook(Pass):
    """Weights of layers and convolutions are looked up in tables of few numbers, or of few vectors.

    The pass takes even steps, or vectors of the weight, for the table; k-means makes a better one
    (`architrave.quantize.codebook`). Rows may lie in groups with tables of their own. Han, Mao and Dally, "Deep
    Compression" (2016); Stock and others, "And the Bit Goes Down" (2020).
    """

    keeps = Keeps.LOSSY
    entries: int = option(16, "of a table, from 2 to 256")
    width: int = option(1, "how many neighbouring weights one entry stands for")
    groups: int = option(1, "how many groups of outputs have a table of their own")
    only: Select = option(Select(), "which layers: names of places, operators, annotations")

    def apply(self, graph: Graph, journal: Journal) -> Rewritten:
        """Beside each weight's place lie `weight_table` and `weight_codes`."""
        self._check()
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)
        taken = {path_of(w) for w in graph.weights}
        made: dict[Value, tuple[Value, Value]] = {}
        starts: dict[Value, Value] = {}

        def offered(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
            if not isinstance(node.op, Linear | Conv) or not self._may_touch(node):
                return None
            lookup = self._lookup(node, graph, taken)
            if isinstance(lookup, Declined):
                journal.refused("codebook", lookup)
                return None
            weight = node.operands[1]
            with marked(place=weight.node.place, span=weight.node.span):
                start = lookup.start(weight)
                types = (TensorType(weight.dtype, (*lookup.vectors[:1], lookup.entries, lookup.width)), start[1].type)
                table = build.param(lookup.table, types[0], Initial("zeros")).named("table")
                codes = build.state(lookup.codes, types[1], Initial("zeros")).named("codes")
                looked_up = lookup.value(table, codes)
            made[weight], starts[table], starts[codes] = (table, codes), *start
            journal.changed("codebook", node)
            return kept(node, (operands[0], looked_up, *operands[2:]))

        after = rebuild(graph, offered)
        weights = [v for w in graph.weights for v in made.get(w, (w,))]
        prepare = Graph(f"{graph.name}_prepare", (), tuple(starts.get(w, w) for w in weights), weights=graph.weights)
        return Rewritten(replace(after, weights=tuple(weights)), Prepare(prepare, tuple(map(path_of, weights))))

    def _check(self) -> None:
        """Raises E803 for what no table has."""
        if not 2 <= self.entries <= 256:
            raise error("E803", f"`codebook{{entries}}` is from 2 to 256, not {self.entries}")
        for name, number in (("width", self.width), ("groups", self.groups)):
            if number < 1:
                raise error("E803", f"`codebook{{{name}}}` is a number above 0, not {number}")

    def _may_touch(self, node: Node) -> bool:
        return self.only.matches(node) and all(fact.name != "keep" for fact in node.facts)

    def _lookup(self, node: Node, graph: Graph, taken: set[str]) -> Lookup | Declined:
        """How the weight of a layer is held, or why it stays as it is."""
        weight = node.operands[1]
        if not isinstance(weight.op, Param):
            return Declined("its weight is computed: `hoist` makes parameters of what depends on weights alone", node)
        if len(graph.users[weight.node]) > 1 or weight in graph.outputs:
            return Declined("something else reads its weight as well", node)
        shape = tuple(map(known, weight.shape))
        columns = prod(shape[1:])
        if shape[0] % self.groups or columns % self.width:
            return Declined(f"{shape[0]} outputs of {columns} weights each cannot be divided so", node)
        if prod(shape) // (self.groups * self.width) < self.entries:
            return Declined("it has fewer weights than a table has entries", node)
        bits = next(bits for bits in (1, 2, 4, 8) if self.entries <= 2**bits)
        bits = bits if columns // self.width * bits % 8 == 0 else 8
        table, stored = (free(f"{weight.op.path}_{name}", taken) for name in ("table", "codes"))
        return Lookup(table, stored, shape, self.groups, self.entries, self.width, bits)


def lookups(graph: Graph) -> Iterator[tuple[Lookup, Node]]:
    """Every weight of a network that the pass `codebook` has made, with the layer that reads it."""
    for node in graph.nodes:
        if isinstance(node.op, Linear | Conv) and (found := _looked_up(node.operands[1])) is not None:
            yield found, node


def _looked_up(weight: Value) -> Lookup | None:
    value = weight
    while isinstance(value.op, Reshape):
        value = value.node.operands[0]
    if not isinstance(value.op, Take):
        return None
    table, codes = value.node.operands
    bits = 8
    while codes.node.operands:
        bits = codes.op.bits if isinstance(codes.op, Unpack) else bits
        codes = codes.node.operands[0]
    table = table.node.operands[0] if isinstance(table.op, Reshape) else table
    if not isinstance(table.op, Param) or not isinstance(codes.op, State) or table.rank != 3:
        return None
    groups, entries, width = map(known, table.shape)
    return Lookup(table.op.path, codes.op.path, tuple(map(known, weight.shape)), groups, entries, width, bits)
