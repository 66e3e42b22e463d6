"""What linear layers and convolutions multiply the rows of their weights by, and its second moments."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from architrave.ir.arrays import Array, known
from architrave.ir.graph import Node
from architrave.ir.ops.conv import Conv, window_defaults


def groups_of(node: Node) -> int:
    """In how many groups the channels of a linear layer or a convolution lie."""
    return known(node.op.groups) if isinstance(node.op, Conv) else 1


def columns(node: Node, x: Array) -> Array:
    """What a linear layer or a convolution multiplies the rows of its weight by: [groups, M, I]."""
    if not isinstance(node.op, Conv):
        return x.reshape(1, -1, x.shape[-1])
    return _windows(x, node.op, node.operands[1].shape[2:], groups_of(node))


def hessians(node: Node, inputs: Iterable[Array]) -> Array:
    """The mean of x' x over the rows that a linear layer or a convolution multiplies: [groups, I, I], float64."""
    count, total = 0, np.zeros(())
    for x in inputs:
        rows = columns(node, x.astype(np.float64))
        total = total + np.matmul(rows.transpose(0, 2, 1), rows)
        count += rows.shape[1]
    return np.asarray(total) / max(count, 1)


def _windows(x: Array, op: Conv, kernel: tuple[object, ...], groups: int) -> Array:
    """The windows of x [N, C, *S] as rows: [groups, N * windows, C / groups * prod(kernel)]."""
    taps = [k for k in kernel if isinstance(k, int)]
    stride, padding, dilation = window_defaults(len(taps), op.stride, op.padding, op.dilation)
    padded = np.pad(x, [(0, 0), (0, 0), *((known(a), known(b)) for a, b in padding)])
    spans = tuple(d * (k - 1) + 1 for k, d in zip(taps, dilation, strict=True))
    axes = tuple(range(2, x.ndim))
    views = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=axes)
    step = tuple(slice(None, None, s) for s in (*stride, *dilation))
    views = views[:, :, *step]
    n, channels, rank = x.shape[0], x.shape[1], len(taps)
    views = views.reshape(n, groups, channels // groups, *views.shape[2:])
    moved = views.transpose(1, 0, *range(3, 3 + rank), 2, *range(3 + rank, 3 + 2 * rank))
    return moved.reshape(groups, n * int(np.prod(moved.shape[2 : 2 + rank])), -1)
