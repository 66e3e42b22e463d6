"""Contractions of the integers of quantized networks."""

import torch
import torch.nn.functional as F  # noqa: N812  # as PyTorch's own documentation does


def linear_integer(x: torch.Tensor, weight: torch.Tensor, zero: torch.Tensor | int = 0) -> torch.Tensor:
    """`(x - zero) @ weight.T` of integers of eight bits x [..., I] and weight [O, I], as int32."""
    return matmul_integer(x, weight.T, zero)


def matmul_integer(
    a: torch.Tensor, b: torch.Tensor, a_zero: torch.Tensor | int = 0, b_zero: torch.Tensor | int = 0
) -> torch.Tensor:
    """`(a - a_zero) @ (b - b_zero)` of integers of eight bits, as int32."""
    return ((a.double() - a_zero) @ (b.double() - b_zero)).long().to(torch.int32)


def convolve_integer(
    x: torch.Tensor,
    weight: torch.Tensor,
    zero: torch.Tensor | int = 0,
    *,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[tuple[int, int], ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> torch.Tensor:
    """Cross-correlation of x [N, C, *spatial] - zero with weight [out, C / groups, *kernel], as int32."""
    rank = x.dim() - 2
    widths = (padding,) * 2 * rank if isinstance(padding, int) else [w for pair in reversed(padding) for w in pair]
    x, weight = F.pad(x.double() - zero, widths), weight.double()
    if rank == 0:
        return F.conv1d(x[..., None], weight[..., None], groups=groups)[..., 0].long().to(torch.int32)
    convolve = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
    return convolve(x, weight, stride=stride, dilation=dilation, groups=groups).long().to(torch.int32)


def requantize(
    acc: torch.Tensor,
    multiplier: torch.Tensor,
    shift: torch.Tensor,
    zero: torch.Tensor | int = 0,
    *,
    lo: int,
    hi: int,
    dtype: torch.dtype,
) -> torch.Tensor:
    """`acc * multiplier / 2**shift`, half to even, plus zero: from lo to hi."""
    exact, shift = acc.long() * multiplier, shift.long()
    below = exact >> shift
    rest = exact - (below << shift)
    steps = below + (2 * rest + (below & 1) > 1 << shift) + zero
    return steps.clamp(lo, hi).to(dtype)
