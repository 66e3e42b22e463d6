"""What a model demands of the members of its space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from architrave.dsl import syntax
from architrave.dsl.elaborate.conversions import to_condition
from architrave.dsl.elaborate.core import Build, Frame, Names, elaborating, evaluate
from architrave.ir.place import Place
from architrave.ir.source import Span, error, nearest

QUANTITIES = ("params", "state", "macs", "flops", "memory", "latency", "depth")
"""What a constraint may speak of. `memory` is in bytes of activations, `latency` in seconds."""


@dataclass(frozen=True, eq=False)
class Constraint:
    """A condition on what a member costs, with the values of the other names in it."""

    condition: syntax.Expression
    scope: Mapping[str, Any]
    globals: Mapping[str, Any]

    @property
    def text(self) -> str:
        """As the file writes it."""
        return self.condition.span.text

    @property
    def span(self) -> Span:
        """Where the file writes it."""
        return self.condition.span

    @property
    def uses(self) -> tuple[str, ...]:
        """The quantities in it. Raises E292 for names that mean nothing."""
        named = names(self.condition)
        for name, span in named.items():
            if name not in QUANTITIES and name not in self.scope and name not in self.globals:
                hint = nearest(name, QUANTITIES) or f"it may speak of {', '.join(QUANTITIES)}"
                raise error("E292", f"`{name}` means nothing in a constraint", span, hint=hint)
        return tuple(name for name in named if name in QUANTITIES)

    def holds(self, quantities: Mapping[str, Any]) -> bool:
        """Whether it holds for a member with these quantities."""
        frame = Frame(Build(), {**self.scope, **quantities}, self.globals, Place(""), Names())
        with elaborating(self.span):
            return to_condition(evaluate(self.condition, frame), self.span)


def names(condition: syntax.Expression) -> dict[str, Span]:
    """The names in a condition, in order, and where they first stand."""
    found: dict[str, Span] = {}
    pending: list[Any] = [condition]
    while pending:
        item = pending.pop()
        if isinstance(item, syntax.Name):
            found.setdefault(item.text, item.span)
        elif isinstance(item, tuple):
            pending += reversed(item)  # pyright: ignore[reportUnknownArgumentType]
        elif isinstance(item, syntax.Node):
            pending += [getattr(item, f) for f in reversed(item.__dataclass_fields__) if f != "span"]
    return found
