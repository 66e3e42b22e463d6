"""The integers of quantized networks, which PyTorch writes as the other backends do."""

from __future__ import annotations

from architrave.backends.base import Rules
from architrave.backends.functional.integer import add_integer

integer = Rules()
add_integer(integer)
