"""Stitches that map what one network computes best to what the next does, by least squares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import error
from architrave.merge.chain import chain
from architrave.merge.stitch import Cut, Family, stitch_path
from architrave.record import Recorder


def fitted(
    family: Family, weights: Mapping[str, Any], batches: Sequence[Sequence[Any]], *, backend: str = "torch"
) -> dict[str, Array]:
    """The weights with every stitch the best map, with a bias, from what one anchor computes to what the next does.

    Each leads from the first block of its window to what the block after that is given; the error is that over all
    places of all examples (Pan and others, section 3.2). Raises E912 without examples.
    """
    if not batches:
        raise error(
            "E912", "there are no examples to fit stitches by", hint="some hundred that are like what is to come"
        )
    found = {path: np.asarray(w) for path, w in weights.items()}
    for i, name in enumerate(family.names[1:], 1):
        aligned = _one_for_each_window(family.cuts[i])
        given = _recorded(family, i - 1, weights, batches, backend, {w: ("after", c.front) for w, c in aligned.items()})
        wanted = _recorded(family, i, weights, batches, backend, {w: ("before", c.end) for w, c in aligned.items()})
        solvers = {window: LeastSquares() for window in aligned}
        for xs, ys in zip(given, wanted, strict=True):
            for window, solver in solvers.items():
                solver.add(xs[str(window)], ys[str(window)])
        for window, solver in solvers.items():
            weight, bias = (f"{stitch_path(name, window)}.{part}" for part in ("weight", "bias"))
            matrix, shift = solver.solution()
            found[weight] = matrix.reshape(found[weight].shape).astype(found[weight].dtype)
            found[bias] = shift.astype(found[bias].dtype)
    return found


class LeastSquares:
    """The affine map x -> x M' + b with the least squared error, of rows that come in batches.

    What is kept is the triangle of a QR decomposition, so that the condition is not squared, as normal equations do.
    """

    def __init__(self) -> None:
        self._triangle: Array | None = None
        self._width = 0

    def add(self, x: Array, y: Array) -> None:
        """Examples [N, T, C] and [N, T, D], or [N, C, *S] and [N, D, *S] with four axes and more."""
        rows = [_rows(x), np.ones((x.size // x.shape[_axis(x)], 1)), _rows(y)]
        self._width = x.shape[_axis(x)]
        stacked = np.concatenate(rows, axis=1)
        stacked = stacked if self._triangle is None else np.concatenate([self._triangle, stacked])
        self._triangle = np.asarray(np.linalg.qr(stacked, mode="r"))

    def solution(self) -> tuple[Array, Array]:
        """M [D, C] and b [D]; of several solutions the one with the smallest numbers."""
        assert self._triangle is not None
        columns = self._width + 1
        solved = np.linalg.lstsq(self._triangle[:, :columns], self._triangle[:, columns:], rcond=None)[0]
        return np.asarray(solved[:-1].T), np.asarray(solved[-1])


def _one_for_each_window(cuts: Sequence[Cut]) -> dict[int, Cut]:
    """The cut by which each stitch is fitted: the one that leads furthest ahead, so that equal blocks are in step."""
    found: dict[int, Cut] = {}
    for cut in cuts:
        if cut.window not in found or cut.end - cut.front > found[cut.window].end - found[cut.window].front:
            found[cut.window] = cut
    return found


def _recorded(
    family: Family,
    anchor: int,
    weights: Mapping[str, Any],
    batches: Iterable[Sequence[Any]],
    backend: str,
    wanted: Mapping[int, tuple[str, int]],
) -> Iterator[dict[str, Array]]:
    """What blocks of an anchor are given, or give, on each batch, by the windows that ask for it."""
    graph: Graph = family.anchors[anchor]
    blocks = chain(graph, family.path)
    values = {str(window): getattr(blocks[k], side) for window, (side, k) in wanted.items()}
    held = {path_of(w): weights[f"{family.names[anchor]}.{path_of(w)}"] for w in graph.weights}
    return Recorder(graph, values, backend).stream(held, batches)


def _axis(x: Array) -> int:
    return 1 if x.ndim > 3 else x.ndim - 1


def _rows(x: Array) -> Array:
    return np.moveaxis(x, _axis(x), -1).reshape(-1, x.shape[_axis(x)]).astype(np.float64)
