"""Initializers as functions. `zeros`, `ones`, `full` and `identity` are functions of their own elsewhere."""

from __future__ import annotations

import inspect
from typing import Any

from architrave.dsl.elaborate.builtins.registry import BUILTINS
from architrave.dsl.elaborate.core import Frame
from architrave.dsl.elaborate.values import Builtin, describe
from architrave.ir.initial import INITIALIZERS, initial
from architrave.ir.ops.leaves import Initial
from architrave.ir.source import Span, error


def _register(kind: str) -> None:
    def run(frame: Frame, span: Span, *args: Any, **kwargs: Any) -> Initial:
        for value in (*args, *kwargs.values()):
            if not isinstance(value, int | float | str):
                raise error("E227", f"`{kind}` takes numbers, not {describe(value)}", span)
        return initial(kind, *args, **kwargs)

    # The registry reads parameters from the signature; an initializer's are in its table.
    own = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None) for name in INITIALIZERS[kind]
    ]
    first = list(inspect.signature(run).parameters.values())[:2]
    run.__signature__ = inspect.Signature([*first, *own])  # type: ignore[attr-defined]
    BUILTINS[kind] = Builtin(kind, run)


for _kind in INITIALIZERS:
    if _kind not in ("zeros", "ones", "full", "identity"):
        _register(_kind)
