"""How wide text is, near enough for boxes, whatever font shows it."""

from __future__ import annotations

import unicodedata

from architrave.ir.source import printable

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
NARROW, WIDE = frozenset("ijltfrI.,:;'|!()[]{} /"), frozenset("mwMWQO@%&×÷−")
LONGEST = 36


def width(text: str, size: float) -> float:
    """The width of a text in letters of this size."""
    return size * sum(_share(letter) for letter in text)


def clipped(text: str, most: int = LONGEST) -> str:
    """A text that can be shown, shortened in its middle if it is long."""
    text = printable(text).replace("\t", " ")
    return text if len(text) <= most else f"{text[: most // 2 - 1]}…{text[-(most - most // 2) :]}"


def fitting(text: str, size: float, room: float) -> str:
    """As much of a text as there is room for."""
    text = clipped(text)
    while len(text) > 1 and width(text, size) > room:
        text = f"{text[:-2]}…"
    return text


def _share(letter: str) -> float:
    if letter in NARROW:
        return 0.36
    if unicodedata.east_asian_width(letter) in "WF":
        return 1.05
    return 0.92 if letter in WIDE else 0.72 if letter.isupper() else 0.6
