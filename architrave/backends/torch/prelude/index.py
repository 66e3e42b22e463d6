"""Indexing and order, with one meaning for every index."""

import torch


def topk(x: torch.Tensor, k: int, dim: int, largest: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """The k largest or smallest elements along an axis and their places; of equals the first come first."""
    values, places = torch.sort(x, dim=dim, descending=largest, stable=True)
    return values.narrow(dim, 0, k), places.narrow(dim, 0, k)


def take_slices(
    x: torch.Tensor, starts: tuple[int, ...], stops: tuple[int, ...], steps: tuple[int, ...]
) -> torch.Tensor:
    """x[start:stop:step] along each axis; where the step is negative, a stop of -1 lies before the first element."""
    for axis, (start, stop, step) in enumerate(zip(starts, stops, steps, strict=True)):
        x = x.index_select(axis, torch.arange(start, stop, step, device=x.device))
    return x


def scatter_add(x: torch.Tensor, dim: int, index: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """x with the source added at the index along an axis; what is out of range is left out."""
    inside = (index >= 0) & (index < x.shape[dim])
    return x.scatter_add(dim, index.clamp(0, max(x.shape[dim] - 1, 0)), torch.where(inside, source, 0))


def segment_sum(x: torch.Tensor, segments: torch.Tensor, count: int) -> torch.Tensor:
    """The sum of the rows of each segment; rows of no segment are left out."""
    inside = (segments >= 0) & (segments < count)
    return x.new_zeros((count, *x.shape[1:])).index_add(0, segments[inside], x[inside])


def segment_max(x: torch.Tensor, segments: torch.Tensor, count: int) -> torch.Tensor:
    """The largest element of each segment; minus infinity, or the least integer, for one without rows."""
    inside = (segments >= 0) & (segments < count)
    lowest = -torch.inf if x.is_floating_point() else torch.iinfo(x.dtype).min
    empty = x.new_full((count, *x.shape[1:]), lowest)
    rows = segments[inside].reshape(-1, *(1,) * (x.dim() - 1)).expand_as(x[inside])
    return empty.scatter_reduce(0, rows, x[inside], "amax")


def running_max(x: torch.Tensor, dim: int) -> torch.Tensor:
    """The largest element so far along `dim`; of equals the first gets the gradient."""
    y = x.detach().cummax(dim).values
    before = y.roll(1, dim)
    record = (x > before) | (x.isnan() & ~before.isnan())
    place = torch.arange(x.shape[dim], device=x.device).reshape(-1, *(1,) * (x.dim() - 1 - dim % x.dim()))
    return x.gather(dim, torch.where(record, place, 0).cummax(dim).values)
