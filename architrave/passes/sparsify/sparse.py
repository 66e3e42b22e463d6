"""Layers whose weight is mostly zeros hold and multiply what is left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from architrave.ir.dims import Size
from architrave.ir.graph import Graph, Node, Value, apply
from architrave.ir.nested import innermost_first
from architrave.ir.ops.contraction import Linear
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.join import Slice
from architrave.ir.ops.leaves import Param, path_of
from architrave.ir.ops.shape import Reshape
from architrave.ir.place import marked
from architrave.ir.rewrite import rebuild
from architrave.ir.source import error
from architrave.passes.base import Keeps, Pass, Prepare, Rewritten, option
from architrave.passes.journal import Declined, Journal
from architrave.passes.select import Select
from architrave.passes.sparsify.storage import Blocks, NofM, Storage, leaves


class Sparse(Pass):
    """Linear layers and 1x1 convolutions store the largest blocks of their weights, and multiply these alone.

    The formats are CSR, BSR, and n of m neighbours with their places, which is smaller, but no faster. The largest
    blocks are all that is not zero where the weights were pruned to this density before. What suits each layer by its
    zeros, and by the time that it takes, `architrave.sparsity.execution.formats` finds out.
    """

    keeps = Keeps.LOSSY
    format: Literal["csr", "bsr", "nm"] = option("csr", "how weights are held")
    density: float = option(0.1, "the share of a weight that is stored, in csr and bsr")
    rows: int = option(16, "of a block, in bsr")
    columns: int = option(16, "of a block, in bsr")
    n: int = option(2, "how many of m neighbours are stored, in nm")
    m: int = option(4, "how many neighbours have n numbers, in nm: at most 16")
    only: Select = option(Select(), "which layers: names of places, operators, annotations")

    def apply(self, graph: Graph, journal: Journal) -> Graph | Rewritten:
        """Values take the name of the weight; beside it lie `weight_columns`, `weight_starts`, or `weight_places`."""
        self._check()
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)
        plan: dict[Value, Storage] = {}
        for layer in layers(graph, self.only):
            storage = self._storage(*layer.shape)
            if (refusal := layer.refusal or storage.refusal(*layer.shape)) is not None:
                journal.refused("sparse", Declined(refusal, layer.node))
                continue
            journal.changed("sparse", layer.node)
            plan[layer.weight] = storage
        for inner in innermost_first(graph)[:-1]:
            for node in (node for node in inner.nodes if is_layer(node) and self.only.matches(node)):
                journal.refused("sparse", Declined("it is inside a loop or a branch", node))
        return lowered(graph, plan)

    def _check(self) -> None:
        if not 0 < self.density <= 1:
            raise error("E803", f"`sparse{{density}}` is above 0 and at most 1, not {self.density:g}")
        if self.rows < 1 or self.columns < 1:
            raise error(
                "E803", f"a block of `sparse` has a row and a column at least, not {self.rows} x {self.columns}"
            )
        if not (1 <= self.n <= self.m and 2 <= self.m <= 16):
            raise error("E803", f"`sparse` stores n of m numbers, of 16 at most, not {self.n} of {self.m}")

    def _storage(self, out: int, inputs: int) -> Storage:
        if self.format == "nm":
            return NofM(self.n, self.m)
        high, wide = (self.rows, self.columns) if self.format == "bsr" else (1, 1)
        return Blocks(round(self.density * (out // high) * (inputs // wide)), high, wide)


@dataclass(frozen=True)
class Layer:
    """A layer that may be stored sparsely: the first that takes a weight, and why not, if there is a reason."""

    node: Node
    refusal: str | None

    @property
    def weight(self) -> Value:
        return self.node.operands[1]

    @property
    def path(self) -> str:
        """That of the weight, or of the layer where its weight is computed."""
        return self.weight.op.path if isinstance(self.weight.op, Param) else str(self.node.place or "")

    @property
    def shape(self) -> tuple[int, int]:
        """Outputs and inputs."""
        out, inputs, *_ = (size if isinstance(size, int) else 0 for size in self.weight.shape)
        return out, inputs


def layers(graph: Graph, only: Select | None = None) -> Iterator[Layer]:
    """Linear layers and 1x1 convolutions, each weight once; not what stands inside of loops and branches."""
    seen: set[Value] = set()
    for node in graph.nodes:
        if not is_layer(node) or node.operands[1] in seen or not (only or Select()).matches(node):
            continue
        seen.add(node.operands[1])
        yield Layer(node, _refusal(node, graph))


def is_layer(node: Node) -> bool:
    """Whether a node is a linear layer, or a convolution of each pixel by itself."""
    match node.op:
        case Linear():
            return node.operands[1].rank == 2
        case Conv(padding=padding, groups=groups):
            kernel = node.operands[1].shape[2:]
            padded = any(size != 0 for pair in padding for size in pair)
            return all(size == 1 for size in kernel) and not padded and groups == 1
        case _:
            return False


def lowered(graph: Graph, plan: Mapping[Value, Storage]) -> Graph | Rewritten:
    """The graph with weights held as the plan says."""
    if not plan:
        return graph
    parts: dict[Value, dict[str, Value]] = {}
    starts: dict[Value, Value] = {}
    for weight, storage in plan.items():
        with marked(place=weight.node.place, span=weight.node.span):
            matrix = apply(Reshape(weight.shape[:2]), weight) if weight.rank > 2 else weight
            assert isinstance(weight.op, Param)  # `layers` gives no other
            parts[weight] = leaves(weight.op, storage, matrix.type)
            values = storage.starts(matrix)
            starts |= {leaf: values[suffix] for suffix, leaf in parts[weight].items()}
    _check_paths(graph, parts)

    def offered(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if len(node.operands) < 2 or node.operands[1] not in plan or not is_layer(node):
            return None
        with marked(place=node.place, span=node.span, facts=node.facts):
            weight = node.operands[1]
            op, x = _unstrided(node.op, operands[0])
            y = plan[weight].layer(op, x, parts[weight])
            if len(operands) == 2:
                return [y]
            pixels = 0 if isinstance(op, Linear) else y.rank - 2
            return [y + (apply(Reshape((*operands[2].shape, *(1,) * pixels)), operands[2]) if pixels else operands[2])]

    after = rebuild(graph, offered)
    weights = tuple(v for w in graph.weights for v in (parts[w].values() if w in parts else (w,)))
    held = tuple(starts.get(w, w) for w in weights)
    prepare = Graph(f"{graph.name}_prepare", (), held, weights=graph.weights)
    return Rewritten(replace(after, weights=weights), Prepare(prepare, tuple(map(path_of, weights))))


def _refusal(node: Node, graph: Graph) -> str | None:
    """Why the weight of a layer must stay as it is."""
    weight = node.operands[1]
    if not isinstance(weight.op, Param):
        return "its weight is computed: `bake-masks` or `hoist` makes a parameter of it"
    if any(fact.name == "keep" for fact in node.facts):
        return "it is to be kept"
    others = (u for u in graph.users[weight.node] if not is_layer(u) or u.operands.index(weight) != 1)
    if (other := next(others, None)) is not None:
        return f"`{other.op.name}` at {str(other.place or '') or 'the model itself'} reads its weight as well"
    return "its weight is a result, too" if weight in graph.outputs else None


def _unstrided(op: object, x: Value) -> tuple[Linear | Conv, Value]:
    """A layer that takes every pixel of its input: those that are left out go before."""
    assert isinstance(op, Linear | Conv)  # `is_layer`
    if isinstance(op, Linear) or all(step == 1 for step in op.stride):
        return op, x
    steps = (1, 1, *op.stride)
    starts: tuple[Size, ...] = (0,) * x.rank
    return replace(op, stride=()), apply(Slice(starts, x.shape, steps), x)


def _check_paths(graph: Graph, parts: Mapping[Value, Mapping[str, Value]]) -> None:
    """Raises E928 where another weight has the path of a new one."""
    taken = {path_of(w) for w in graph.weights}
    for weight, leaf in ((weight, leaf) for weight, found in parts.items() for suffix, leaf in found.items() if suffix):
        if path_of(leaf) in taken:
            what = f"what is stored of `{path_of(weight)}` cannot be called `{path_of(leaf)}`: another weight is"
            raise error("E928", what, weight.node.span, hint="rename that weight, or leave this one out with `only`")
