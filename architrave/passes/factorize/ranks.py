"""Ranks of layers as the option of a pass."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from architrave.ir.graph import Node
from architrave.passes.select import Select

Rank: TypeAlias = Sequence[int]
"""What a layer is cut down to, as its method counts: one number, or several."""


@dataclass(frozen=True)
class Ranks:
    """Ranks by the layers that have them: `stem:4,layer1.*:2x8`. The first entry that chooses a layer counts.

    Raises ValueError for text that reads otherwise, and E805 for selectors that are none.
    """

    described = "SELECTOR:RANK,... with ranks such as 8 or 2x8"
    text: str = ""

    def __post_init__(self) -> None:
        _ = self._entries

    @classmethod
    def of(cls, ranks: Mapping[str, Rank]) -> Ranks:
        """The ranks of layers by their places."""
        return cls(",".join(f"{place}:{rank_text(rank)}" for place, rank in ranks.items()))

    @cached_property
    def _entries(self) -> tuple[tuple[Select, Rank], ...]:
        return tuple(_entry(part) for part in self.text.split(",") if self.text)

    def of_node(self, node: Node) -> Rank | None:
        """The rank of a layer; None where no entry chooses it."""
        return next((rank for select, rank in self._entries if select.matches(node)), None)

    def __bool__(self) -> bool:
        return bool(self.text)

    def __str__(self) -> str:
        return self.text


def rank_text(rank: Rank) -> str:
    """A rank as an option gives it: `8`, `2x8`."""
    return "x".join(map(str, rank))


def _entry(part: str) -> tuple[Select, Rank]:
    selector, colon, rank = part.rpartition(":")
    if not colon or not selector or not re.fullmatch(r"[1-9]\d{0,8}(x[1-9]\d{0,8})*", rank):
        raise ValueError(part)
    return Select.parse(selector), tuple(map(int, rank.split("x")))
