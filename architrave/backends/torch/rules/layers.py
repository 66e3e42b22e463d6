"""Contractions, windows, normalization and attention."""

from __future__ import annotations

from architrave.backends.base import Call, Rules
from architrave.backends.code import Code, call, infix, literal, method, sequence
from architrave.backends.torch.rules.typed import as_float, promoted
from architrave.ir.dims import Size, divide
from architrave.ir.source import error
from architrave.ir.types import DType

layers = Rules()

Pairs = tuple[tuple[Size, Size], ...]


def same(values: tuple[object, ...]) -> str:
    """One number for all axes, or a tuple."""
    return str(values[0]) if len(set(values)) == 1 else sequence(values)


def is_symmetric(padding: Pairs) -> bool:
    """Whether each axis is padded alike before and after."""
    return all(before == after for before, after in padding)


def padded(at: Call, x: Code, padding: Pairs, value: float = 0.0) -> Code:
    """`x` padded along its last axes."""
    widths = sequence(at.size(width) for pair in reversed(padding) for width in pair)
    return call("F.pad", x, widths, **({"value": literal(value)} if value else {}))


@layers.rule("matmul")
def _matmul(at: Call) -> Code:
    a, b = promoted(at)
    return infix(a, "@", b)


@layers.rule("einsum")
def _einsum(at: Call) -> Code:
    return call("torch.einsum", literal(at.op.equation), *promoted(at))


@layers.rule("linear")
def _linear(at: Call) -> Code:
    return call("F.linear", *promoted(at))


def options(at: Call, rank: int, padding: Pairs) -> dict[str, str]:
    """The keyword arguments of a convolution that differ from their defaults."""
    found: dict[str, str] = {}
    if any(s != 1 for s in at.op.stride):
        found["stride"] = same(at.op.stride)
    if any(before != 0 for before, _ in padding):
        found["padding"] = same(tuple(at.size(before) for before, _ in padding))
    if any(d != 1 for d in at.op.dilation):
        found["dilation"] = same(at.op.dilation)
    if at.op.groups != 1:
        found["groups"] = at.size(at.op.groups)
    return found


def _spatial(at: Call) -> int:
    rank = at.types[0].rank - 2
    if rank > 3:
        raise error(
            "E405",
            f"PyTorch has convolutions over up to 3 axes, not {rank}",
            hint="the NumPy and JAX backends have them over any number",
        )
    return rank


def _pointwise(at: Call, x: Code, weights: list[Code], function: str) -> Code:
    """A convolution over no axes, as one over an axis of size 1."""
    weight, *bias = weights
    groups = {"groups": at.size(at.op.groups)} if at.op.groups != 1 else {}
    y = call(function, method(x, "unsqueeze", "-1"), method(weight, "unsqueeze", "-1"), *bias, **groups)
    return method(y, "squeeze", "-1")


@layers.rule("conv")
def _conv(at: Call) -> Code:
    rank = _spatial(at)
    x, *weights = promoted(at)
    padding: Pairs = at.op.padding
    if rank == 0:
        return _pointwise(at, x, weights, "F.conv1d")
    if not is_symmetric(padding):
        x, padding = padded(at, x, padding), ()
    return call(f"F.conv{rank}d", x, *weights, **options(at, rank, padding))


@layers.rule("conv_transpose")
def _conv_transpose(at: Call) -> Code:
    rank = _spatial(at)
    x, *weights = promoted(at)
    if rank == 0:
        return _pointwise(at, x, weights, "F.conv_transpose1d")
    padding: Pairs = at.op.padding if is_symmetric(at.op.padding) else ()
    given = options(at, rank, padding)
    if any(at.op.output_padding):
        given["output_padding"] = same(at.op.output_padding)
    y = call(f"F.conv_transpose{rank}d", x, *weights, **given)
    if is_symmetric(at.op.padding):
        return y
    # What PyTorch cannot cut off unevenly is cut off here.
    cuts = [f"{at.size(lo) if lo else ''}:{f'-{at.size(hi)}' if hi else ''}" for lo, hi in at.op.padding]
    return Code(f"{y}[..., {', '.join(cuts)}]")


