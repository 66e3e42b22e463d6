"""Scaled dot-product attention."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from architrave.ir.arrays import np
from architrave.ir.dims import Size, product
from architrave.ir.graph import Value, apply
from architrave.ir.op import Op, Sample, sample, typed
from architrave.ir.ops import checks
from architrave.ir.ops.activation import Softmax
from architrave.ir.ops.contraction import Einsum
from architrave.ir.ops.elementwise import Rsqrt
from architrave.ir.ops.leaves import Full
from architrave.ir.ops.logic import LogicalAnd, Where
from architrave.ir.ops.reduce import Any
from architrave.ir.ops.shape import Tril
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType, broadcast, promote, shape_text

if TYPE_CHECKING:
    from architrave.ir.axes.rest import Cut


class Attention(Op):
    """`softmax(q @ k' * scale + mask) @ v`: q [..., T, D], k [..., S, D], v [..., S, E] -> [..., T, E].

    `scale` is `1 / sqrt(D)` unless given. A mask broadcasts to [..., T, S]: truth values are true where a
    query may look, and a query that may look nowhere gets zeros; numbers are added to the scores.
    `causal` lets query `t` look at keys up to `t`. Vaswani and others, "Attention Is All You Need" (2017).
    """

    causal: bool = False
    scale: float | None = None

    def infer(self, q: TensorType, k: TensorType, v: TensorType, mask: TensorType | None = None) -> TensorType:
        for name, x in (("query", q), ("key", k), ("value", v)):
            checks.at_least(f"the {name} of `attention`", x, 2)
            if not x.dtype.is_float:
                raise error("E303", f"the {name} of `attention` must hold floats, not {x}")
        checks.same("the widths of `attention`", q.shape[-1], f"the query {q}", k.shape[-1], f"the key {k}")
        checks.same("the lengths of `attention`", k.shape[-2], f"the key {k}", v.shape[-2], f"the value {v}")
        if k.shape[-2] == 0:
            raise error("E310", f"`attention` has nothing to look at: the key is {k}")
        lead = broadcast(q.shape[:-2], k.shape[:-2], v.shape[:-2])
        dtype = promote(promote(q.dtype, k.dtype), v.dtype)
        if mask is not None:
            dtype = self._masked(mask, (*lead, q.shape[-2], k.shape[-2]), dtype)
        return TensorType(dtype, (*lead, q.shape[-2], v.shape[-1]))

    def expand(self, q: Value, k: Value, v: Value, mask: Value | None = None) -> Value:
        width = q.shape[-1]
        if self.scale is not None:
            q = q * self.scale
        else:
            q = q * (1.0 / math.sqrt(width)) if isinstance(width, int) else q * apply(Rsqrt(), _number(width))
        scores = apply(Einsum("...td,...sd->...ts"), q, k)
        if mask is not None and not mask.dtype.is_bool:
            scores = scores + mask
        keep = self._keep(scores, mask)
        if keep is None:
            return apply(Einsum("...ts,...se->...te"), apply(Softmax(), scores), v)
        # Scores of a query that may look nowhere are 0 instead of minus infinity: no NaN, in gradients neither.
        sees = apply(Any((-1,), keep=True), keep)
        scores = apply(Where(), sees, apply(Where(), keep, scores, -math.inf), 0.0)
        weights = apply(Where(), sees, apply(Softmax(), scores), 0.0)
        return apply(Einsum("...ts,...se->...te"), weights, v)

    def multiply_adds(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Size:
        q, k = operands[:2]
        lead = product(results[0].shape[:-2])
        return lead * q.shape[-2] * k.shape[-2] * (q.shape[-1] + results[0].shape[-1])

    def _keep(self, scores: Value, mask: Value | None) -> Value | None:
        """Where queries may look; None for everywhere."""
        keep = mask if mask is not None and mask.dtype.is_bool else None
        if not self.causal:
            return keep
        past = apply(Tril(), apply(Full(True, scores.shape[-2:], DType.BOOL)))
        return past if keep is None else apply(LogicalAnd(), keep, past)

    def _masked(self, mask: TensorType, scores: tuple[Size, ...], dtype: DType) -> DType:
        if not (mask.dtype.is_bool or mask.dtype.is_float):
            raise error("E303", f"the mask of `attention` holds truth values or floats, not {mask}")
        if broadcast(mask.shape, scores) != scores:
            raise error("E301", f"the mask {mask} of `attention` does not broadcast to {shape_text(scores)}")
        return dtype if mask.dtype.is_bool else promote(dtype, mask.dtype)

    def cut(self, cut: Cut) -> Attention:
        width = cut.operands[0].before.shape[-1]
        if self.scale is not None or cut.operands[0].kept[-1] is None or not isinstance(width, int):
            return self
        return dataclasses.replace(self, scale=1.0 / math.sqrt(width))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 2, 3, 4], [2, 2, 5, 4], [2, 2, 5, 6])
        yield sample([2, 3, 4], [2, 3, 4], [2, 3, 4], causal=True)
        yield sample([2, 3, 4], [2, 5, 4], [2, 5, 4], causal=True, scale=0.5)
        yield sample([2, 2, 3, 4], [1, 5, 4], [1, 5, 4], typed(DType.BOOL, 3, 5))
        yield sample([2, 3, 4], [2, 3, 4], [2, 3, 4], np.array([[True], [False]])[:, :, None], causal=True)
        yield sample([3, 4], [5, 4], [5, 2], [3, 5])
        yield sample([1, 1], [1, 1], [1, 1])
        yield sample([0, 3, 4], [0, 5, 4], [0, 5, 4])
        yield sample([2, 3, 4], [2, 5, 3], [2, 5, 4], error="E305")
        yield sample([2, 3, 4], [2, 5, 4], [2, 4, 4], error="E305")
        yield sample([2, 3, 4], [2, 5, 4], [2, 5, 4], typed(DType.BOOL, 5, 5), error="E301")
        yield sample([4], [5, 4], [5, 4], error="E304")
        yield sample([3, 4], [0, 4], [0, 4], error="E310")


def _number(size: Size) -> Value:
    return apply(Full(size, (), DType.FLOAT))
