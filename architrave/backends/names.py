"""Names in emitted programs. Whatever a `.arch` file calls a thing, its name here is a harmless identifier."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable

_BUILTINS = frozenset(dir(builtins))
_LONGEST = 60


def identifier(text: str, otherwise: str = "x") -> str:
    """An ASCII identifier that looks like `text` and is neither a keyword nor a built-in name of Python."""
    name = re.sub(r"[^0-9A-Za-z_]+", "_", text[:_LONGEST]).strip("_")
    if not name:
        return otherwise
    if name[0].isdigit():
        name = f"_{name}"
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in _BUILTINS:
        return f"{name}_"
    return name


def class_name(text: str) -> str:
    """`ResidualBlock` for `residual_block`; names with capitals stay as they are."""
    name = identifier(text, "Block")
    if name[0].isupper():
        return name
    return identifier("".join(part[:1].upper() + part[1:] for part in name.split("_")), "Block")


def function_name(text: str) -> str:
    """`residual_block` for `ResidualBlock`; names in small letters stay as they are."""
    name = identifier(text, "block")
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return identifier(parts.lower(), "block")


class Names:
    """The names taken in one scope."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._next: dict[str, int] = {}

    @property
    def taken(self) -> frozenset[str]:
        """All of them."""
        return frozenset(self._taken)

    def __contains__(self, name: str) -> bool:
        return name in self._taken

    def add(self, name: str) -> None:
        self._taken.add(name)

    def free(self, names: Iterable[str]) -> None:
        """Give names back."""
        self._taken.difference_update(names)

    def fresh(self, wanted: str) -> str:
        """`wanted`, or `wanted_2`, `wanted_3`, ... where that is taken; taken from now on."""
        name = wanted
        while name in self._taken:
            # Remembered per name, so that ten thousand of one name do not take quadratic time.
            count = self._next[wanted] = self._next.get(wanted, 1) + 1
            name = f"{wanted}_{count}"
        self._taken.add(name)
        return name
