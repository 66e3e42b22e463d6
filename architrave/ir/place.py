"""Where nodes come from: blocks, the places that instantiate them, annotations, and the marks of new nodes."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from architrave.ir.source import Note, Span


@dataclass(frozen=True)
class Block:
    """Where code was written: the block, fn or model that a place instantiates.

    `arguments` are the static arguments of this instance, by name, as Python values; `inputs` the names of
    the tensors that it takes.
    """

    kind: str  # "block", "fn" or "model"
    name: str
    doc: str | None = None
    span: Span | None = None
    arguments: tuple[tuple[str, object], ...] = field(default=(), compare=False)
    inputs: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, eq=False)
class Place:
    """One application of an instance: the path of instance names, and the block that each is one of.

    Two applications of one instance are two places with one path. A place of a fn adds no segment.
    """

    segment: str
    block: Block | None = None
    parent: Place | None = None
    span: Span | None = None

    @cached_property
    def path(self) -> str:
        """The dotted name, `layer1.0.conv1`; the empty string for the model itself."""
        return ".".join(reversed([place.segment for place in self._upwards() if place.segment]))

    @cached_property
    def depth(self) -> int:
        """How many places stand above this one."""
        return sum(1 for _ in self._upwards()) - 1

    def _upwards(self) -> Iterator[Place]:
        """This place and those above it. A loop, since places may nest deeper than Python's calls."""
        place: Place | None = self
        while place is not None:
            yield place
            place = place.parent

    def above(self, other: Place) -> int | None:
        """How many places above this one `other` is; None where it is none of them."""
        return next((up for up, place in enumerate(self._upwards()) if place is other), None)

    def trail(self) -> tuple[Note, ...]:
        """The chain of instances from the model down, as errors show it."""
        steps: list[Note] = []
        place: Place | None = self
        while place is not None:
            if place.block is not None:
                steps.append(Note(f"`{_shortened(place.path or place.block.name)}`: {place.block.name}", place.span))
            place = place.parent
        return tuple(reversed(steps))

    def __str__(self) -> str:
        return self.path


def moved(place: Place | None, places: dict[Place | None, Place | None]) -> Place | None:
    """The place below `places[above]` that `place` is below `above`, for the nearest such; itself where there is none.

    Remembers it in `places`, so that what is in one instance stays in one.
    """
    chain: list[Place] = []
    above = place
    while above is not None and above not in places:
        chain.append(above)
        above = above.parent
    if above is None or above is places[above]:
        return place
    found = places[above]
    for below in reversed(chain):
        found = places[below] = Place(below.segment, below.block, found, below.span)
    return found


def _shortened(path: str) -> str:
    return path if len(path) <= 80 else f"{path[:38]}...{path[-38:]}"


@dataclass(frozen=True)
class Fact:
    """An annotation, `@quant(weight = 4)`, as it reached a node."""

    name: str
    args: tuple[object, ...] = ()
    kwargs: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class Here:
    """What new nodes are marked with: the span and the place that they come from, and their facts."""

    span: Span | None = None
    place: Place | None = None
    facts: tuple[Fact, ...] = ()


_UNMARKED = Here()
_here: ContextVar[Here] = ContextVar("here", default=_UNMARKED)


def here() -> Here:
    """The marks that new nodes get now."""
    return _here.get()


@contextlib.contextmanager
def marked(**changes: Any) -> Generator[None]:
    """New nodes get these marks (`span=`, `place=`, `facts=`) inside the `with`."""
    token = _here.set(replace(_here.get(), **changes))
    try:
        yield
    finally:
        _here.reset(token)


def mark(now: Here) -> Here:
    """Set the marks of new nodes; returns the earlier ones. The fast form of `marked`."""
    before = _here.get()
    _here.set(now)
    return before
