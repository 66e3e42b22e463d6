"""Contractions of the integers of quantized networks: products of bytes where PyTorch has them, floats elsewhere.

Floats are exact here: so few products are summed at a time that 24 bits hold the sum.
"""

# pyright: reportPrivateUsage=false, reportPrivateImportUsage=false

from __future__ import annotations

import math

import torch

from architrave.backends.torch.prelude.weight_only import beside

HAS_BYTES = hasattr(torch.cpu, "_is_vnni_supported") and torch.cpu._is_vnni_supported()
"""Whether the processor sums products of bytes in 32 bits. Older ones saturate on the way, at 16."""
EXACT_PRODUCTS = 256
"""So many products of integers up to 255 are exact in float32, and their sums."""


def linear_integer(
    x: torch.Tensor,
    weight: torch.Tensor,
    zero: torch.Tensor | int = 0,
    bias: torch.Tensor | int = 0,
) -> torch.Tensor:
    """`(x - zero) @ weight.T + bias` of integers of eight bits x [..., I] and weight [O, I], as int32."""
    if not is_plain(weight, zero):
        return exact_product(x.float() - zero, weight.float().T).add_(bias)
    x, zero = signed(x, zero)
    y = byte_product(x.reshape(math.prod(x.shape[:-1]), x.shape[-1]), weight)
    y += bias - zero * beside(weight, lambda: weight.sum(1, dtype=torch.int32))
    return y.reshape(*x.shape[:-1], len(weight))


def matmul_integer(
    a: torch.Tensor, b: torch.Tensor, a_zero: torch.Tensor | int = 0, b_zero: torch.Tensor | int = 0
) -> torch.Tensor:
    """`(a - a_zero) @ (b - b_zero)` of integers of eight bits, as int32."""
    return exact_product(a.float() - a_zero, b.float() - b_zero)


def convolve_integer(
    x: torch.Tensor,
    weight: torch.Tensor,
    zero: torch.Tensor | int = 0,
    bias: torch.Tensor | int = 0,
    *,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[tuple[int, int], ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> torch.Tensor:
    """Cross-correlation of x [N, C, *spatial] - zero with weight [out, C / groups, *kernel], plus bias, as int32.

    Channels lie innermost in memory, in the result, too.
    """
    kernel = weight.shape[2:]
    rank = len(kernel)
    widths = pairs(padding, rank)
    window = (kernel, per_axis(stride, rank), per_axis(dilation, rank))
    if groups > 1 or not is_plain(weight, zero):
        seen = channels_last_windows(padded(x.float() - zero, widths, 0), *window)
        return grouped_product(seen, weight.float(), groups, rank).add_(bias).movedim(-1, 1)
    x, zero = signed(x, zero)
    seen = channels_last_windows(padded(x, widths, zero), *window)
    matrix, sums = beside(weight, lambda: with_sums(flat_kernels(weight)))
    y = byte_product(seen.reshape(math.prod(seen.shape[: 1 + rank]), matrix.shape[1]), matrix)
    y += bias - zero * sums
    return y.reshape(*seen.shape[: 1 + rank], len(weight)).movedim(-1, 1)


def grouped_product(seen: torch.Tensor, weight: torch.Tensor, groups: int, rank: int) -> torch.Tensor:
    """Windows [N, *size, *kernel, C] with weight [out, C / groups, *kernel]: [N, *size, out]."""
    columns = seen.reshape(*seen.shape[:-1], groups, weight.shape[1]).movedim(-2, 0)
    columns = columns.reshape(groups, math.prod(seen.shape[: 1 + rank]), math.prod(weight.shape[1:]))
    matrix = flat_kernels(weight).reshape(groups, len(weight) // groups, columns.shape[-1])
    y = exact_product(columns, matrix.mT).movedim(0, -2)
    return y.reshape(*seen.shape[: 1 + rank], len(weight))


def byte_product(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """`x @ weight.T` of matrices of int8, as int32."""
    if HAS_BYTES and x.device.type == "cpu" and x.shape[1] > 1:
        # It misreads rows of one number, and rows that overlap, as windows do.
        return torch._int_mm(x.contiguous(), weight.contiguous().T)
    return exact_product(x.float(), weight.float().T)


def exact_product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """`a @ b` of whole numbers up to 255 that floats hold, as int32."""
    wide, inner = a.shape[-1], max(b.dim() - 2, 0)
    spans = [(start, min(EXACT_PRODUCTS, wide - start)) for start in range(0, max(wide, 1), EXACT_PRODUCTS)]
    products = [a.narrow(-1, *span) @ b.narrow(inner, *span) for span in spans]
    total = products[0].to(torch.int32)
    for product in products[1:]:
        total += product.to(torch.int32)
    return total


def is_plain(weight: torch.Tensor, zero: torch.Tensor | int) -> bool:
    """Whether a product of bytes, and the zero point times sums of the weight, are all that it takes."""
    return weight.dtype is torch.int8 and (isinstance(zero, int) or zero.dim() == 0)


def signed(x: torch.Tensor, zero: torch.Tensor | int) -> tuple[torch.Tensor, torch.Tensor | int]:
    """Bytes from -128 to 127, and their zero point."""
    return (x, zero) if x.dtype is torch.int8 else ((x ^ 128).view(torch.int8), zero - 128)


def padded(x: torch.Tensor, widths: tuple[tuple[int, int], ...], value: torch.Tensor | int) -> torch.Tensor:
    """x [N, C, *spatial], padded, as [N, *spatial, C]."""
    x = x.movedim(1, -1)
    if not any(map(any, widths)):
        return x
    spatial = x.shape[1:-1]
    larger = x.new_empty((len(x), *(n + sum(width) for n, width in zip(spatial, widths)), x.shape[-1]))
    larger[...] = value
    larger[(slice(None), *(slice(before, before + n) for n, (before, _) in zip(spatial, widths)))] = x
    return larger


def channels_last_windows(
    x: torch.Tensor, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> torch.Tensor:
    """A view [N, *size, *kernel, C] of what a kernel sees of x [N, *spatial, C]."""
    for axis, (k, s, d) in enumerate(zip(kernel, stride, dilation), 1):
        x = x.unfold(axis, d * (k - 1) + 1, s)[..., ::d]
    return x.movedim(1 + len(kernel), -1)


def flat_kernels(weight: torch.Tensor) -> torch.Tensor:
    """weight [out, C, *kernel] as [out, kernel * C]."""
    return weight.movedim(1, -1).reshape(len(weight), math.prod(weight.shape[1:]))


def with_sums(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A matrix of int8 and the sums of its rows."""
    return matrix, matrix.sum(1, dtype=torch.int32)


def per_axis(value: int | tuple[int, ...], rank: int) -> tuple[int, ...]:
    """One number for each axis."""
    return (value,) * rank if isinstance(value, int) else value


def pairs(padding: int | tuple[tuple[int, int], ...], rank: int) -> tuple[tuple[int, int], ...]:
    """A padding (before, after) for each axis."""
    return ((padding, padding),) * rank if isinstance(padding, int) else padding
