"""The functions of the language (docs/language.md, section 13), by name."""

from __future__ import annotations

from architrave.dsl.elaborate.builtins import (
    arithmetic,
    bits,
    calculus,
    complex,
    einops,
    einsum,
    fourier,
    indexing,
    initial,
    linalg,
    making,
    reductions,
    shapes,
    static,
)
from architrave.dsl.elaborate.builtins.registry import BUILTINS

__all__ = [
    "BUILTINS",
    "arithmetic",
    "bits",
    "calculus",
    "complex",
    "einops",
    "einsum",
    "fourier",
    "indexing",
    "initial",
    "linalg",
    "making",
    "reductions",
    "shapes",
    "static",
]
