"""Quantization, which PyTorch writes as the other backends do."""

from __future__ import annotations

from architrave.backends.base import Rules
from architrave.backends.functional.quantize import add_quantize

quantize = Rules()
add_quantize(quantize)
