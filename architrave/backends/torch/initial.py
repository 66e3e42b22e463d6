"""How the weights of a PyTorch program start: a table from paths to what draws them."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from architrave.backends.code import literal, text_literal
from architrave.ir.graph import Graph, Value
from architrave.ir.initial import draw
from architrave.ir.ops.leaves import Param, State

NUMBERS: dict[str, tuple[str, ...]] = {
    "full": ("value",),
    "uniform": ("lo", "hi"),
    "normal": ("std", "mean"),
    "trunc_normal": ("std",),
    "orthogonal": ("gain",),
    "identity": (),
    "stored": ("data",),
}
"""The functions that draw, with the names of their numbers."""

Row = tuple[str, tuple[object, ...]]
Start = tuple[tuple[str, ...], Row]
"""The numbers in a path, and how the weight there starts."""


def table(weights: Iterable[Value], use: Callable[[str], str]) -> str:
    """The table's source. Paths that differ in numbers alone share a row where all of them start alike."""
    alike: dict[tuple[str, ...], list[Start]] = {}
    for weight in weights:
        if isinstance(weight.op, Param | State):
            parts = tuple(re.split(r"(\d+)", weight.op.path))
            alike.setdefault(parts[::2], []).append((parts[1::2], _row(weight.op)))
    lines: list[str] = []
    for words, starts in alike.items():
        for numbers, row in _patterns(starts):
            pattern = "".join(re.escape(w) + n for w, n in zip(words, (*numbers, ""), strict=True))
            lines.append(_line(pattern, row, use))
    return "\n".join(["INITIAL = (", *(f"    {line}" for line in lines), ")"])


_ANY = r"\d+"


def _patterns(starts: Sequence[Start]) -> Iterator[Start]:
    """Patterns for the numbers in paths, each for paths that start alike."""
    pending = [(starts, frozenset[int]())]
    while pending:
        members, fixed = pending.pop()
        first, row = members[0]
        if all(other == row for _, other in members):
            yield tuple(n if i in fixed else _ANY for i, n in enumerate(first)), row
            continue
        splits = {i: _split(members, i) for i in range(len(first)) if i not in fixed}
        best = min(splits, key=lambda i: (sum(len({r for _, r in g}) > 1 for g in splits[i]), len(splits[i])))
        pending += [(group, fixed | {best}) for group in reversed(splits[best])]


def _split(members: Sequence[Start], position: int) -> list[list[Start]]:
    groups: dict[str, list[Start]] = {}
    for numbers, row in members:
        groups.setdefault(numbers[position], []).append((numbers, row))
    return list(groups.values())


def _row(op: Param | State) -> Row:
    if isinstance(op.initial, Graph):
        from architrave.ir.interpret import interpret  # brings NumPy, which few networks need to be compiled

        value = interpret(op.initial).outputs[0]
        return "stored", (base64.b64encode(value.astype("<f8").tobytes()).decode("ascii"),)
    shape = tuple(size for size in op.type.shape if isinstance(size, int))
    return draw(op.initial, shape)


def _line(pattern: str, row: Row, use: Callable[[str], str]) -> str:
    kind, numbers = row
    if kind == "normal" and numbers[1:] == (0.0,):
        numbers = numbers[:1]
    named = ", ".join(f"{name}={literal(n)}" for name, n in zip(NUMBERS[kind], numbers, strict=False))
    return f"({_raw(pattern)}, {use(kind)}, dict({named})),"


def _raw(pattern: str) -> str:
    """A pattern as a raw string where that reads better and means the same."""
    plain = pattern.isascii() and pattern.isprintable() and '"' not in pattern and not pattern.endswith("\\")
    return f'r"{pattern}"' if plain else text_literal(pattern)
