"""Loops with gradients."""

# Trees are dicts of anything.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax


def bounded_while(running: Callable[[Any], jax.Array], step: Callable[[Any], Any], carry: Any, limit: int) -> Any:
    """`while running(carry): carry = step(carry)`, at most `limit` times; unlike `lax.while_loop` it has a gradient."""

    def stay(carry: Any) -> Any:
        return carry

    def turn(carry: Any, _: None) -> tuple[Any, None]:
        return jax.lax.cond(running(carry), step, stay, carry), None

    return jax.lax.scan(turn, carry, length=limit)[0]
