"""The local variables of one emitted function: which value each holds, and when it may hold another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager

from architrave.backends.names import Names, identifier
from architrave.ir.graph import Value


class Variables:
    """A variable is free again once every use of its value is written."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.holders: dict[str, Value | None] = {}
        """What each variable holds; None where it is free again."""
        self.reserved: set[str] = set()
        """Variables that wait for the result of a branch."""
        self.occupied: set[str] = set()
        """Variables that hold what is no value of the graph, such as a list."""
        self.left: Counter[Value] = Counter()
        """How many uses of a value are still to be written."""

    def hold(self, name: str, value: Value, uses: int) -> None:
        """From now on the variable `name` is `value`, for so many uses."""
        self.names.add(name)
        self.holders[name] = value
        self.reserved.discard(name)
        self.occupied.discard(name)
        self.left[value] = uses

    def reserve(self, name: str) -> None:
        """Keep a variable for a result."""
        self.holders[name] = None
        self.reserved.add(name)

    def occupy(self, name: str) -> None:
        """Let no value have a variable until it is held again."""
        self.holders[name] = None
        self.occupied.add(name)

    def release(self, mentioned: Iterable[tuple[str, Value]]) -> None:
        """An expression that mentions these variables has been written."""
        for name, value in mentioned:
            self.left[value] -= 1
            if self.left[value] <= 0 and self.holders.get(name) is value:
                self.holders[name] = None

    def is_free(self, name: str) -> bool:
        """Whether the variable `name` exists and holds nothing that is still needed."""
        waits = name in self.reserved or name in self.occupied
        return name in self.holders and self.holders[name] is None and not waits

    def accepts(self, name: str) -> bool:
        """Whether a variable may take the value that it is meant for."""
        return self.is_free(name) or name in self.reserved

    def pick(self, wanted: str, reserved: bool = False) -> str:
        """A free or new variable, named as near to `wanted` as can be. The caller makes it hold something.

        With `reserved` it may be one that waits for a result, which then comes later.
        """
        base = identifier(wanted)
        for name in (base, *(f"{base}_{i}" for i in range(2, 6))):
            if self.is_free(name) or name not in self.names or (reserved and name in self.reserved):
                self.names.add(name)
                return name
        return self.names.fresh(base)

    @contextmanager
    def branch(self) -> Generator[None]:
        """What happens to the variables in one branch of several is undone after it; what it made is free."""
        holders, left, reserved = dict(self.holders), Counter(self.left), set(self.reserved)
        yield
        self.reserved = reserved
        self.holders = {**dict.fromkeys(self.holders), **holders}
        self.left = left
