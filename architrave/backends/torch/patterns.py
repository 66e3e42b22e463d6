"""Blocks that are a module of PyTorch, such as `nn.Conv2d`: found by what they compute, not by their name.

A block is one if it applies one operator to its input and to weights that have the names which the module gives
them. What PyTorch's module does differently (see docs/numerics.md) is no such module, or one of the prelude.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from architrave.backends.code import call, literal
from architrave.backends.hierarchy import Region
from architrave.backends.torch.rules.layers import is_symmetric, same
from architrave.ir.graph import Node, Value
from architrave.ir.ops.arithmetic import Add, Multiply
from architrave.ir.ops.contraction import Linear
from architrave.ir.ops.control import Mode
from architrave.ir.ops.conv import Conv, ConvTranspose
from architrave.ir.ops.index import Take
from architrave.ir.ops.leaves import Full, Param, path_of
from architrave.ir.ops.norm import BatchNorm, GroupNorm, LayerNorm, RmsNorm
from architrave.ir.ops.statistics import Moments, Var
from architrave.ir.types import DType

if TYPE_CHECKING:
    from architrave.backends.torch.program import Program


def standard(region: Region, program: Program) -> str | None:
    """The constructor of the module that a region is, or None.

    Arguments with a default stand in it whether or not they have another value, as `name=~value`, so that modules
    which differ in them alone can become one with an argument.
    """
    match region.items:
        case [Node() as node] if not region.is_function and len(region.inputs) == len(region.outputs) == 1:
            found = _module(node, region)
        case _:
            return None
    if found is None:
        return None
    name, _, _ = found.partition("(")
    if not name.startswith("nn."):
        program.use(name)
    return found


def _module(node: Node, region: Region) -> str | None:
    names = [region.relative(path_of(w)) for w in region.weights]
    if any(v.dtype not in (DType.FLOAT, DType.I64) for v in node.operands) or node.outputs[0].dtype is not DType.FLOAT:
        return None
    match node.op:
        case Mode():
            return _batch_norm(node, node.op, region)
        case Conv() | ConvTranspose() as op if _takes(node, region, "x", "weight", "bias"):
            return _convolution(node, op)
        case Linear() if _takes(node, region, "x", "weight", "bias"):
            out, wide = node.operands[1].shape
            return str(call("nn.Linear", str(wide), str(out), bias=f"~{len(node.operands) > 2}"))
        case LayerNorm(eps=eps) if _takes(node, region, "x", "weight", "bias") and len(names) == 2:
            return str(call("nn.LayerNorm", str(node.operands[1].shape[0]), eps=f"~{literal(eps)}"))
        case RmsNorm(eps=eps) if _takes(node, region, "x", "weight") and len(names) == 1:
            return str(call("nn.RMSNorm", str(node.operands[1].shape[0]), eps=literal(eps)))
        case GroupNorm(groups=int(groups), eps=eps) if _takes(node, region, "x", "weight", "bias") and len(names) == 2:
            return str(call("nn.GroupNorm", str(groups), str(node.operands[1].shape[0]), eps=f"~{literal(eps)}"))
        case Take(axis=0) if _takes(node, region, "weight", "x") and node.operands[0].rank == 2:
            return str(call("Embedding", *map(str, node.operands[0].shape)))
        case _:
            return None


def _takes(node: Node, region: Region, *wanted: str) -> bool:
    """Whether the operands are the region's input, `x`, and all its params, by these names; the last are optional."""
    if any(not isinstance(w.op, Param) for w in region.weights):
        return False
    operands = [region.captured.get(v, v) for v in node.operands]
    found = [region.relative(path_of(v)) if v in region.weights else "x" for v in operands]
    others = [v for v in operands if v not in region.weights]
    return (
        tuple(found) == wanted[: len(found)] and others == list(region.inputs) and len(found) == 1 + len(region.weights)
    )


def _convolution(node: Node, op: Conv | ConvTranspose) -> str | None:
    x, weight = node.operands[:2]
    rank = x.rank - 2
    fixed = isinstance(op.groups, int) and all(isinstance(n, int) for pair in op.padding for n in pair)
    if not 1 <= rank <= 3 or not fixed or not is_symmetric(op.padding):
        return None
    transposed = isinstance(op, ConvTranspose)
    into, out = (weight.shape[0], weight.shape[1] * op.groups) if transposed else (x.shape[1], weight.shape[0])
    given = {
        "stride": same(op.stride or (1,)),
        "padding": same(tuple(before for before, _ in op.padding) or (0,)),
        **({"output_padding": same(op.output_padding or (0,))} if isinstance(op, ConvTranspose) else {}),
        "groups": str(op.groups),
        "bias": str(len(node.operands) > 2),
        "dilation": same(op.dilation or (1,)),
    }
    name = f"nn.ConvTranspose{rank}d" if transposed else f"nn.Conv{rank}d"
    return str(call(name, str(into), str(out), same(weight.shape[2:]), **{k: f"~{v}" for k, v in given.items()}))


