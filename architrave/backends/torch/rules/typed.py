"""How operands reach the dtype that an operator computes in.

PyTorch lets the rank of a tensor and its own default dtype take part in promotion; the IR does not. So an operand
of another dtype than the result's is cast first; a number takes the dtype of the tensor beside it.
"""

from __future__ import annotations

from functools import reduce

from architrave.backends.base import Call
from architrave.backends.code import Code, method
from architrave.ir.types import DType, promote


def to(at: Call, x: Code, dtype: DType) -> Code:
    """`x.to(dtype)`."""
    return method(x, "to", at.dtype(dtype))


def as_float(at: Call, position: int = 0) -> Code:
    """An operand as a float: integers and truth values in the precision of the run."""
    x, dtype = at.args[position], at.types[position].dtype
    return x if dtype.is_float or dtype.is_complex or x.number is not None else to(at, x, DType.FLOAT)


def promoted(at: Call, dtype: DType | None = None, start: int = 0) -> tuple[Code, ...]:
    """The operands from `start` on, in the dtype that they promote to, or in `dtype`."""
    args, types = at.args[start:], at.types[start:]
    common = dtype or reduce(promote, (t.dtype for t in types))
    return tuple(
        x if x.number is not None or t.dtype is common else to(at, x, common) for x, t in zip(args, types, strict=True)
    )


def with_tensor(at: Call, args: tuple[Code, ...], dtype: DType) -> tuple[Code, ...]:
    """The same; of numbers alone the first becomes a tensor."""
    if not args or any(x.number is None for x in args):
        return args
    first = Code(f"torch.tensor({args[0]}, dtype={at.dtype(dtype)}, device={at.anchor()}.device)")
    return (first, *args[1:])
