"""Making a gradient the type of what it is the gradient of."""

from __future__ import annotations

from architrave.ir.graph import Value, apply
from architrave.ir.ops.complex import Real
from architrave.ir.ops.leaves import Full
from architrave.ir.ops.logic import Cast
from architrave.ir.ops.reduce import Sum
from architrave.ir.ops.shape import Expand, Reshape
from architrave.ir.types import TensorType


def differentiable(type: TensorType) -> bool:
    """Whether values of this type have gradients: integers and truth values do not."""
    return type.dtype.is_float or type.dtype.is_complex


def zeros(type: TensorType) -> Value:
    """What flows back where nothing does; for integers a stand-in of their type."""
    number = False if type.dtype.is_bool else 0 if type.dtype.is_integer else 0.0
    return apply(Full(number, type.shape, type.dtype))


def fitted(gradient: Value, type: TensorType) -> Value:
    """A gradient as one of this type: summed over axes that were broadcast, expanded along those of size 1, cast.

    Of a real number the gradient is the real part of what flows back.
    """
    if gradient.dtype.is_complex and not type.dtype.is_complex:
        gradient = apply(Real(), gradient)
    extra = max(gradient.rank - type.rank, 0)
    within = gradient.shape[extra:]
    narrow = [i for i, (size, wanted) in enumerate(zip(within, type.shape, strict=False)) if wanted == 1 != size]
    if extra or narrow:
        gradient = apply(Sum((*range(extra), *(extra + i for i in narrow))), gradient)
    if narrow:
        gradient = apply(Reshape(tuple(1 if i in narrow else size for i, size in enumerate(within))), gradient)
    if gradient.shape != type.shape:
        gradient = apply(Expand(type.shape), gradient)
    return gradient if gradient.dtype is type.dtype else apply(Cast(type.dtype), gradient)
