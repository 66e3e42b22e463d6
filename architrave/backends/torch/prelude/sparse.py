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
    few = x.shape[1] <= FEW_COLUMNS and x.device.type == "cpu" and not torch.compiler.is_compiling()
    times = few_times if few else bags_times
    if values.dim() == 1 or (few and values.shape[1] == values.shape[2]):
        return times(values, columns, starts, x)
    rows, high, wide = len(starts) - 1, values.shape[1], values.shape[2]
    places, bounds = beside(columns, lambda: places_of(columns, starts, high, wide))
    y = times(values.transpose(0, 1).reshape(-1), places, bounds, x)
    return y.reshape(high, rows, x.shape[1]).transpose(0, 1).reshape(rows * high, x.shape[1])


def places_of(columns: torch.Tensor, starts: torch.Tensor, high: int, wide: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Columns and starts of single numbers: those in the first rows of blocks, then those in the second ones, ..."""
    each = columns[:, None] * wide + torch.arange(wide, dtype=columns.dtype, device=columns.device)
    rows = torch.arange(high, dtype=starts.dtype, device=starts.device)[:, None] * len(columns) + starts[:-1]
    bounds = torch.cat([rows.reshape(-1), starts.new_tensor([high * len(columns)])])
    return each.reshape(-1).repeat(high), bounds * wide


def bags_times(values: torch.Tensor, columns: torch.Tensor, starts: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """A weight of single numbers times x [I, P]: each row is a bag of rows of x, which are weighted and added."""
    y: torch.Tensor = F.embedding_bag(
        columns, x.contiguous(), starts, mode="sum", per_sample_weights=values, include_last_offset=True
    )
    return y


def few_times(values: torch.Tensor, columns: torch.Tensor, starts: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """PyTorch's own CSR, or BSR of square blocks, times x: it shares the memory of its parts. They are checked once."""
    count = int(starts[-1])  # none before a checkpoint is loaded
    high, layout = (1, torch.sparse_csr) if values.dim() == 1 else (values.shape[1], torch.sparse_bsr)
    parts = starts, columns[:count], values.detach()[:count], ((len(starts) - 1) * high, len(x))

    def checked() -> bool:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse .* tensor support is in beta")
            torch.sparse_compressed_tensor(*parts, layout=layout, check_invariants=True)
        return True

    assert beside(starts, checked)
    y: torch.Tensor = torch.sparse_compressed_tensor(*parts, layout=layout, check_invariants=False) @ x
    return y


def sparse_to_dense(values: torch.Tensor, columns: torch.Tensor, starts: torch.Tensor, width: int) -> torch.Tensor:
    """The weight [O, I] with its zeros."""
    high, wide = values.shape[1:] or (1, 1)
    rows, across = len(starts) - 1, width // wide
    row = torch.repeat_interleave(torch.arange(rows, device=starts.device), starts.diff(), output_size=len(columns))
    grid = values.new_zeros(rows * across, high, wide)
    grid = grid.index_add(0, row * across + columns, values.reshape(-1, high, wide))
    return grid.reshape(rows, across, high, wide).transpose(1, 2).reshape(rows * high, width)
