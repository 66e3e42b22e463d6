"""Fourier transforms, and the order of their frequencies."""

from __future__ import annotations

from typing import Any

from architrave.dsl.elaborate.builtins.making import to_shape
from architrave.dsl.elaborate.builtins.registry import BUILTINS, axis_list, builtin, one_axis, tensor
from architrave.dsl.elaborate.conversions import to_list, to_size
from architrave.dsl.elaborate.core import Frame
from architrave.dsl.elaborate.values import Builtin, apply_op
from architrave.ir.dims import Size, floor_div
from architrave.ir.graph import Value
from architrave.ir.source import Span, error
from architrave.ir.types import DType


def _along_one(name: str) -> None:
    def run(frame: Frame, span: Span, x: Any, n: Any = None, axis: int = -1, norm: str = "backward") -> Value:
        x = tensor(x, span, name)
        length = None if n is None else to_size(n, span)
        return apply_op(name, x, n=length, axis=one_axis(axis, x, span), norm=norm)

    BUILTINS[name] = Builtin(name, run)


def _along_two(name: str) -> None:
    def run(frame: Frame, span: Span, x: Any, sizes: Any = None, axes: Any = None, norm: str = "backward") -> Value:
        x = tensor(x, span, name)
        along = (-2, -1) if axes is None else axis_list(axes, x, span)
        lengths = None if sizes is None else _pair(sizes, span)
        return apply_op(name, x, sizes=lengths, axes=along, norm=norm)

    BUILTINS[name] = Builtin(name, run)


def _pair(sizes: Any, span: Span) -> tuple[Size, ...]:
    found = tuple(to_size(s, span) for s in to_list(sizes, span, "the sizes of a transform"))
    if len(found) != 2:
        raise error("E227", f"a transform along two axes takes two sizes, not {len(found)}", span)
    return found


for _name in ("fft", "ifft", "rfft", "irfft"):
    _along_one(_name)
    _along_two(f"{_name}2")


@builtin("dct")
def _dct(frame: Frame, span: Span, x: Any, axis: int = -1, ortho: bool = False) -> Value:
    x = tensor(x, span, "dct")
    return apply_op("dct", x, axis=one_axis(axis, x, span), ortho=ortho)


@builtin("fftshift")
def _fftshift(frame: Frame, span: Span, x: Any, axis: Any = None) -> Value:
    """The frequency 0 from the front to the middle."""
    x = tensor(x, span, "fftshift")
    axes = _axes(x, axis, span)
    return apply_op("roll", x, shifts=tuple(floor_div(x.shape[a], 2) for a in axes), axes=axes)


@builtin("ifftshift")
def _ifftshift(frame: Frame, span: Span, x: Any, axis: Any = None) -> Value:
    """And back."""
    x = tensor(x, span, "ifftshift")
    axes = _axes(x, axis, span)
    return apply_op("roll", x, shifts=tuple(-floor_div(x.shape[a], 2) for a in axes), axes=axes)


@builtin("fftfreq")
def _fftfreq(frame: Frame, span: Span, n: Any, d: float = 1.0) -> Value:
    (size,) = to_shape([n], span)
    half = floor_div(size, 2)
    places = apply_op("arange", size=size)
    return _frequencies((places + half) % size - half, size, d)


@builtin("rfftfreq")
def _rfftfreq(frame: Frame, span: Span, n: Any, d: float = 1.0) -> Value:
    (size,) = to_shape([n], span)
    return _frequencies(apply_op("arange", size=floor_div(size, 2) + 1), size, d)


def _frequencies(turns: Value, size: Size, d: float) -> Value:
    """Cycles per unit, where elements lie `d` apart."""
    return apply_op("cast", turns, dtype=DType.FLOAT) / size / d


def _axes(x: Value, axis: Any, span: Span) -> tuple[int, ...]:
    found = axis_list(axis, x, span)
    return tuple(range(x.rank)) if found is None else found
