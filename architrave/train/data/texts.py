"""Texts, character by character: each window of a text is an example, whose target is the window one further on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.source import error, printable
from architrave.train.data.dataset import Dataset

LONGEST = 1 << 28
"""Bytes of a text."""
OVERLAP = 4
"""A window begins every so many parts of its length."""


def text_file(path: Path, network: Graph, held_out: float) -> tuple[Dataset, Dataset | None]:
    """The windows of a text, as long as the network's input `i64[N, T]` says; its last part is held out.

    `labels` are the characters, sorted: a target is a place among them. Raises E567 for what is no text, or too short.
    """
    text = _read(path)
    alphabet = tuple(sorted(set(text)))
    length = window_length(network)
    codes = encoded(text, alphabet)
    cut = len(codes) - round(held_out * len(codes))
    name = printable(str(path))
    train = _windows(codes[:cut], length, name, alphabet)
    return train, _windows(codes[cut:], length, name, alphabet) if cut < len(codes) else None


def encoded(text: str, alphabet: tuple[str, ...]) -> Array:
    """The characters' places in the alphabet. Raises E567 for one that it lacks."""
    places = {character: i for i, character in enumerate(alphabet)}
    stranger = next((c for c in text if c not in places), None)
    if stranger is not None:
        raise error("E567", f"the network has never seen the character {stranger!r}")
    return np.array([places[c] for c in text], np.int64)


def sample(
    logits: Callable[[Array], Array], start: Array, context: int, temperature: float, seed: int
) -> Iterator[int]:
    """Characters without end, each drawn from what the network expects after the last `context` ones.

    `logits` gives those of a window `[1, context]` at each of its places `[1, context, characters]`.
    """
    draw = np.random.default_rng(seed)
    window = list(start[-context:])
    while True:
        padded = np.zeros((1, context), np.int64)
        padded[0, : len(window)] = window
        scores = logits(padded)[0, len(window) - 1].astype(np.float64)
        chosen = int(scores.argmax())
        if temperature > 0:
            weights = np.exp((scores - scores.max()) / temperature)
            chosen = int(draw.choice(len(weights), p=weights / weights.sum()))
        yield chosen
        window = [*window, chosen][-context:]


def _read(path: Path) -> str:
    named = printable(str(path))
    try:
        if path.stat().st_size > LONGEST:
            raise error("E567", f"{named} is longer than {LONGEST:,} bytes")
        return path.read_text(encoding="utf-8")
    except OSError as problem:
        raise error("E567", f"cannot read {named}: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise error("E567", f"{named} is no text in UTF-8") from None


def window_length(network: Graph) -> int:
    """How many characters the network reads at once. Raises E548 for one that reads none."""
    match [(v.dtype.is_integer, v.shape) for v in network.inputs]:
        case [(True, (_, int(length)))] if network.outputs[0].rank == 3:
            return length
        case _:
            hint = "it should take i64[N, T] for a known T, and give [N, T, characters]"
            raise error("E548", f"`{network.name}` does not read characters", hint=hint)


def _windows(codes: Array, length: int, name: str, alphabet: tuple[str, ...]) -> Dataset:
    if len(codes) <= length:
        raise error("E567", f"{name} is too short: a window has {length} characters and the one after")
    windows = np.lib.stride_tricks.sliding_window_view(codes, length + 1)[:: max(1, length // OVERLAP)]
    return Dataset((windows[:, :-1],), windows[:, 1:], name, alphabet)
