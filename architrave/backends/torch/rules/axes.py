"""Operators along axes: reductions, orders, and everything that rearranges elements."""

from __future__ import annotations

from architrave.backends.base import Call, Rules
from architrave.backends.code import Code, call, literal, method, sequence, subscript
from architrave.backends.torch.rules.typed import as_float, promoted
from architrave.ir.dims import Size, product
from architrave.ir.types import DType, normalize_axis

axes = Rules()

_REDUCTIONS = {"sum": "sum", "mean": "mean", "var": "var", "std": "std", "max": "amax", "min": "amin"}
_QUANTIFIERS = ("any", "all")


def _dims(given: tuple[int, ...] | None, rank: int, always: bool = False) -> str | None:
    """The axes as an argument; None for all of them."""
    if given is None or len(given) == rank:
        return sequence(range(rank)) if always and rank else None
    found = [normalize_axis(axis, rank) for axis in given]
    if len(found) == 1:
        return "-1" if found[0] == rank - 1 else str(found[0])
    return sequence(found)


def _keep(at: Call) -> dict[str, Code]:
    return {"keepdim": literal(True)} if at.op.keep else {}


@axes.rule(*_REDUCTIONS, *_QUANTIFIERS)
def _reduce(at: Call) -> Code | None:
    if at.op.axes == () or not at.types[0].rank:
        return _of_nothing(at)
    if at.op.name in ("var", "std") and _few(at, at.op.correction):
        return None
    options = _keep(at)
    if at.op.name in ("var", "std"):
        options = {"correction": literal(at.op.correction), **options}
    x = as_float(at) if at.op.name in ("mean", "var", "std") else at.args[0]
    dims = _dims(at.op.axes, at.types[0].rank, always="keepdim" in options)
    return method(x, _REDUCTIONS.get(at.op.name, at.op.name), *([dims] if dims else []), **options)


def _few(at: Call, least: int) -> bool:
    """Whether a variance is taken over no more elements than its correction, of which PyTorch warns."""
    shape = at.types[0].shape
    axes: tuple[int, ...] = tuple(range(len(shape))) if at.op.axes is None else at.op.axes
    count = product(shape[axis] for axis in axes)
    return 0 in shape or (isinstance(count, int) and count <= least)


def _of_nothing(at: Call) -> Code | None:
    """A reduction over no axes, which PyTorch takes for one over all."""
    match at.op.name:
        case "max" | "min" | "any" | "all":
            return at.args[0]
        case "sum":
            return method(at.args[0], "to", at.dtype(at.results[0].dtype))
        case _:
            return None


@axes.rule("prod")
def _prod(at: Call) -> Code:
    rank = at.types[0].rank
    over = range(rank) if at.op.axes is None else [normalize_axis(axis, rank) for axis in at.op.axes]
    x = at.args[0] if at.types[0].dtype.is_float else method(at.args[0], "to", at.dtype(at.results[0].dtype))
    for axis in sorted(over, reverse=True):
        x = method(x, "prod", str(axis), **_keep(at))
    return x


@axes.rule("argmax", "argmin")
def _position(at: Call) -> Code:
    if at.op.axis is None:
        found = method(at.args[0], at.op.name)
        return method(found, "reshape", sequence([1] * at.types[0].rank)) if at.op.keep else found
    return method(at.args[0], at.op.name, str(at.op.axis), **_keep(at))


@axes.rule("cumsum", "cumprod")
def _running(at: Call) -> Code:
    return method(at.args[0], at.op.name, str(at.op.axis))


@axes.rule("cummax")
def _cummax(at: Call) -> Code:
    if at.types[0].dtype.is_float:
        return call(at.use("running_max"), at.args[0], str(at.op.axis))
    return Code(f"{method(at.args[0], 'cummax', str(at.op.axis))}.values")


@axes.rule("moments")
def _moments(at: Call) -> Code | None:
    if _few(at, 0):
        return None
    dims = _dims(at.op.axes, at.types[0].rank, always=True)
    return call(at.use("moments"), as_float(at), dims or "()", **_keep(at))


@axes.rule("logsumexp")
def _logsumexp(at: Call) -> Code | None:
    dims = _dims(at.op.axes, at.types[0].rank, always=True)
    return call("torch.logsumexp", as_float(at), dims, **_keep(at)) if dims and at.op.axes != () else None


@axes.rule("norm")
def _norm(at: Call) -> Code | None:
    if at.op.order != 2.0 or at.op.axes == () or not at.types[0].dtype.is_float:
        return None
    dims = _dims(at.op.axes, at.types[0].rank)
    return call("torch.linalg.vector_norm", at.args[0], **({"dim": dims} if dims else {}), **_keep(at))


@axes.rule("softmax", "log_softmax")
def _softmax(at: Call) -> Code:
    return method(as_float(at), at.op.name, str(at.op.axis))


@axes.rule("sort")
def _sort(at: Call) -> Code:
    # Stable, so that of equals each gets what flows back to its own place.
    options = {"stable": literal(True)} if at.types[0].dtype.is_float else {}
    options |= {"descending": literal(True)} if at.op.descending else {}
    return Code(f"{call('torch.sort', at.args[0], dim=str(at.op.axis), **options)}.values")


@axes.rule("argsort")
def _argsort(at: Call) -> Code:
    options = {"descending": literal(True)} if at.op.descending else {}
    return call("torch.argsort", at.args[0], dim=str(at.op.axis), stable="True", **options)


@axes.rule("topk")
def _topk(at: Call) -> Code:
    return call(at.use("topk"), at.args[0], at.size(at.op.k), str(at.op.axis), literal(at.op.largest))


