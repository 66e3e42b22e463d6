"""What a picture of a network is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from architrave.ir.graph import Node
from architrave.ir.place import Block
from architrave.ir.types import TensorType

Role = Literal["model", "instance", "call", "operator", "choice", "loop", "alternative", "input", "output"]


@dataclass(eq=False)
class Part:
    """A box, or a frame around others.

    `name` is its name as seen from the frame around it: `layer1.0`, or nothing. `kinds` says what it is, a line each.
    """

    role: Role
    name: str
    path: str
    around: Part | None = None
    block: Block | None = None
    depth: int = 0
    """How many names lead to it."""
    parts: list[Part] = field(default_factory=list["Part"])
    nodes: list[Node] = field(default_factory=list[Node])
    """What runs in it, if it is a box."""
    kinds: list[str] = field(default_factory=list[str])
    outputs: dict[TensorType, None] = field(default_factory=dict[TensorType, None])
    ties: dict[tuple[object, object], None] = field(default_factory=dict[tuple[object, object], None])
    """Of a list, which element gives something to which other, or to which box outside of it."""
    note: str = ""
    """What is to be known of it beside what can be seen."""
    many: int = 1
    """How many equal ones it stands for."""
    is_open: bool = False

    def walk(self) -> Iterator[Part]:
        """The part and all inside it, each before those inside it."""
        pending: list[Part] = [self]
        while pending:
            part = pending.pop()
            yield part
            pending += reversed(part.parts)

    def upwards(self) -> Iterator[Part]:
        """The part and all around it."""
        part: Part | None = self
        while part is not None:
            yield part
            part = part.around

    def boxes(self) -> list[Part]:
        """The boxes inside it, or it alone if it is one."""
        return [part for part in self.walk() if not part.is_open]


Edges = dict[tuple[Part, Part], None]
"""Which box gives something to which."""


@dataclass
class Outline:
    """A network as boxes and arrows."""

    root: Part
    edges: Edges

    @property
    def boxes(self) -> list[Part]:
        """All boxes, in order."""
        return self.root.boxes()

    def keep(self, kept: set[Part]) -> None:
        """Leave out all boxes but these, and frames that are then empty."""
        for part in reversed(list(self.root.walk())):
            part.parts = [p for p in part.parts if p in kept or p.parts]
        self.edges = {edge: None for edge in self.edges if kept.issuperset(edge)}

    def replace(self, others: dict[Part, Part]) -> None:
        """Let arrows go to and from others; what they would leave and enter at once is left out."""
        moved = ((others.get(a, a), others.get(b, b)) for a, b in self.edges)
        self.edges = {(a, b): None for a, b in moved if a is not b}
