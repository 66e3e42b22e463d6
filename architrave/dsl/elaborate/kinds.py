"""What kind a static value is, in a way that type checkers understand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard


def is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_tuple(value: Any) -> TypeGuard[tuple[Any, ...]]:
    return isinstance(value, tuple)


def is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    """Whether a value is a list, a tuple or a range."""
    return isinstance(value, list | tuple | range)


def is_nest(value: Any) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Whether a value is a list or tuple, which may hold others."""
    return isinstance(value, list | tuple)
