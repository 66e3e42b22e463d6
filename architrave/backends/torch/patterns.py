"""Blocks that are a module of PyTorch, such as `nn.Conv2d`: found by what they compute, not by their name.

A block is one if it applies one operator to its input and to weights that have the names which the module gives
them. What PyTorch's module does differently (see docs/numerics.md) is no such module, or one of the prelude.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from architrave.backends.code import call, literal
from architrave.backends.hierarchy import Region, path_of
from architrave.backends.torch.rules.layers import is_symmetric, same
from architrave.ir.compare import equal
from architrave.ir.graph import Graph, Node, Value, apply, make
from architrave.ir.ops.arithmetic import Add
from architrave.ir.ops.contraction import Linear
from architrave.ir.ops.control import Mode
from architrave.ir.ops.conv import Conv, ConvTranspose
from architrave.ir.ops.index import Take
from architrave.ir.ops.leaves import Full, Input
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
            return str(call("nn.LayerNorm", str(node.operands[1].shape[0]), eps=literal(eps)))
        case RmsNorm(eps=eps) if _takes(node, region, "x", "weight") and len(names) == 1:
            return str(call("nn.RMSNorm", str(node.operands[1].shape[0]), eps=literal(eps)))
        case GroupNorm(groups=int(groups), eps=eps) if _takes(node, region, "x", "weight", "bias") and len(names) == 2:
            return str(call("nn.GroupNorm", str(groups), str(node.operands[1].shape[0]), eps=literal(eps)))
        case Take(axis=0) if _takes(node, region, "weight", "x") and node.operands[0].rank == 2:
            return str(call("Embedding", *map(str, node.operands[0].shape)))
        case _:
            return None


def _takes(node: Node, region: Region, *wanted: str) -> bool:
    """Whether the operands are the region's input, `x`, and all its weights, by these names; the last are optional."""
    found = [region.relative(path_of(v)) if v in region.weights else "x" for v in node.operands]
    others = [v for v in node.operands if v not in region.weights]
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
    affine = tuple(named) == ("weight", "bias", "running_mean", "running_var")
    if not affine and tuple(named) != ("running_mean", "running_var"):
        return None
    news = {region.relative(path_of(old)): new for old, new in region.updates}
    (result,) = region.outputs
    if set(news) != {"running_mean", "running_var"} or any(v.node is not node for v in (result, *news.values())):
        return None
    (x,) = region.inputs
    if set(node.operands) != {x, *named.values()}:
        return None
    positions = [result.index, news["running_mean"].index, news["running_var"].index]
    sides = [replace(g, outputs=tuple(g.outputs[i] for i in positions)) for g in (mode.training, mode.inference)]
    operands = {name: node.operands.index(v) for name, v in {"x": x, **named}.items()}
    after = sides[1].outputs[0].op
    if not isinstance(after, BatchNorm) or not equal(sides[1], _inference(node, operands, after)):
        return None
    for momentum in _numbers(sides[0]):
        if equal(sides[0], _training(node, operands, after, momentum)):
            channels = named["running_mean"].shape[0]
            options = {"eps": literal(after.eps)} if after.eps != 1e-5 else {}
            options |= {"momentum": literal(momentum)} if momentum != 0.1 else {}
            options |= {} if affine else {"affine": literal(False)}
            return str(call("BatchNorm", str(channels), **options))
    return None


def _numbers(graph: Graph) -> Iterator[float]:
    found = (n.op.value for n in graph.nodes if isinstance(n.op, Full) and not n.op.shape)
    yield from dict.fromkeys(v for v in found if isinstance(v, float))


def _expected(node: Node, build: Callable[[list[Value]], tuple[Value, ...]]) -> Graph:
    inputs = tuple(make(Input(f"x{i}", v.type), ()).outputs[0] for i, v in enumerate(node.operands))
    return Graph("expected", inputs, build(list(inputs)))


def _inference(node: Node, at: dict[str, int], op: BatchNorm) -> Graph:
    def build(inputs: list[Value]) -> tuple[Value, ...]:
        mean, var = inputs[at["running_mean"]], inputs[at["running_var"]]
        return apply(op, inputs[at["x"]], mean, var, *_affine(inputs, at)), mean, var

    return _expected(node, build)


def _training(node: Node, at: dict[str, int], op: BatchNorm, momentum: float) -> Graph:
    def build(inputs: list[Value]) -> tuple[Value, ...]:
        x = inputs[at["x"]]
        axes = tuple(axis for axis in range(x.rank) if axis != 1)
        mean, var = make(Moments(axes), (x,)).outputs
        unbiased = apply(Var(axes, correction=1), x)
        moved = [
            apply(Add(), (1 - momentum) * inputs[at[name]], momentum * new)
            for name, new in (("running_mean", mean), ("running_var", unbiased))
        ]
        return (apply(op, x, mean, var, *_affine(inputs, at)), *moved)

    return _expected(node, build)


def _affine(inputs: list[Value], at: dict[str, int]) -> list[Value]:
    return [inputs[at[name]] for name in ("weight", "bias") if name in at]
