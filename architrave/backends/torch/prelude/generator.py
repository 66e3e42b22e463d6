"""Random numbers by PyTorch's own generator."""

# `tolist` is not typed in full.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

import hashlib

import torch


def generator_of(key: torch.Tensor, place: tuple[int, int]) -> torch.Generator:
    """PyTorch's generator, seeded with the run's key and a place in the network."""
    seed = hashlib.sha256(repr((key.tolist(), place)).encode()).digest()
    return torch.Generator(key.device).manual_seed(int.from_bytes(seed[:8], "little"))


def draw_bits(key: torch.Tensor, place: tuple[int, int], shape: tuple[int, ...]) -> torch.Tensor:
    """32 random bits in each element, as int64."""
    return torch.randint(2**32, shape, generator=generator_of(key, place), device=key.device)


def draw_uniform(key: torch.Tensor, place: tuple[int, int], shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Numbers in [0, 1)."""
    return torch.rand(shape, generator=generator_of(key, place), dtype=dtype, device=key.device)


def draw_normal(key: torch.Tensor, place: tuple[int, int], shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Numbers with mean 0 and variance 1."""
    return torch.randn(shape, generator=generator_of(key, place), dtype=dtype, device=key.device)


def draw_bernoulli(key: torch.Tensor, place: tuple[int, int], p: float, shape: tuple[int, ...]) -> torch.Tensor:
    """True with probability p."""
    return torch.rand(shape, generator=generator_of(key, place), device=key.device) < p