@layers.rule("max_pool")
def _max_pool(at: Call) -> Code:
    kernel, rank = at.op.kernel, len(at.op.kernel)
    padding: Pairs = at.op.padding or ((0, 0),) * rank
    stride, dilation = at.op.stride or kernel, at.op.dilation or (1,) * rank
    x = at.args[0]
    half = all(isinstance(lo, int) and lo <= k // 2 for (lo, _), k in zip(padding, kernel, strict=True))
    if at.types[0].rank != rank + 2 or not 1 <= rank <= 3 or not at.types[0].dtype.is_float:
        windows = (sequence(kernel), sequence(stride), sequence(at.shape(p) for p in padding), sequence(dilation))
        return call(at.use("max_pool"), x, *windows)
    if not (half and is_symmetric(padding)):
        x, padding = padded(at, x, padding, -float("inf")), ((0, 0),) * rank
    given = {"stride": same(stride)} if stride != kernel else {}
    if any(lo for lo, _ in padding):
        given["padding"] = same(tuple(at.size(lo) for lo, _ in padding))
    if any(d != 1 for d in dilation):
        given["dilation"] = same(dilation)
    return call(f"F.max_pool{rank}d", x, same(kernel), **given)


@layers.rule("max_pool_places")
def _max_pool_places(at: Call) -> Code:
    rank = len(at.op.kernel)
    padding: Pairs = at.op.padding or ((0, 0),) * rank
    stride, dilation = at.op.stride or at.op.kernel, at.op.dilation or (1,) * rank
    return call(
        at.use("max_pool_places"),
        at.args[0],
        *(sequence(at.op.kernel), sequence(stride), sequence(at.shape(p) for p in padding), sequence(dilation)),
    )


@layers.rule("avg_pool")
def _avg_pool(at: Call) -> Code:
    kernel, rank = at.op.kernel, len(at.op.kernel)
    padding: Pairs = at.op.padding or ((0, 0),) * rank
    stride = at.op.stride or kernel
    x = as_float(at)
    half = all(isinstance(lo, int) and lo <= k // 2 for (lo, _), k in zip(padding, kernel, strict=True))
    if at.types[0].rank != rank + 2 or not 1 <= rank <= 3 or not (half and is_symmetric(padding)):
        windows = (sequence(kernel), sequence(stride), sequence(at.shape(p) for p in padding))
        return call(at.use("avg_pool"), x, *windows, literal(at.op.count_padding))
    given: dict[str, Code | str] = {"stride": same(stride)} if stride != kernel else {}
    if any(lo for lo, _ in padding):
        given["padding"] = same(tuple(at.size(lo) for lo, _ in padding))
        if not at.op.count_padding:
            given["count_include_pad"] = literal(False)
    name = at.use("avg_pool3d") if rank == 3 else f"F.avg_pool{rank}d"
    return call(name, x, same(kernel), **given)


@layers.rule("resize")
def _resize(at: Call) -> Code | None:
    rank = len(at.op.size)
    linear = {1: "linear", 2: "bilinear", 3: "trilinear"}.get(rank)
    if rank == 0:
        return at.args[0]
    mode = {"linear": linear, "bilinear": linear}.get(at.op.mode)
    if at.op.mode == "nearest" and _multiplies(at.types[0].shape[-rank:], at.op.size):
        # Elsewhere PyTorch finds the nearest cell in float32, which may be another one.
        mode = "nearest-exact"
    if mode is None or linear is None or at.types[0].rank != rank + 2 or not at.types[0].dtype.is_float:
        general = {"bilinear": "linear", "bicubic": "cubic"}.get(at.op.mode, at.op.mode)
        x = at.args[0] if general == "nearest" else as_float(at)
        return call(at.use("resize"), x, at.shape(at.op.size), literal(general))
    return call("F.interpolate", at.args[0], at.shape(at.op.size), mode=literal(mode))


def _multiplies(before: tuple[Size, ...], after: tuple[Size, ...]) -> bool:
    """Whether each size is a whole number of times what it was."""
    return all(divide(m, n) is not None for n, m in zip(before, after, strict=True))


@layers.rule("layer_norm")
def _layer_norm(at: Call) -> Code | None:
    return _normalized(at, "F.layer_norm", 2)


@layers.rule("rms_norm")
def _rms_norm(at: Call) -> Code | None:
    return _normalized(at, "F.rms_norm", 1)


def _normalized(at: Call, function: str, most: int) -> Code | None:
    if not at.types[0].dtype.is_float:
        return None
    x, *weights = promoted(at, at.results[0].dtype)
    weights += [Code("None")] * (most - len(weights))
    while weights and weights[-1].text == "None":
        weights.pop()
    shape = sequence([at.size(at.types[0].shape[-1])])
    return call(function, x, shape, *weights, eps=literal(at.op.eps))


@layers.rule("group_norm")
def _group_norm(at: Call) -> Code | None:
    if not at.types[0].dtype.is_float:
        return None
    x, *weights = promoted(at, at.results[0].dtype)
    return call("F.group_norm", x, at.size(at.op.groups), *weights, eps=literal(at.op.eps))


@layers.rule("attention")
def _attention(at: Call) -> Code | None:
    q, k, v, *mask = at.args
    lead = [t.shape[:-2] for t in at.types[:3]]
    dtypes = {t.dtype for t in at.types[:3]}
    masked = bool(mask) and (at.op.causal or at.types[3].dtype not in (DType.BOOL, at.types[0].dtype))
    if len(set(lead)) > 1 or len(dtypes) > 1 or not lead[0] or masked:
        return None
    given: dict[str, Code | str] = {"attn_mask": mask[0]} if mask else {}
    if at.op.causal:
        given["is_causal"] = literal(True)
    if at.op.scale is not None:
        given["scale"] = literal(at.op.scale)
    return call("F.scaled_dot_product_attention", q, k, v, **given)


@layers.rule("random_bits")
def _random_bits(at: Call) -> Code:
    return call(at.use("random_bits"), at.args[0], at.path(at.op.path), at.shape(at.op.shape))


@layers.rule("clip")
def _clip(at: Call) -> Code | None:
    if at.results[0].dtype is not at.types[0].dtype:
        return None
    bounds = {"min": at.op.lo, "max": at.op.hi}
    given = {name: literal(bound) for name, bound in bounds.items() if bound is not None}
    return method(at.args[0], "clamp", **given) if given else at.args[0]
