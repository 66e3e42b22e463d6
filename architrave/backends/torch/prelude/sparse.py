"""Products with weights of which only some blocks are stored."""

# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
import warnings

import torch
import torch.nn.functional as F  # noqa: N812  # as PyTorch's own documentation does

from architrave.backends.torch.prelude.weight_only import beside

FEW_COLUMNS = 4  # for no more columns of x, PyTorch's sparse product is faster than its embedding bags


def linear_sparse(x: torch.Tensor, values: torch.Tensor, columns: torch.Tensor, starts: torch.Tensor) -> torch.Tensor:
    """x [..., I] times the transpose of a weight [O, I] in CSR or BSR."""
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    y = sparse_times(values, columns, starts, rows.T)
    return y.T.reshape(*x.shape[:-1], len(y))


def pointwise_sparse(
    x: torch.Tensor, values: torch.Tensor, columns: torch.Tensor, starts: torch.Tensor
) -> torch.Tensor:
    """A convolution of x [N, C, *S] whose kernel [O, C] of size 1 is in CSR or BSR."""
    pixels = x.movedim(1, 0)
    y = sparse_times(values, columns, starts, pixels.reshape(len(pixels), math.prod(pixels.shape[1:])))
    return y.reshape(len(y), *pixels.shape[1:]).movedim(0, 1)


def sparse_times(values: torch.Tensor, columns: torch.Tensor, starts: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """A weight [O, I] times x [I, P]."""
    learns = torch.is_grad_enabled() and (x.requires_grad or values.requires_grad)
    if learns or x.dtype not in (torch.float32, torch.float64) or x.numel() == 0 or values.numel() == 0:
        return sparse_to_dense(values, columns, starts, len(x)) @ x
    if values.dim() == 1:
        return entries_times(values, columns, starts, x)
    rows, high = len(starts) - 1, values.shape[1]
    entries, places, bounds = beside(values, lambda: entries_of(values, columns, starts))
    y = entries_times(entries, places, bounds, x)
    return y.reshape(high, rows, x.shape[1]).transpose(0, 1).reshape(rows * high, x.shape[1])


def entries_times(values: torch.Tensor, columns: torch.Tensor, starts: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """A weight of single numbers times x [I, P]: each row is a bag of rows of x, which are weighted and added."""
    y: torch.Tensor
    if x.shape[1] <= FEW_COLUMNS and x.device.type == "cpu" and not torch.compiler.is_compiling():
        y = beside(values, lambda: sparse_tensor(values, columns, starts, len(x))) @ x
    else:
        y = F.embedding_bag(
            columns, x.contiguous(), starts, mode="sum", per_sample_weights=values, include_last_offset=True
        )
    return y


def entries_of(
    values: torch.Tensor, columns: torch.Tensor, starts: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The single numbers of blocks: those in the first row of each block, then those in each second one, and so on."""
    count, high, wide = values.shape
    each = columns[:, None] * wide + torch.arange(wide, dtype=columns.dtype, device=columns.device)
    rows = torch.arange(high, dtype=starts.dtype, device=starts.device)[:, None] * count + starts[:-1]
    bounds = torch.cat([rows.reshape(-1), starts.new_tensor([high * count])]) * wide
    return values.transpose(0, 1).reshape(-1), each.reshape(-1).repeat(high), bounds


def sparse_tensor(values: torch.Tensor, columns: torch.Tensor, starts: torch.Tensor, width: int) -> torch.Tensor:
    """A weight of single numbers as PyTorch's own CSR."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse .* tensor support is in beta")
        size, count = (len(starts) - 1, width), int(starts[-1])  # fewer than there are before a checkpoint is loaded
        return torch.sparse_csr_tensor(starts, columns[:count], values.detach()[:count], size, check_invariants=True)


def sparse_to_dense(values: torch.Tensor, columns: torch.Tensor, starts: torch.Tensor, width: int) -> torch.Tensor:
    """The weight [O, I] with its zeros."""
    high, wide = values.shape[1:] or (1, 1)
    rows, across = len(starts) - 1, width // wide
    row = torch.repeat_interleave(torch.arange(rows, device=starts.device), starts.diff(), output_size=len(columns))
    grid = values.new_zeros(rows * across, high, wide)
    grid = grid.index_add(0, row * across + columns, values.reshape(-1, high, wide))
    return grid.reshape(rows, across, high, wide).transpose(1, 2).reshape(rows * high, width)
