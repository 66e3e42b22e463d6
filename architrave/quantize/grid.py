"""The numbers that a quantizer has for a weight, as arrays: what methods choose from when they round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.ops.quantize import bounds
from architrave.passes.quantize.rounding.sites import Site


@dataclass(frozen=True)
class Grid:
    """`(q - zero) * scale` for the integers `q` from `lo` to `hi`; scale and zero broadcast against the weight."""

    scale: Array
    zero: Array
    lo: int
    hi: int

    @classmethod
    def symmetric(cls, weight: Array, bits: int, axes: tuple[int, ...] | None = None) -> Grid:
        """The grid around 0 that cuts nothing off, with one scale along `axes`: of all, unless given."""
        lo, hi = bounds(bits, narrow=True)
        reach = np.abs(weight).max(axis=axes, keepdims=axes is not None).astype(np.float32)
        return cls(np.where(reach > 0, reach / np.float32(hi), np.float32(1)), np.zeros((), np.int32), lo, hi)

    @classmethod
    def of(cls, site: Site, weights: Mapping[str, Any]) -> Grid:
        """The grid of a quantizer of the network, with the scale and the zero point that it has now."""
        zero = np.zeros((), np.int32) if site.zero is None else np.asarray(weights[site.zero])
        return cls(np.asarray(weights[site.scale]), zero, *site.op.bounds)

    def position(self, x: Array) -> Array:
        """How many steps numbers are from 0: `x * (1 / scale)`, in float32."""
        reciprocal = np.float32(1) / self.scale.astype(np.float32)
        return np.asarray(x.astype(np.float32) * reciprocal)

    def steps(self, x: Array) -> Array:
        """The nearest integers, half to even: the rule of `quantize`."""
        return np.asarray(np.clip(np.rint(self.position(x)) + self.zero, self.lo, self.hi))

    def number(self, q: Array) -> Array:
        """What integers stand for."""
        return np.asarray((q.astype(np.float32) - self.zero.astype(np.float32)) * self.scale.astype(np.float32))

    def nearest(self, x: Array) -> Array:
        """What is left of numbers when they are held in these integers."""
        return self.number(self.steps(x))

    def spread(self, shape: tuple[int, ...], new: tuple[int, ...]) -> Grid:
        """The grid of weights of `shape` seen in another shape, with a scale and a zero point for each."""
        scale, zero = (np.broadcast_to(v, shape).reshape(new) for v in (self.scale, self.zero))
        return Grid(scale, zero, self.lo, self.hi)

    def columns(self, which: Any) -> Grid:
        """The grid of some columns of a matrix; of one that is spread."""
        return Grid(self.scale[:, which], self.zero[:, which], self.lo, self.hi)


def shaped(site: Site) -> tuple[int, ...]:
    """The shape in which a weight is rounded, which may split its inputs into groups."""
    return tuple(size for size in site.value.shape if isinstance(size, int))
