"""What passes did: which rule changed which node, what was declined and why, and how long it took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

from architrave.ir.graph import Node
from architrave.ir.source import Diagnostic

LISTED = 10_000
"""Changes and refusals that are kept one by one; the others are counted."""


@dataclass(frozen=True)
class Declined:
    """Why a rule that almost matched did not act, and on which node."""

    reason: str
    node: Node


@dataclass(frozen=True)
class Entry:
    """A rule that acted on a node, or declined to and why."""

    step: str
    rule: str
    node: Node
    reason: str | None = None

    @property
    def where(self) -> str:
        """The node's operator and place, the line that put the place to use, and its own line."""
        node = self.node
        spans = (node.place.span if node.place is not None else None, node.span)
        lines = dict.fromkeys(f"{span.source.name}:{span.line}" for span in spans if span is not None)
        return ", ".join([f"{node.op.name} at {str(node.place or '') or 'the model itself'}", *lines])

    def __str__(self) -> str:
        return f"{self.step}: {self.rule}: {self.where}" + (f": {self.reason}" if self.reason is not None else "")


@dataclass
class Journal:
    """The record of a pipeline. `step` is the pass that is at work."""

    step: str = ""
    changes: list[Entry] = field(default_factory=list[Entry])
    refusals: dict[tuple[str, str, Node, str], Entry] = field(default_factory=dict[tuple[str, str, Node, str], Entry])
    counts: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """How often each rule of each pass acted."""
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    warnings: list[Diagnostic] = field(default_factory=list[Diagnostic])

    @property
    def declined(self) -> list[Entry]:
        """What almost matched, each once."""
        return list(self.refusals.values())

    def changed(self, rule: str, node: Node) -> None:
        """A rule of the current pass acted on a node."""
        self.counts[self.step, rule] += 1
        if len(self.changes) < LISTED:
            self.changes.append(Entry(self.step, rule, node))

    def forget_refusals(self, rules: Container[str]) -> None:
        """These rules of the current pass look at the whole graph once more."""
        kept = {key: e for key, e in self.refusals.items() if e.step != self.step or e.rule not in rules}
        self.refusals = kept

    def refused(self, rule: str, declined: Declined) -> None:
        """A rule of the current pass almost matched."""
        if len(self.refusals) < LISTED:
            entry = Entry(self.step, rule, declined.node, declined.reason)
            self.refusals[self.step, rule, declined.node, declined.reason] = entry

    def warn(self, warning: Diagnostic) -> None:
        """Something that is no error and yet hardly what was meant."""
        self.warnings.append(warning)

    @contextmanager
    def during(self, step: str) -> Generator[None]:
        """Record what happens inside as the work of `step`."""
        before, self.step = self.step, step
        start = perf_counter()
        try:
            yield
        finally:
            self.seconds[step] = self.seconds.get(step, 0.0) + perf_counter() - start
            self.step = before
