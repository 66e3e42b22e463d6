"""Contractions of operands of few bits, which PyTorch writes as the other backends do."""

from __future__ import annotations

from architrave.backends.base import Rules
from architrave.backends.functional.low_bit import add_low_bit
from architrave.backends.functional.sparse import add_sparse

low_bit = Rules()
add_low_bit(low_bit)
add_sparse(low_bit)