def _batch_norm(node: Node, mode: Mode, region: Region) -> str | None:
    """Statistics of the batch in training, running ones after it; both updated as PyTorch does."""
    named = {region.relative(path_of(w)): w for w in region.weights}
    if tuple(named) not in (("weight", "bias", "running_mean", "running_var"), ("running_mean", "running_var")):
        return None
    if any(not isinstance(w.op, Param) for name, w in named.items() if name in ("weight", "bias")):
        return None
    news = {region.relative(path_of(old)): new for old, new in region.updates}
    (result,) = region.outputs
    if set(news) != {"running_mean", "running_var"} or any(v.node is not node for v in (result, *news.values())):
        return None
    wanted = {"x": next(iter(region.inputs)), **named}
    if set(node.operands) != set(wanted.values()):
        return None
    positions = {name: node.operands.index(v) for name, v in wanted.items()}
    sides = [
        _Side(
            {name: graph.inputs[position] for name, position in positions.items()},
            graph.outputs[result.index],
            [graph.outputs[news[name].index] for name in ("running_mean", "running_var")],
        )
        for graph in (mode.training, mode.inference)
    ]
    eps, momentum = sides[1].inference(), sides[0].training()
    if eps is None or momentum is None or sides[0].result.op != sides[1].result.op:
        return None
    options = {"eps": literal(eps)} if eps != 1e-5 else {}
    options |= {"momentum": literal(momentum)} if momentum != 0.1 else {}
    options |= {} if "weight" in named else {"affine": literal(False)}
    return str(call("BatchNorm", str(named["running_mean"].shape[0]), **options))


@dataclass(frozen=True)
class _Side:
    """What one mode of a batch normalization computes."""

    inputs: dict[str, Value]
    result: Value
    states: list[Value]
    """The new running mean and variance."""

    def inference(self) -> float | None:
        """The eps, if it normalizes by the running statistics and leaves them alone."""
        running = [self.inputs["running_mean"], self.inputs["running_var"]]
        return self._eps() if self.states == running and self._statistics() == running else None

    def training(self) -> float | None:
        """The momentum, if it normalizes by the statistics of the batch and moves the running ones towards them."""
        x = self.inputs["x"]
        axes = tuple(axis for axis in range(x.rank) if axis != 1)
        mean, var = self._statistics()
        moments = mean.node
        if moments.op != Moments(axes) or moments.operands != (x,) or (mean, var) != moments.outputs:
            return None
        towards_mean = _average(self.states[0], self.inputs["running_mean"])
        towards_var = _average(self.states[1], self.inputs["running_var"])
        if self._eps() is None or towards_mean is None or towards_var is None:
            return None
        unbiased = towards_var[1].node
        is_unbiased = unbiased.op == Var(axes, correction=1) and unbiased.operands == (x,)
        same = towards_mean[0] == towards_var[0] and towards_mean[1] is mean
        return towards_mean[0] if same and is_unbiased else None

    def _eps(self) -> float | None:
        node, affine = self.result.node, [self.inputs[n] for n in ("weight", "bias") if n in self.inputs]
        given = [node.operands[0], *node.operands[3:]] if node.operands else []
        return node.op.eps if isinstance(node.op, BatchNorm) and given == [self.inputs["x"], *affine] else None

    def _statistics(self) -> list[Value]:
        operands = self.result.node.operands
        return list(operands[1:3]) if isinstance(self.result.op, BatchNorm) else [self.result, self.result]


def _average(value: Value, old: Value) -> tuple[float, Value] | None:
    """`m` and `new` where a value is `(1 - m) * old + m * new`."""
    match value.node:
        case Node(op=Add(), operands=(Value(node=Node(op=Multiply()) as a), Value(node=Node(op=Multiply()) as b))):
            kept, moved = (n.operands[0].op for n in (a, b))
        case _:
            return None
    if not isinstance(kept, Full) or not isinstance(moved, Full) or a.operands[1] is not old:
        return None
    m = moved.value
    return (m, b.operands[1]) if isinstance(m, float) and kept.value == 1 - m else None
