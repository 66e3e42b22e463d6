"""Blocks that are a standard module of PyTorch, such as `nn.Conv2d`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from architrave.backends.hierarchy import Region

if TYPE_CHECKING:
    from architrave.backends.torch.program import Program


def standard(region: Region, program: Program) -> str | None:
    """The constructor of the standard module that a region is, or None."""
    return None
