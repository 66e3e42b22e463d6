"""Which weights may be masked: those that contractions alone take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from architrave.ir.graph import Graph, Node, Value
from architrave.ir.nested import subgraphs
from architrave.ir.op import Op
from architrave.ir.ops.contraction import Einsum, Linear, Matmul, terms
from architrave.ir.ops.control import Control
from architrave.ir.ops.conv import Conv, ConvTranspose
from architrave.ir.ops.leaves import Param, path_of

CONTRACTIONS: tuple[type[Op], ...] = (Conv, ConvTranspose, Linear, Matmul, Einsum)
"""Sums of products: of those with zeros there is nothing to compute."""


@dataclass(frozen=True)
class Axes:
    """Along which axes of a weight its outputs and its inputs lie; all others are of a kernel, of heads, of groups."""

    outputs: tuple[int, ...]
    inputs: tuple[int, ...]


@dataclass
class Use:
    """What becomes of a weight: the contractions that take it, inside loops and branches too, and what else does."""

    weight: Value
    contractions: list[tuple[Node, int]] = field(default_factory=list[tuple[Node, int]])
    others: list[Node] = field(default_factory=list[Node])
    outermost: list[Node] = field(default_factory=list[Node])
    """The nodes of the network itself that take it."""

    @property
    def path(self) -> str:
        """The key of the weight in a checkpoint."""
        return path_of(self.weight)

    @property
    def axes(self) -> Axes | None:
        """Its axes, where all contractions agree on them."""
        found = {axes(node, position) for node, position in self.contractions}
        return found.pop() if len(found) == 1 else None

    @property
    def refusal(self) -> str | None:
        """Why it cannot be masked, None where it can."""
        if not self.contractions:
            return f"`{self.others[0].op.name}` takes it, and no contraction" if self.others else "nothing takes it"
        if self.others:
            return f"`{self.others[0].op.name}` takes it, too"
        return None


def weight_uses(graph: Graph) -> list[Use]:
    """The matrices and kernels of a graph in the order of its weights, and what takes them."""
    matrices = [w for w in graph.weights if isinstance(w.op, Param) and w.rank > 1 and w.dtype.is_float]
    return [use_of(graph, weight, weight) for weight in matrices]


def use_of(graph: Graph, weight: Value, held: Value) -> Use:
    """What takes a weight where it stands in the graph as `held`: itself, or masked."""
    use = Use(weight)
    for node in graph.users.get(held.node, ()):
        use.outermost.append(node)
        for inner, position in _reached(node, held):
            if isinstance(inner.op, CONTRACTIONS) and axes(inner, position) is not None:
                use.contractions.append((inner, position))
            else:
                use.others.append(inner)
    if any(v is held for v in (*graph.outputs, *(new for _, new in graph.updates))):
        use.others.append(held.node)
    return use


def axes(node: Node, position: int) -> Axes | None:
    """Which axes of an operand of a contraction are its inputs, those summed over, and which its outputs."""
    rank = node.operands[position].rank
    match node.op:
        case Conv() | Linear() if position == 1:
            return Axes((0,), (1,))
        case ConvTranspose() if position == 1:
            return Axes((1,), (0,))
        case Matmul() if rank > 1:
            last = (rank - 1,), (rank - 2,)
            return Axes(*last) if position == 1 else Axes(*reversed(last))
        case Einsum(equation=equation) if len(node.operands) == 2:
            return _of_einsum(equation, position)
        case _:
            return None


def _of_einsum(equation: str, position: int) -> Axes | None:
    operands, output = terms(equation)
    letters, other = operands[position], operands[1 - position]
    if "..." in letters or len(set(letters)) < len(letters):
        return None
    outputs = tuple(i for i, letter in enumerate(letters) if letter in output and letter not in other)
    inputs = tuple(i for i, letter in enumerate(letters) if letter not in output)
    return Axes(outputs, inputs) if inputs else None


def _reached(node: Node, value: Value) -> Iterator[tuple[Node, int]]:
    """What takes a value in the end, in loops and branches at any depth; these where they give it as it is."""
    pending = [(node, value)]
    while pending:
        node, value = pending.pop()
        positions = [i for i, v in enumerate(node.operands) if v is value]
        if not isinstance(node.op, Control):
            yield from ((node, i) for i in positions)
            continue
        for graph, entry in zip(subgraphs(node.op), node.op.entries(), strict=True):
            inside = [v for v, i in zip(graph.inputs, entry, strict=True) if i in positions]
            if any(v in graph.outputs for v in inside):
                yield node, positions[0]
            pending += [(user, v) for v in inside for user in graph.nodes if v in user.operands]
