"""Where the nodes of a gradient stand: at places of their own, which mirror those of the forward pass.

What flows back through a block is computed long after the block itself. At one place the two would tear each
other's region apart (see `backends.hierarchy`); at mirrored places each block keeps its region, and equal blocks
have equal gradients.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from architrave.ir.place import Block, Place


@dataclass(frozen=True)
class Mirror:
    """Mirrored places, each made once. `root` is its own image."""

    root: Place | None
    known: dict[Place | None, Place | None] = field(default_factory=dict["Place | None", "Place | None"])

    def __post_init__(self) -> None:
        self.known.update({None: None, self.root: self.root})

    def of(self, place: Place | None) -> Place | None:
        """The image of a place."""
        chain: list[Place] = []
        while place not in self.known:
            assert place is not None
            chain.append(place)
            place = place.parent
        image = self.known[place]
        for inner in reversed(chain):
            image = self.known[inner] = Place(inner.segment, _block(inner.block), image, inner.span)
        return image


def _block(block: Block | None) -> Block | None:
    # A function: weights reach it as arguments, for they belong to the block of the forward pass.
    return None if block is None else Block("fn", f"{block.name}_gradient", span=block.span)
