"""Ranks of layers as the option of a pass."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from architrave.ir.graph import Node
from architrave.ir.ops.leaves import Param
from architrave.passes.select import Select

Rank: TypeAlias = Sequence[int]
"""What a layer is cut down to, as its method counts: one number, or several."""


@dataclass(frozen=True)
class Ranks:
    """Ranks by the layers that have them: `stem:4,layer1.*:2x8,head.weight:3`.

    A layer is chosen by the path of its weight, or else by the first selector of nodes that fits.

    Raises ValueError for text that reads otherwise, and E805 for selectors that are none.
    """

    described = "SELECTOR:RANK,... with ranks such as 8 or 2x8"
    text: str = ""

    def __post_init__(self) -> None:
        _ = self._entries

    @classmethod
    def of(cls, ranks: Mapping[str, Rank]) -> Ranks:
        """The ranks of layers by the paths of their weights."""
        return cls(",".join(f"{path}:{rank_text(rank)}" for path, rank in ranks.items()))

    @cached_property
    def _entries(self) -> tuple[tuple[Select, Rank], ...]:
        return tuple((Select.parse(name), rank) for name, rank in self._named.items())

    @cached_property
    def _named(self) -> dict[str, Rank]:
        return dict(_entry(part) for part in self.text.split(",") if self.text)

    def of_node(self, node: Node) -> Rank | None:
        """The rank of a layer; None where no entry chooses it."""
        weight = node.operands[1]
        if isinstance(weight.op, Param) and (known := self._named.get(weight.op.path)) is not None:
            return known
        return next((rank for select, rank in self._entries if select.matches(node)), None)

    def __bool__(self) -> bool:
        return bool(self.text)

    def __str__(self) -> str:
        return self.text


def rank_text(rank: Rank) -> str:
    """A rank as an option gives it: `8`, `2x8`."""
    return "x".join(map(str, rank))


def _entry(part: str) -> tuple[str, Rank]:
    selector, colon, rank = part.rpartition(":")
    if not colon or not selector or not re.fullmatch(r"[1-9]\d{0,8}(x[1-9]\d{0,8})*", rank):
        raise ValueError(part)
    return selector, tuple(map(int, rank.split("x")))
