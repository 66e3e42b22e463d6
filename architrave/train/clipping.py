"""Keeping gradients small. Each takes weights and gradients by path, and gives gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from architrave.ir import build
from architrave.ir.graph import Value
from architrave.ir.types import DType

Values = Mapping[str, Value]


@dataclass(frozen=True)
class Clipping:
    """What is done to gradients, in this order; 0 leaves a part out.

    `value`: each number lies between `-value` and `value`. `norm`: all gradients together are no longer than `norm`, as
    one vector (Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", 2013).
    `adaptive`: the gradient of each unit, a row of a weight, is no longer than `adaptive` times that row; a weight of
    one axis is one unit (Brock and others, "High-Performance Large-Scale Image Recognition Without Normalization",
    2021).
    """

    norm: float = 0.0
    value: float = 0.0
    adaptive: float = 0.0

    def clipped(self, weights: Values, gradients: Values) -> Values:
        """The gradients, made smaller where they are too large."""
        if self.value:
            gradients = {path: build.clip(g, -self.value, self.value) for path, g in gradients.items()}
        if self.norm and gradients:
            gradients = _by_norm(gradients, self.norm)
        if self.adaptive:
            gradients = {path: _by_unit(weights[path], g, self.adaptive) for path, g in gradients.items()}
        return gradients


def _by_norm(gradients: Values, limit: float) -> Values:
    squares = [build.cast(build.sum(g * g), DType.FLOAT) for g in gradients.values()]
    total: Value = squares[0]
    for square in squares[1:]:
        total = total + square
    length = build.sqrt(total)
    scale = build.where(length > limit, limit / length, 1.0)
    return {path: g * scale for path, g in gradients.items()}


def _by_unit(w: Value, g: Value, limit: float) -> Value:
    axes = tuple(range(1 if w.rank > 1 else 0, w.rank))
    size = build.maximum(build.norm(w, axes=axes, keep=True), 1e-3) * limit
    length = build.norm(g, axes=axes, keep=True)
    clipped: Value = g * build.where(length > size, size / build.maximum(length, 1e-6), 1.0)
    return clipped
