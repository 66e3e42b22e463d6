"""Products by additions of bits."""

from __future__ import annotations

import torch

from architrave.backends.torch.prelude.mantissa import round_mantissa, straight_through

PRODUCTS_AT_ONCE = 1 << 20
"""About how many products are there at a time."""


def l_mul(a: torch.Tensor, b: torch.Tensor, mantissa: int, offset: int, dtype: torch.dtype) -> torch.Tensor:
    """About a * b, by adding bits of float32. The gradient is that of the true product."""
    exact = a.to(dtype) * b.to(dtype)
    y = added(a.detach(), b.detach(), mantissa, offset)
    return straight_through(y.to(dtype), exact, exact.isfinite())


def added(a: torch.Tensor, b: torch.Tensor, mantissa: int, offset: int) -> torch.Tensor:
    """The float32 whose bits are the sum of two numbers' bits and an offset. What is not a normal number is 0."""
    x, y = (round_mantissa(v.float(), mantissa, True).view(torch.int32) for v in (a, b))
    least, infinity, nan, sign = 0x00800000, 0x7F800000, 0x7FC00000, -0x80000000
    low, high = torch.minimum(x & ~sign, y & ~sign), torch.maximum(x & ~sign, y & ~sign)
    first = high + offset
    total = first + torch.minimum(low, infinity - first.clamp(min=0))  # not beyond infinity
    total = torch.where((low < least) | (total < least), 0, total)
    total = torch.where(high < infinity, total, torch.where(low < least, nan, high))
    return ((x ^ y) & sign | total).view(torch.float32)


def l_mul_matmul(a: torch.Tensor, b: torch.Tensor, mantissa: int, offset: int, dtype: torch.dtype) -> torch.Tensor:
    """a [..., M, K] times b [..., K, N] by l_mul, added in float32; some rows at a time. The gradient is matmul's."""
    exact = a.to(dtype) @ b.to(dtype)
    left, right = a.detach().unsqueeze(-1), b.detach().unsqueeze(-3)
    rows = max(PRODUCTS_AT_ONCE // max(exact[..., :1, :].numel() * a.shape[-1], 1), 1)
    parts = [
        summed(added(left[..., start : start + rows, :, :], right, mantissa, offset))
        for start in range(0, max(a.shape[-2], 1), rows)
    ]
    return straight_through(torch.cat(parts, -2).to(dtype), exact, exact.isfinite())


def summed(x: torch.Tensor) -> torch.Tensor:
    """The sum along the last axis but one: the first half plus the second, again and again, as on every backend."""
    while x.shape[-2] > 1:
        half = x.shape[-2] // 2
        x = torch.cat([x[..., :half, :] + x[..., half : 2 * half, :], x[..., 2 * half :, :]], -2)
    return x[..., 0, :]
