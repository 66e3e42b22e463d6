"""Fourier transforms."""

from __future__ import annotations

from architrave.backends.base import Call, Rules
from architrave.backends.code import Code, call, literal
from architrave.backends.torch.rules.typed import as_float
from architrave.ir.types import normalize_axis

fourier = Rules()


@fourier.rule("fft", "ifft", "rfft", "irfft")
def _along_one(at: Call) -> Code:
    options: dict[str, Code | str] = {} if at.op.n is None else {"n": at.size(at.op.n)}
    position = normalize_axis(at.op.axis, at.types[0].rank)
    if position != at.types[0].rank - 1:
        options["dim"] = literal(position)
    return _transform(at, options)


@fourier.rule("fft2", "ifft2", "rfft2", "irfft2")
def _along_two(at: Call) -> Code:
    options: dict[str, Code | str] = {} if at.op.sizes is None else {"s": at.shape(at.op.sizes)}
    rank = at.types[0].rank
    positions = tuple(normalize_axis(a, rank) for a in at.op.axes)
    if positions != (rank - 2, rank - 1):
        options["dim"] = literal(positions)
    return _transform(at, options)


def _transform(at: Call, options: dict[str, Code | str]) -> Code:
    result = at.results[0]
    if 0 in result.shape:
        # MKL takes no batch that is empty.
        where: dict[str, Code | str] = {"dtype": at.dtype(result.dtype), "device": f"{at.anchor()}.device"}
        return call("torch.zeros", at.shape(result.shape), **where)
    if at.op.norm != "backward":
        options["norm"] = literal(at.op.norm)
    return call(f"torch.fft.{at.op.name}", as_float(at), **options)
