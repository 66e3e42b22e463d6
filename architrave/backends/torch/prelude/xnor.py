"""Contractions of signs, -1 and 1: PyTorch multiplies bytes faster than it compares bits."""

from __future__ import annotations

from typing import Any

import torch

from architrave.backends.torch.prelude.integer import convolve_integer, linear_integer
from architrave.backends.torch.prelude.packing import unpack
from architrave.backends.torch.prelude.weight_only import beside


def linear_binary(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """`x @ weight.T` of signs: x [..., I] is true for 1 and false for -1, weight [O, I / 8] has a bit for each sign."""
    return linear_integer(signs(x), beside(weight, lambda: unpacked_signs(weight, x.shape[-1])))


def convolve_binary(x: torch.Tensor, weight: torch.Tensor, *, groups: int = 1, **window: Any) -> torch.Tensor:
    """Cross-correlation of signs: x [N, C, *spatial] is true for 1 and false for -1.

    weight [out, *kernel, C / groups / 8] has a bit for each sign. Padding is neither sign: it adds nothing.
    """
    count = x.shape[1] // groups
    kernel = beside(weight, lambda: unpacked_signs(weight, count).movedim(-1, 1).contiguous())
    return convolve_integer(signs(x), kernel, groups=groups, **window)


def unpacked_signs(weight: torch.Tensor, count: int) -> torch.Tensor:
    """The first signs along the last axis of bytes."""
    return signs(unpack(weight, 1, torch.uint8)[..., :count])


def signs(bits: torch.Tensor) -> torch.Tensor:
    """1 where there is a bit, else -1."""
    return 2 * bits.to(torch.int8) - 1
