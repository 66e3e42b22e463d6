"""Rules for Fourier transforms, which NumPy and jax.numpy write alike."""

from __future__ import annotations

from architrave.backends.base import Call, Rules
from architrave.backends.code import Code, call, literal
from architrave.backends.functional.dtypes import as_float
from architrave.ir.types import normalize_axis


def add_fourier(rules: Rules, np: str) -> None:
    """Add the rules that write functions of `np.fft`."""

    @rules.rule("fft", "ifft", "rfft", "irfft")
    def _along_one(at: Call) -> Code:
        options: dict[str, Code | str] = {} if at.op.n is None else {"n": at.size(at.op.n)}
        position = normalize_axis(at.op.axis, at.types[0].rank)
        if position != at.types[0].rank - 1:
            options["axis"] = literal(position)
        return call(f"{np}.fft.{at.op.name}", as_float(at), **options, **_scaled(at))

    @rules.rule("fft2", "ifft2", "rfft2", "irfft2")
    def _along_two(at: Call) -> Code:
        rank = at.types[0].rank
        positions = tuple(normalize_axis(a, rank) for a in at.op.axes)
        options: dict[str, Code | str] = {}
        if at.op.sizes is not None:
            options["s"] = at.shape(at.op.sizes)
        if at.op.sizes is not None or positions != (rank - 2, rank - 1):
            options["axes"] = literal(positions)  # NumPy wants them where it gets sizes
        return call(f"{np}.fft.{at.op.name}", as_float(at), **options, **_scaled(at))


def _scaled(at: Call) -> dict[str, Code | str]:
    return {} if at.op.norm == "backward" else {"norm": literal(at.op.norm)}
