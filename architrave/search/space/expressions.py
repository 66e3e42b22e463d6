"""The expressions of one network, each once, and their colours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True, eq=False, slots=True)
class Kind:
    """An operator without its operands.

    `colour` is the same for all that are alike; `same` for those alone which give the same of the same operands, as two
    weights of one type and initializer do not. The operands of what is `unordered` have no order.
    """

    colour: int
    same: int
    unordered: bool = False


class Expressions:
    """Every expression by its number: what it is, and the numbers of its operands, which are lower.

    The first ones are leaves, whose colours are given, and the first of these inputs, whose colours no other has.
    Hashes of tuples of integers are the same in every process.
    """

    def __init__(self, leaves: Sequence[int], inputs: int = 0) -> None:
        self.leaves = len(leaves)
        self.inputs = inputs
        self.colours = [*leaves]
        """What each is made of."""
        self._made: list[tuple[Kind, tuple[int, ...]]] = []
        self._leaves: list[int] = []
        """Operands that are leaves, as often as they are."""
        self._numbers: dict[tuple[int, ...], int] = {}

    def number(self, kind: Kind, operands: Sequence[int]) -> int:
        """The number of an expression."""
        if kind.unordered:
            operands = self._flattened(kind, operands)
        key = (kind.same, *operands)
        found = self._numbers.get(key)
        if found is not None:
            return found
        every = self.colours
        colours = [every[operand] for operand in operands]
        if kind.unordered:
            colours.sort()
        self._leaves += [operand for operand in operands if operand < self.leaves]
        found = self._numbers[key] = len(every)
        every.append(hash((kind.colour, *colours)))
        self._made.append((kind, key[1:]))
        return found

    def uses(self, outputs: Sequence[int]) -> dict[int, int]:
        """For each leaf that some output needs, by its number, a colour that says what is made of it."""
        uses: defaultdict[int, list[int]] = defaultdict(list)
        for position, output in enumerate(outputs):
            uses[output].append(position)
        for number in range(len(self.colours) - 1, self.leaves - 1, -1):
            if number not in uses:
                continue
            kind, operands = self._made[number - self.leaves]
            use = hash((self.colours[number], *sorted(uses.pop(number))))
            for position, operand in enumerate(operands):
                uses[operand].append(use if kind.unordered else hash((use, position)))
        return {leaf: hash((self.colours[leaf], *sorted(use))) for leaf, use in uses.items()}

    def digest(self, outputs: Sequence[int]) -> bytes:
        """16 bytes that say what a network with these outputs is."""
        made_of = [self.colours[output] for output in outputs]
        if self._plain():
            return digest(*made_of)
        return digest(*made_of, hash(tuple(sorted(self.uses(outputs).values()))))

    def _plain(self) -> bool:
        """Whether colours tell all expressions apart, and with them the weights, of which each has one use."""
        made = self.colours[self.leaves :]
        weights = [leaf for leaf in self._leaves if leaf >= self.inputs]
        return len({*made}) == len(made) and len({*weights}) == len(weights)

    def _flattened(self, kind: Kind, operands: Sequence[int]) -> list[int]:
        """The operands, those of operands of the same kind in their place."""
        found: list[int] = []
        for operand in operands:
            inner, its = self._made[operand - self.leaves] if operand >= self.leaves else (None, ())
            found += its if inner is not None and inner.same == kind.same else (operand,)
        return sorted(found)


def digest(*parts: int | str) -> bytes:
    """16 bytes of numbers and texts."""
    return blake2b(repr(parts).encode(), digest_size=16).digest()


def number_of(*parts: int | str) -> int:
    """60 bits of numbers and texts."""
    return int.from_bytes(digest(*parts)[:8], "little") >> 4
