"""What stays or goes together: single numbers, blocks, or so many of each few along the inputs."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.source import error
from architrave.sparsity.masks.masked import Layer


class Pattern(Protocol):
    """Units of a weight that stay or go as a whole. Masks of units are chosen by the scores of units."""

    def refusal(self, layer: Layer) -> str | None:
        """Why a weight cannot have it; None where it can."""
        ...

    def units(self, layer: Layer, scores: Array) -> Array:
        """The score of each unit, the sum of those of its numbers."""
        ...

    def spread(self, layer: Layer, kept: Array) -> Array:
        """The mask of a weight, from that of its units."""
        ...


@dataclass(frozen=True)
class Unstructured:
    """Each number by itself."""

    def refusal(self, layer: Layer) -> str | None:
        return None

    def units(self, layer: Layer, scores: Array) -> Array:
        return scores

    def spread(self, layer: Layer, kept: Array) -> Array:
        return kept

    def __str__(self) -> str:
        return "unstructured"


@dataclass(frozen=True)
class Block:
    """Blocks of `outputs` x `inputs` numbers of a weight `[outputs, inputs, *kernel]`, for each place of the kernel.

    Elsen and others, "Fast Sparse ConvNets" (2020), take 1, 2 and 4 outputs and one input.
    """

    outputs: int
    inputs: int

    def refusal(self, layer: Layer) -> str | None:
        if layer.axes is None or len(layer.axes.outputs) != 1 or len(layer.axes.inputs) != 1:
            return "blocks need a weight with one axis of outputs and one of inputs"
        out, into = self._matrix(layer)
        if layer.shape[out] % self.outputs or layer.shape[into] % self.inputs:
            sizes = f"{layer.shape[out]} outputs and {layer.shape[into]} inputs"
            return f"blocks of {self.outputs}x{self.inputs} do not divide {sizes}"
        return None

    def units(self, layer: Layer, scores: Array) -> Array:
        out, into = self._matrix(layer)
        moved = np.moveaxis(scores, (out, into), (0, 1))
        rows, columns, *kernel = moved.shape
        cut = moved.reshape(rows // self.outputs, self.outputs, columns // self.inputs, self.inputs, *kernel)
        summed: Array = cut.sum(axis=(1, 3))
        return summed

    def spread(self, layer: Layer, kept: Array) -> Array:
        whole = kept.repeat(self.outputs, axis=0).repeat(self.inputs, axis=1)
        return np.ascontiguousarray(np.moveaxis(whole, (0, 1), self._matrix(layer)))

    def _matrix(self, layer: Layer) -> tuple[int, int]:
        assert layer.axes is not None
        return layer.axes.outputs[0], layer.axes.inputs[0]

    def __str__(self) -> str:
        return f"block:{self.outputs}x{self.inputs}"


@dataclass(frozen=True)
class NM:
    """At most `n` of each `m` numbers along the axis of the inputs. Mishra and others, "Accelerating Sparse Deep Neural
    Networks" (2021), has 2 of 4.
    """

    n: int
    m: int

    @property
    def density(self) -> float:
        """The share of numbers that stay."""
        return self.n / self.m

    def at(self, density: float) -> NM:
        """The pattern on the way there: no fewer of each `m` than `n`, and than a density leaves."""
        return NM(max(self.n, math.ceil(Fraction(str(float(density))) * self.m)), self.m)

    def refusal(self, layer: Layer) -> str | None:
        """Why a weight cannot have it; None where it can."""
        if layer.axes is None or len(layer.axes.inputs) != 1:
            return f"{self} needs a weight with one axis of inputs"
        size = layer.shape[layer.axes.inputs[0]]
        return f"{self.m} does not divide its {size} inputs" if size % self.m else None

    def mask(self, layer: Layer, scores: Array) -> Array:
        """The highest scores of each `m`, as a mask."""
        assert layer.axes is not None
        return n_of_m(scores, self.n, self.m, layer.axes.inputs[0])

    def __str__(self) -> str:
        return f"{self.n}:{self.m}"


def n_of_m(scores: Array, n: int, m: int, axis: int = -1) -> Array:
    """Where the `n` highest scores of each `m` along an axis stand; of equal ones the first.

    Raises E926 where `m` does not divide that axis.
    """
    if scores.shape[axis] % m:
        raise error("E926", f"{n}:{m} takes an axis of a multiple of {m}, not of {scores.shape[axis]}")
    moved = np.moveaxis(scores, axis, -1)
    groups: Array = moved.reshape(-1, m)
    order = np.argsort(-groups, axis=1, kind="stable")[:, :n]
    found: Array = np.zeros(groups.shape, np.bool_)
    np.put_along_axis(found, order, values=True, axis=1)
    back: Array = np.moveaxis(found.reshape(moved.shape), -1, axis)
    return np.ascontiguousarray(back)


def pattern(text: str) -> Pattern | NM:
    """A pattern from text: `unstructured`, `block:4x1` (outputs x inputs), `2:4`. Raises E926 for what is none."""
    if text == "unstructured":
        return Unstructured()
    if (block := re.fullmatch(r"block:(\d{1,6})x(\d{1,6})", text)) and min(sizes := (int(block[1]), int(block[2]))) > 0:
        return Block(*sizes)
    if (few := re.fullmatch(r"(\d{1,6}):(\d{1,6})", text)) and 0 < int(few[1]) <= int(few[2]):
        return NM(int(few[1]), int(few[2]))
    hint = "it is `unstructured`, `block:4x1` (outputs x inputs), or `2:4`, so many of each 4 inputs"
    raise error("E926", f"`{text}` is no pattern of sparsity", hint=hint)
