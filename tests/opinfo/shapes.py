"""Rules for what moves elements: shapes, joining, indexing."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from architrave.ir import build as ops
from architrave.ir.graph import Value
from tests.opinfo.reductions import part
from tests.opinfo.rules import axis, library, require, rules


def listed(*sizes: Any) -> tuple[int, ...]:
    """Sizes, given as a list or one by one."""
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], list | tuple) else tuple(sizes)


def expanded(x: Value, *sizes: Any) -> Value:
    sizes = listed(*sizes)
    shape = tuple(n if s == -1 else s for s, n in zip(sizes, (*[0] * (len(sizes) - x.rank), *x.shape), strict=True))
    return ops.expand(x, shape=shape)


def flattened(x: Value, start_dim: int = 0, end_dim: int = -1) -> Value:
    return ops.flatten(x, start=start_dim, stop=end_dim) if x.rank else ops.reshape(x, shape=(1,))


def squeezed(x: Value, *dim: Any) -> Value:
    if not dim:
        return ops.squeeze(x)
    wanted = listed(*dim)
    return ops.squeeze(x, axes=tuple(d for d in wanted if x.rank and x.shape[d] == 1))


def moved(x: Value, source: Any, destination: Any) -> Value:
    if not x.rank:
        return x
    source, destination = listed(source), listed(destination)
    order = [i for i in range(x.rank) if i not in [s % x.rank for s in source]]
    for to, since in sorted((d % x.rank, s % x.rank) for s, d in zip(source, destination, strict=True)):
        order.insert(to, since)
    return ops.transpose(x, axes=tuple(order))


def swapped(x: Value, a: int = 0, b: int = 1) -> Value:
    if x.rank < 2:
        return x
    order = list(range(x.rank))
    order[a], order[b] = order[b], order[a]
    return ops.transpose(x, axes=tuple(order))


def turned(x: Value, shifts: Any, dims: Any = None) -> Value:
    if not dims and not isinstance(dims, int):
        return ops.reshape(ops.roll(ops.reshape(x, shape=(-1,)), shifts=listed(shifts), axes=(0,)), shape=x.shape)
    return ops.roll(x, shifts=listed(shifts), axes=listed(dims))


def cut(x: Value, dim: int, sizes: list[int]) -> list[Value]:
    stops = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return [part(x, dim, stop - size, stop) for size, stop in zip(sizes, stops, strict=True)]


def split(x: Value, sizes: Any = None, dim: int = 0) -> list[Value]:
    whole = int(x.shape[dim])  # type: ignore[arg-type]
    if isinstance(sizes, int):
        sizes = [min(sizes, whole - start) for start in range(0, whole, sizes)]
    return cut(x, dim, list(sizes))


def chunks(x: Value, count: int, dim: int = 0) -> list[Value]:
    return split(x, max(1, math.ceil(int(x.shape[dim]) / count)), dim)  # type: ignore[arg-type]


def tensor_split(x: Value, where: Any, dim: int = 0) -> list[Value]:
    require(not isinstance(where, Value), "places to split at as a tensor")
    whole = int(x.shape[dim])  # type: ignore[arg-type]
    if isinstance(where, int):
        few, more = divmod(whole, where)
        return cut(x, dim, [few + (i < more) for i in range(where)])
    bounds = [0, *(min(max(w + whole if w < 0 else w, 0), whole) for w in where), whole]
    return [part(x, dim, a, max(a, b)) for a, b in pairwise(bounds)]


def selected(x: Value, dim: int, index: int) -> Value:
    index = index % int(x.shape[dim])  # type: ignore[arg-type]
    return ops.squeeze(part(x, dim, index, index + 1), axes=(dim,))


def narrowed(x: Value, dim: int, start: Any, length: int) -> Value:
    require(isinstance(start, int), "a start as a tensor")
    start = start + int(x.shape[dim]) if start < 0 else start  # type: ignore[arg-type]
    return part(x, dim, start, start + length)


def sliced(x: Value, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Value:
    require(step == 1, "a stride")
    first, last, _ = slice(start, end).indices(int(x.shape[dim]))  # type: ignore[arg-type]
    return part(x, dim, first, max(first, last))


def at_least(rank: int) -> Any:
    def raised(*xs: Any) -> Any:
        found = [_raised(x, rank) for x in (xs[0] if isinstance(xs[0], list | tuple) else xs)]
        return found if isinstance(xs[0], list | tuple) or len(found) > 1 else found[0]

    return raised


def _raised(x: Value, rank: int) -> Value:
    if x.rank >= rank:
        return x
    shape = {(0, r): (1,) * r for r in (1, 2, 3)} | {
        (1, 2): (1, *x.shape),
        (1, 3): (1, *x.shape, 1),
        (2, 3): (*x.shape, 1),
    }
    return ops.reshape(x, shape=shape[x.rank, rank])


def joined(xs: Any, dim: int = 0) -> Value:
    xs = [x for x in xs if not (x.rank == 1 and x.shape == (0,))] or xs[:1]
    return ops.concat(*xs, axis=dim)


def tiled(x: Value, *counts: Any) -> Value:
    counts = listed(*counts)
    shape = (1,) * (len(counts) - x.rank) + tuple(x.shape)
    counts = (1,) * (len(shape) - len(counts)) + counts
    pairs = [n for pair in zip(counts, shape, strict=True) for n in pair]
    ones = [n for size in shape for n in (1, size)]
    wide = ops.expand(ops.reshape(x, shape=tuple(ones)), shape=tuple(pairs))
    return ops.reshape(wide, shape=tuple(c * n for c, n in zip(counts, shape, strict=True)))


def repeated(x: Value, repeats: Any, dim: int | None = None, **_: Any) -> Value:
    require(isinstance(repeats, int), "a count for each element")
    if dim is None:
        x, dim = ops.reshape(x, shape=(-1,)), 0
    return ops.repeat_interleave(x, count=repeats, axis=axis(x, dim))


def padded(mode: str) -> Any:
    def pad(x: Value, pad: Any, given: str | None = None, value: Any = None, **_: Any) -> Value:
        pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
        require(all(n >= 0 for pair in pairs for n in pair), "negative padding")
        widths = ((0, 0),) * (x.rank - len(pairs)) + tuple(reversed(pairs))
        return ops.pad(x, widths=widths, mode=mode, value=float(value or 0))

    return pad


def gathered(x: Value, dim: int, index: Value, **_: Any) -> Value:
    require(not x.rank or index.rank == x.rank, "an index of another rank")
    return ops.gather(x, index, axis=axis(x, dim))


def scattered(name: str) -> Any:
    def scatter(x: Value, dim: int, index: Value, source: Any, **named: Any) -> Value:
        require(not named.get("reduce"), "a reduction that was replaced by `scatter_reduce`")
        require(isinstance(source, Value), "a number as the source")
        require(source.shape == index.shape, "a source larger than the index")
        return ops.call(name, x, index, source, axis=axis(x, dim))

    return scatter


def reduced_scatter(x: Value, dim: int, index: Value, source: Value, reduce: str, include_self: bool = True) -> Value:
    require(include_self, "a reduction without what was there")
    return scattered({"sum": "scatter_add", "amax": "scatter_max"}[reduce])(x, dim, index, source)


def added_rows(x: Value, dim: int, index: Value, source: Value, alpha: float = 1) -> Value:
    d = axis(x, dim) % x.rank
    require(source.rank == x.rank, "a source of another rank")
    shape = tuple(index.shape[0] if i == d and index.rank else 1 for i in range(x.rank))
    wide = ops.expand(ops.reshape(index, shape=shape), shape=source.shape)
    return ops.scatter_add(x, wide, source * alpha if alpha != 1 else source, axis=d)


def taken_rows(x: Value, dim: int, index: Value) -> Value:
    index = index if index.rank else ops.reshape(index, shape=(1,))
    return ops.take(x, index, axis=dim) if x.rank else x


def taken_flat(x: Value, index: Value) -> Value:
    size = math.prod(int(n) for n in x.shape)  # type: ignore[arg-type]
    flat = ops.reshape(x, shape=(size,))
    return ops.take(flat, ops.where(ops.less(index, 0), index + size, index), axis=0)


def taken_along(x: Value, index: Value, dim: int | None = None) -> Value:
    if dim is None:
        return taken_flat(x, ops.reshape(index, shape=(-1,)))
    d = axis(x, dim) % x.rank
    require(index.rank == x.rank, "an index of another rank")
    shape = [max(a, b) for a, b in zip(x.shape, index.shape, strict=True)]
    wide_x = ops.expand(x, shape=tuple(x.shape[i] if i == d else n for i, n in enumerate(shape)))
    wide_i = ops.expand(index, shape=tuple(index.shape[i] if i == d else n for i, n in enumerate(shape)))
    return ops.gather(wide_x, ops.where(ops.less(wide_i, 0), wide_i + shape_of(x, d), wide_i), axis=d)


def shape_of(x: Value, d: int) -> int:
    return int(x.shape[d])  # type: ignore[arg-type]


def diagonal(x: Value, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Value:
    return ops.diagonal(x, k=offset, axes=(dim1, dim2))


def diag_embed(x: Value, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Value:
    rank = x.rank + 1
    require((dim1 % rank, dim2 % rank) == (rank - 2, rank - 1), "a diagonal of other axes than the last two")
    return ops.diag_embed(x, k=offset)


def diag(x: Value, diagonal: int = 0) -> Value:
    return ops.diag_embed(x, k=diagonal) if x.rank == 1 else ops.diagonal(x, k=diagonal)


def embedded(table: Value, index: Value, **named: Any) -> Value:
    require(named.get("max_norm") is None, "rows that are scaled in place")
    require(named.get("padding_idx") is None, "a row without a gradient")
    return ops.take(table, index, axis=0)


def unfolded(x: Value, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Value:
    k, d, p, s = ((v, v) if isinstance(v, int) else tuple(v) for v in (kernel_size, dilation, padding, stride))
    require(x.rank == 4, "an image without a batch")
    return ops.unfold(x, kernel=k, dilation=d, padding=tuple((n, n) for n in p), stride=s)


def shuffled(x: Value, pattern: str, **sizes: int) -> Value:
    named = ", ".join(f"{key} = {value}" for key, value in sizes.items())
    return library(f'rearrange(a, "{pattern}", {named})', x, module="")


def split_along(dim: int) -> Any:
    def cut_up(x: Value, where: Any) -> list[Value]:
        return tensor_split(x, where, dim if x.rank > 1 else 0)

    return cut_up


def stacked_rows(xs: Any) -> Value:
    return ops.concat(*(_raised(x, 2) for x in xs), axis=0)


def columns(xs: Any) -> Value:
    parts = [x if x.rank > 1 else ops.reshape(x, shape=(x.shape[0] if x.rank else 1, 1)) for x in xs]
    return ops.concat(*parts, axis=1)


def side_by_side(xs: Any) -> Value:
    parts = [x if x.rank else ops.reshape(x, shape=(1,)) for x in xs]
    return ops.concat(*parts, axis=0 if parts[0].rank == 1 else 1)


def wide(x: Value) -> Value:
    return ops.transpose(x, axes=tuple(reversed(range(x.rank))))


rules(
    {
        "reshape": lambda x, *shape: ops.reshape(x, shape=listed(*shape)),
        "view": lambda x, *shape: ops.reshape(x, shape=listed(*shape)),
        "view_copy": lambda x, *shape: ops.reshape(x, shape=listed(*shape)),
        "reshape_as": lambda x, y: ops.reshape(x, shape=y.shape),
        "view_as": lambda x, y: ops.reshape(x, shape=y.shape),
        "ravel": lambda x: ops.reshape(x, shape=(-1,)),
        "flatten": flattened,
        "unflatten": lambda x, dim, sizes: ops.reshape(
            x, shape=(*x.shape[: dim % x.rank], *sizes, *x.shape[dim % x.rank + 1 :])
        ),
        "squeeze": squeezed,
        "squeeze.multiple": squeezed,
        "squeeze_copy": squeezed,
        "unsqueeze": lambda x, dim: ops.unsqueeze(x, axes=(dim,)),
        "unsqueeze_copy": lambda x, dim: ops.unsqueeze(x, axes=(dim,)),
        "permute": lambda x, *dims: ops.transpose(x, axes=listed(*dims)),
        "permute_copy": lambda x, *dims: ops.transpose(x, axes=listed(*dims)),
        "movedim": moved,
        "transpose": swapped,
        "transpose_copy": swapped,
        "t": swapped,
        "t_copy": swapped,
        "T": wide,
        "mT": lambda x: swapped(x, -2, -1),
        "expand": expanded,
        "expand_copy": expanded,
        "broadcast_to": expanded,
        "expand_as": lambda x, y: ops.expand(x, shape=y.shape),
        "flip": lambda x, dims: ops.flip(x, axes=listed(dims)),
        "fliplr": lambda x: ops.flip(x, axes=(1,)),
        "flipud": lambda x: ops.flip(x, axes=(0,)),
        "roll": turned,
        "tril": lambda x, k=0, **n: ops.tril(x, k=n.get("diagonal", k)),
        "triu": lambda x, k=0, **n: ops.triu(x, k=n.get("diagonal", k)),
        "diagonal": diagonal,
        "diagonal_copy": diagonal,
        "linalg.diagonal": lambda x, offset=0, dim1=-2, dim2=-1: diagonal(x, offset, dim1, dim2),
        "diag_embed": diag_embed,
        "diag": diag,
        "cat": joined,
        "stack": lambda xs, dim=0: ops.stack(*xs, axis=dim),
        "hstack": side_by_side,
        "vstack": stacked_rows,
        "dstack": lambda xs: ops.concat(*(_raised(x, 3) for x in xs), axis=2),
        "column_stack": columns,
        "split": split,
        "split.list_args": split,
        "unsafe_split": split,
        "split_with_sizes": split,
        "split_with_sizes_copy": split,
        "chunk": chunks,
        "unsafe_chunk": chunks,
        "tensor_split": tensor_split,
        "hsplit": split_along(1),
        "vsplit": split_along(0),
        "dsplit": split_along(2),
        "unbind": lambda x, dim=0: [selected(x, dim, i) for i in range(int(x.shape[dim]))],
        "unbind_copy": lambda x, dim=0: [selected(x, dim, i) for i in range(int(x.shape[dim]))],
        "select": selected,
        "narrow": narrowed,
        "narrow_copy": narrowed,
        "slice": sliced,
        "atleast_1d": at_least(1),
        "atleast_2d": at_least(2),
        "atleast_3d": at_least(3),
        "tile": tiled,
        "repeat": tiled,
        "repeat_interleave": repeated,
        "constant_pad_nd": lambda x, pad, value=0: padded("constant")(x, pad, None, value),
        "nn.functional.pad.constant": padded("constant"),
        "nn.functional.pad.reflect": padded("reflect"),
        "nn.functional.pad.replicate": padded("edge"),
        "nn.functional.pad.replicate_negative": padded("edge"),
        "nn.functional.pad.circular": padded("wrap"),
        "gather": gathered,
        "take": taken_flat,
        "take_along_dim": taken_along,
        "index_select": taken_rows,
        "index_add": added_rows,
        "scatter": scattered("scatter"),
        "scatter_add": scattered("scatter_add"),
        "scatter_reduce.sum": reduced_scatter,
        "scatter_reduce.amax": reduced_scatter,
        "nn.functional.embedding": embedded,
        "nn.functional.one_hot": lambda x, num_classes=-1: one_hot(x, num_classes),
        "nn.functional.unfold": unfolded,
        "view_as_real": lambda z: ops.stack(ops.real(z), ops.imag(z), axis=-1),
        "view_as_complex": lambda x: ops.complex(selected(x, -1, 0), selected(x, -1, 1)),
        "meshgrid.variadic_tensors": lambda *xs, indexing="ij": mesh(xs, indexing),
        "meshgrid.list_of_tensors": lambda xs, indexing="ij": mesh(xs, indexing),
        "broadcast_tensors": lambda *xs: [ops.expand(x, shape=common(xs)) for x in xs],
        "rot90": lambda x, k=1, dims=(0, 1): rotated(x, k, dims),
        "fft.fftshift": lambda x, dim=None: shifted(x, dim, 1),
        "fft.ifftshift": lambda x, dim=None: shifted(x, dim, -1),
    }
)


def one_hot(x: Value, count: int) -> Value:
    from architrave.ir.types import DType

    require(count >= 0, "a number of classes that the values say")
    return ops.one_hot(x, count=count, dtype=DType.I64)


def mesh(xs: Any, indexing: str) -> list[Value]:
    require(indexing == "ij", "a grid with its first axes swapped")
    shape = tuple(x.shape[0] if x.rank else 1 for x in xs)
    return [
        ops.expand(ops.reshape(x, shape=tuple(n if i == j else 1 for j, n in enumerate(shape))), shape=shape)
        for i, x in enumerate(xs)
    ]


def common(xs: Any) -> tuple[int, ...]:
    import numpy as np

    return np.broadcast_shapes(*(x.shape for x in xs))


def rotated(x: Value, k: int, dims: Any) -> Value:
    for _ in range(k % 4):
        x = ops.flip(swapped(x, *dims), axes=(dims[0],))
    return x


def shifted(x: Value, dim: Any, sign: int) -> Value:
    dims = tuple(range(x.rank)) if dim is None else listed(dim)
    halves = [int(x.shape[d]) // 2 if sign > 0 else -(int(x.shape[d]) // 2) for d in dims]  # type: ignore[arg-type]
    return ops.roll(x, shifts=tuple(halves), axes=dims)
