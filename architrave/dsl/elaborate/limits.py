"""How much work one elaboration may do, so that no file, however hostile, takes minutes or gigabytes."""

from __future__ import annotations

from typing import Any

from architrave.dsl.elaborate.kinds import is_nest
from architrave.ir.source import Span, error

STEP_LIMIT = 3_000_000
"""Loop turns, calls and whatever else is counted as work."""
NODE_STEPS = 10
"""What making a node counts for: it takes most of a build's time and memory."""
TURN_STEPS = 3
"""What a turn of a loop counts for."""
CALL_STEPS = 5
"""What applying something counts for."""
ELEMENTS_IN_STEP = 8
"""How many elements of a list or characters of a string can be handled in one step."""
DEPTH_LIMIT = 120
"""How deeply applications of fns, blocks and lambdas may nest."""
LIST_LIMIT = 1_000_000
"""The length of the longest list, the lists inside of it included."""
NESTING_LIMIT = 50
"""How deeply lists may nest."""
FACT_LIMIT = 1_000
"""How many values an annotation may hold: every node that it reaches carries them."""
RECURSION = 40_000
"""Python frames that one elaboration may use; the limits of the language come first."""


def extent(value: Any, span: Span, depth: int = NESTING_LIMIT) -> int:
    """The elements of a list and of the lists inside it, each counted where it stands. Raises E453 for too many."""
    if isinstance(value, str | range):
        return _short_enough(len(value), span)
    if not is_nest(value):
        return 0
    if depth == 0:
        raise error("E453", f"lists nest more than {NESTING_LIMIT} deep", span)
    total = _short_enough(len(value), span)
    for item in value:
        if is_nest(item):
            total = _short_enough(total + extent(item, span, depth - 1), span)
    return total


def _short_enough(count: int, span: Span) -> int:
    if count > LIST_LIMIT:
        raise error("E453", f"a list may hold {LIST_LIMIT:,} elements, not {count:,}", span)
    return count
