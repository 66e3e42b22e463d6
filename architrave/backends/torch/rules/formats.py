"""Number formats, which PyTorch writes as the other backends do."""

from __future__ import annotations

from architrave.backends.base import Rules
from architrave.backends.functional.formats import add_formats

formats = Rules()
add_formats(formats)
