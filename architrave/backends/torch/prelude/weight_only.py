"""Linear layers whose weight is held in few bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  # as PyTorch's own documentation does

from architrave.backends.torch.prelude.packing import unpack

WEIGHTS_AT_ONCE = 1 << 20  # so many weights are floats at a time
FEW = 16  # for no more rows of inputs, making floats of the weight takes longer than multiplying integers


def linear_weight_only(
    x: torch.Tensor,
    codes: torch.Tensor,
    scale: torch.Tensor,
    zero: torch.Tensor | None = None,
    *,
    bits: int,
    signed: bool,
) -> torch.Tensor:
    """x [..., I] times the transpose of a weight [O, I] held as codes, scale [O, G] and zero [O, G].

    The weight is never there as a whole, but some rows at a time; for few rows of x, on a processor and without
    gradients, not at all.
    """
    if 0 < x.numel() <= FEW * x.shape[-1] and can_look_up(x, scale):
        return looked_up(x, codes, scale, zero, bits, signed)
    rows = max(WEIGHTS_AT_ONCE // max(x.shape[-1], 1), 1)
    zeros = torch.zeros_like(scale, dtype=torch.int32) if zero is None else zero
    parts = zip(torch.split(codes, rows), torch.split(scale, rows), torch.split(zeros, rows))
    return torch.cat([F.linear(x, decoded(c, s, z, bits, signed)) for c, s, z in parts], -1)


def decoded(codes: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor, bits: int, signed: bool) -> torch.Tensor:
    """The weight [O, I] that codes stand for."""
    steps = codes if bits == 8 else unpack(codes, bits, torch.int8 if signed else torch.uint8)
    grouped = steps.reshape(*scale.shape, steps.shape[1] // scale.shape[1]) - zero[..., None]
    return (grouped.to(scale.dtype) * scale[..., None]).reshape(steps.shape)


def can_look_up(x: torch.Tensor, scale: torch.Tensor) -> bool:
    """Whether PyTorch has a kernel that reads integers: in float32, on a processor, and without gradients."""
    learns = torch.is_grad_enabled() and (x.requires_grad or scale.requires_grad)
    single = x.dtype is torch.float32 and scale.dtype is torch.float32
    return single and x.device.type == "cpu" and not learns and not torch.compiler.is_compiling()


def looked_up(
    x: torch.Tensor,
    codes: torch.Tensor,
    scale: torch.Tensor,
    zero: torch.Tensor | None,
    bits: int,
    signed: bool,
) -> torch.Tensor:
    """The product by an embedding bag of bytes: sums of rows of a table, a row for each input, times x.

    Each group of inputs is a bag, whose sum is then multiplied by the group's scale.
    """
    size, (out, groups) = x.shape[-1], scale.shape
    rows = x.numel() // size
    places = torch.arange(size, dtype=torch.int32).expand(rows, size).reshape(-1)
    starts = torch.arange(0, rows * size, size // groups, dtype=torch.int32)
    table = beside(codes, lambda: table_of(codes, bits, signed))
    bag = torch.ops.quantized.embedding_bag_byte_rowwise_offsets
    sums: torch.Tensor = bag(table, places, starts, per_sample_weights=x.reshape(-1)).view(rows, groups, out)
    y: torch.Tensor = (sums * beside(scale, lambda: scale.T.contiguous())).sum(1)
    if zero is not None or not signed:
        offset = (0 if zero is None else zero) - (0 if signed else 2 ** (bits - 1))
        y = y - F.linear(x.reshape(rows, groups, -1).sum(-1), scale * offset)
    return y.reshape(*x.shape[:-1], out)


def table_of(codes: torch.Tensor, bits: int, signed: bool) -> torch.Tensor:
    """Codes [I, O] as bytes; the 8 that end a row are its scale, 1, and a bias that brings bytes about 0."""
    half = 2 ** (bits - 1)
    steps = unpack(codes, bits, torch.int8 if signed else torch.uint8).T.to(torch.int16) + (half if signed else 0)
    ends = torch.tensor([1.0, -half], dtype=torch.float32).view(torch.uint8)
    return torch.cat([steps.to(torch.uint8), ends.to(codes.device).expand(len(steps), -1)], 1)


def beside(source: Any, make: Callable[[], Any]) -> Any:
    """What is made of a tensor, kept beside it for as long as its numbers stay, or made anew where none can be."""
    if torch.compiler.is_compiling() or source.is_inference():
        return make()
    state = source.data_ptr(), source._version
    known, made = getattr(source, "beside", (None, None))
    if known == state:
        return made
    source.beside = state, make()
    return source.beside[1]
