"""Random numbers that depend on a key, a place and a position alone: Threefry-2x32, in 64-bit integers."""

# named_modules is not typed in full.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false

import hashlib
import math

import torch


def run_key(key: torch.Tensor | tuple[int, int] | None, device: torch.device | None) -> torch.Tensor:
    """The key of a run: (seed, step) as given, or drawn from PyTorch's own generator."""
    if key is None:
        return torch.randint(2**32, (2,), device=device)
    return torch.as_tensor(key, device=device).to(torch.int64)


def set_places(network: torch.nn.Module) -> None:
    """Give every module that draws random numbers the keys of its draws, which depend on their paths."""
    for path, module in network.named_modules():
        draws = getattr(module, "draws", ())
        vars(module)["places"] = {draw: place_of(f"{path}.{draw}" if path else draw) for draw in draws}


def place_of(path: str) -> tuple[int, int]:
    """The first two words of the SHA-256 of a path."""
    digest = hashlib.sha256(path.encode()).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")


def random_bits(key: torch.Tensor, place: tuple[int, int], shape: tuple[int, ...]) -> torch.Tensor:
    """32 random bits in each element, as int64, for the run's key and a place in the network."""
    count = math.prod(shape)
    key = threefry(key, torch.tensor(place, device=key.device))
    number = torch.arange((count + 1) // 2, device=key.device)
    words = threefry(key[:, None], torch.stack([number & 0xFFFFFFFF, number >> 32]))
    return words.T.reshape(-1)[:count].reshape(shape)


def threefry(key: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
    """Encrypt pairs of 32-bit words [2, ...].

    Salmon and others, "Parallel Random Numbers: As Easy as 1, 2, 3" (2011).
    """
    keys = (key[0], key[1], key[0] ^ key[1] ^ 0x1BD11BDA)
    a, b = (words[0] + keys[0]) & 0xFFFFFFFF, (words[1] + keys[1]) & 0xFFFFFFFF
    for group in range(5):
        for turn in (13, 15, 26, 6) if group % 2 == 0 else (17, 29, 16, 24):
            a = (a + b) & 0xFFFFFFFF
            b = a ^ ((b << turn | b >> (32 - turn)) & 0xFFFFFFFF)
        a = (a + keys[(group + 1) % 3]) & 0xFFFFFFFF
        b = (b + keys[(group + 2) % 3] + group + 1) & 0xFFFFFFFF
    return torch.stack([a, b])