@axes.rule("reshape")
def _reshape(at: Call) -> Code:
    return (
        method(at.args[0], "reshape", *map(at.size, at.op.shape))
        if at.op.shape
        else method(at.args[0], "reshape", "()")
    )


@axes.rule("unsqueeze")
def _unsqueeze(at: Call) -> Code | None:
    return method(at.args[0], "unsqueeze", str(at.op.axes[0])) if len(at.op.axes) == 1 else None


@axes.rule("squeeze")
def _squeeze(at: Call) -> Code | None:
    if at.op.axes is None or not at.op.axes:
        return None
    over = [normalize_axis(axis, at.types[0].rank) for axis in at.op.axes]
    return method(at.args[0], "squeeze", str(over[0]) if len(over) == 1 else sequence(over))


@axes.rule("flatten")
def _flatten(at: Call) -> Code | None:
    if not at.types[0].rank:
        return None
    stop = [] if at.op.stop == -1 else [str(at.op.stop)]
    return method(at.args[0], "flatten", str(at.op.start), *stop)


@axes.rule("transpose")
def _transpose(at: Call) -> Code:
    order = [normalize_axis(axis, at.types[0].rank) for axis in at.op.axes]
    moved = [i for i, axis in enumerate(order) if i != axis]
    if len(moved) == 2:
        return method(at.args[0], "transpose", *map(str, moved))
    return method(at.args[0], "permute", *map(str, order)) if moved else at.args[0]


@axes.rule("expand")
def _expand(at: Call) -> Code:
    return method(at.args[0], "expand", at.shape(at.op.shape))


@axes.rule("concat")
def _concat(at: Call) -> Code:
    return call("torch.cat", sequence(promoted(at)), str(at.op.axis))


@axes.rule("stack")
def _stack(at: Call) -> Code:
    return call("torch.stack", sequence(promoted(at)), str(at.op.axis))


@axes.rule("slice")
def _slice(at: Call) -> Code:
    backwards = [i for i, step in enumerate(at.op.steps) if step < 0]
    if backwards:
        return call(
            at.use("take_slices"), at.args[0], at.shape(at.op.starts), at.shape(at.op.stops), sequence(at.op.steps)
        )
    parts = [_part(at, i) for i in range(at.types[0].rank)]
    while parts and parts[-1] == ":":
        parts.pop()
    return subscript(at.args[0], ", ".join(parts)) if parts else at.args[0]


def _part(at: Call, axis: int) -> str:
    size: Size = at.types[0].shape[axis]
    start, stop, step = at.op.starts[axis], at.op.stops[axis], at.op.steps[axis]
    first = "" if start == 0 else at.size(start)
    last = "" if stop == size else at.size(stop)
    return f"{first}:{last}" if step == 1 else f"{first}:{last}:{step}"


@axes.rule("pad")
def _pad(at: Call) -> Code:
    if at.op.mode != "constant":
        widths = sequence(at.shape(pair) for pair in at.op.widths)
        return call(at.use("pad"), at.args[0], widths, literal(at.op.mode))
    pairs = list(at.op.widths)
    while pairs and pairs[0] == (0, 0):
        pairs.pop(0)
    flat = [at.size(width) for pair in reversed(pairs) for width in pair]
    value = {"value": literal(at.op.value)} if at.op.value else {}
    return call("F.pad", at.args[0], sequence(flat), **value) if flat else at.args[0]


@axes.rule("flip")
def _flip(at: Call) -> Code:
    return method(at.args[0], "flip", sequence(at.op.axes))


@axes.rule("roll")
def _roll(at: Call) -> Code:
    return call("torch.roll", at.args[0], at.shape(at.op.shifts), sequence(at.op.axes)) if at.op.axes else at.args[0]


@axes.rule("tril", "triu")
def _triangle(at: Call) -> Code:
    return method(at.args[0], at.op.name, *([str(at.op.k)] if at.op.k else []))


@axes.rule("diagonal")
def _diagonal(at: Call) -> Code:
    return call("torch.diagonal", at.args[0], *map(str, (at.op.k, *at.op.axes)))


@axes.rule("diag_embed")
def _diag_embed(at: Call) -> Code:
    return call("torch.diag_embed", at.args[0], *([str(at.op.k)] if at.op.k else []))


@axes.rule("repeat_interleave")
def _repeat(at: Call) -> Code:
    return method(at.args[0], "repeat_interleave", at.size(at.op.count), str(at.op.axis))


@axes.rule("gather")
def _gather(at: Call) -> Code:
    return call("torch.gather", at.args[0], str(at.op.axis), _index(at, at.op.axis))


@axes.rule("take")
def _take(at: Call) -> Code:
    axis = normalize_axis(at.op.axis, at.types[0].rank)
    return subscript(at.args[0], ", ".join([*[":"] * axis, str(_index(at, axis))]))


def _index(at: Call, axis: int) -> Code:
    """The index as an i64 that is clamped to the axis."""
    size = at.types[0].shape[axis]
    index = at.args[1] if at.types[1].dtype is DType.I64 else method(at.args[1], "long")
    last = str(max(size - 1, 0)) if isinstance(size, int) else at.size(size - 1)
    return method(index, "clamp", "0", last)


@axes.rule("scatter_add")
def _scatter_add(at: Call) -> Code:
    x, source = (
        a if t.dtype is at.results[0].dtype else method(a, "to", at.dtype(at.results[0].dtype))
        for a, t in ((at.args[0], at.types[0]), (at.args[2], at.types[2]))
    )
    return call(at.use("scatter_add"), x, str(at.op.axis), method(at.args[1], "long"), source)


@axes.rule("segment_sum", "segment_max")
def _segments(at: Call) -> Code:
    return call(at.use(at.op.name), at.args[0], method(at.args[1], "long"), at.size(at.op.count))
