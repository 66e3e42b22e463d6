"""Regions: what a block or fn of the source became in the graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from architrave.ir.graph import Graph, Node, Value
from architrave.ir.nested import subgraphs
from architrave.ir.op import Op
from architrave.ir.ops.control import Choice, CustomGrad, Mode, Scan, While
from architrave.ir.ops.leaves import Arange, Constant, Full
from architrave.ir.place import Place

if TYPE_CHECKING:
    from architrave.backends.hierarchy.chains import Chain

CONTROL = (Mode, Choice, Scan, While, CustomGrad)
"""Operators that run graphs. Others may hold one, as a weight does that says how it starts."""

Item: TypeAlias = "Node | Region | Chain"


@dataclass(eq=False)
class Region:
    """One application of a block or fn, or, as a root, a network or the body of a sub-graph."""

    place: Place | None
    path: str
    parent: Region | None = None
    depth: int = 0
    level: int = 0
    """How deep its place lies among all places, which names of values are relative to."""
    items: list[Item] = field(default_factory=list[Item])
    inputs: dict[Value, None] = field(default_factory=dict[Value, None])
    outputs: dict[Value, None] = field(default_factory=dict[Value, None])
    names: dict[Value, str] = field(default_factory=dict[Value, str])
    """What the block or fn calls its inputs, as far as that is known."""
    results: tuple[Value, ...] = ()
    """Of a root, what its graph returns, in order."""
    updates: list[tuple[Value, Value]] = field(default_factory=list[tuple[Value, Value]])
    """States that are set here, each with its new value."""
    weights: list[Value] = field(default_factory=list[Value])
    """The params and states that this region declares: those of no region inside it."""
    captured: Mapping[Value, Value] = field(default_factory=dict[Value, Value])
    """For the inputs of the sub-graph that this is part of which are weights: the weight."""
    bodies: dict[Node, tuple[Region, ...]] = field(default_factory=dict[Node, tuple["Region", ...]])
    """For each control-flow node, the regions of its sub-graphs."""

    @property
    def is_function(self) -> bool:
        """Whether this is a fn: it has no weights of its own and stands outside the classes."""
        return self.place is not None and self.place.block is not None and self.place.block.kind == "fn"

    @property
    def name(self) -> str:
        block = self.place.block if self.place is not None else None
        return block.name if block is not None else ""

    def owns(self, path: str) -> bool:
        """Whether a weight is at hand here by its path."""
        return self.parent is None or (not self.is_function and path.startswith(self.path + "."))

    def relative(self, path: str) -> str:
        """A path as seen from this region."""
        return path.removeprefix(self.path).removeprefix(".") if self.path else path

    def regions(self) -> Iterator[Region]:
        """The regions directly inside, those in the sub-graphs of its nodes included, in order."""
        for item in self.items:
            match item:
                case Region():
                    yield item
                case Node():
                    for body in self.bodies.get(item, ()):
                        yield from body.regions()
                case _:
                    yield from item.regions


def post_order(root: Region) -> list[Region]:
    """Every region, each after those inside it."""
    order: list[Region] = []
    pending = [root]
    while pending:
        region = pending.pop()
        order.append(region)
        pending += region.regions()
    return order[::-1]


def is_constant(value: Value) -> bool:
    """Whether a value is made anew wherever it is used."""
    return isinstance(value.op, Full | Arange | Constant)


def is_leaf(node: Node) -> bool:
    """Whether a node stands in no region: it has no operands and no bodies, so nothing is computed."""
    return not node.operands and not isinstance(node.op, CONTROL)


def bodies_of(op: Op) -> tuple[Graph, ...]:
    """The graphs that an operator runs."""
    return subgraphs(op) if isinstance(op, CONTROL) else ()
