"""How our operators say what PyTorch's do: a rule takes PyTorch's arguments, tensors as values, and gives ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import architrave
from architrave.ir import build as ops
from architrave.ir.graph import Value, apply
from architrave.ir.ops.leaves import Input
from architrave.ir.rewrite import inline
from architrave.ir.types import DType, TensorType

Rule = Callable[..., Any]
RULES: dict[str, Rule] = {}
"""By the name in `op_db`, with a dot and the variant where there is one."""


class ExcludedError(Exception):
    """A use that ours does not cover, and why."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for the operators `names`."""

    def register(function: Rule) -> Rule:
        for name in names:
            if name in RULES:
                raise ValueError(f"two rules for {name}")
            RULES[name] = function
        return function

    return register


def rules(table: Mapping[str, Rule]) -> None:
    """Register rules by name."""
    for name, function in table.items():
        rule(name)(function)


def same(names: Iterable[str], **others: str) -> None:
    """Operators that take the same operands in the same order: under our name, or another."""
    pairs = {**{name: name for name in names}, **others}
    rules({theirs: lambda *xs, _ours=ours: ops.call(_ours, *xs) for theirs, ours in pairs.items()})


def require(holds: bool, reason: str) -> None:
    """Raises ExcludedError where an argument asks for what ours has not."""
    if not holds:
        raise ExcludedError(reason)


def axes(x: Value, dim: Any, *, empty_is_all: bool = True) -> tuple[int, ...] | None:
    """PyTorch's `dim` as axes: of a scalar none, and often `[]` means all."""
    if dim is None or (empty_is_all and not isinstance(dim, int) and not len(dim)):
        return None
    if not x.rank:
        return ()
    return (dim,) if isinstance(dim, int) else tuple(dim)


def axis(x: Value, dim: Any) -> int:
    """PyTorch's `dim` as one axis, which ours must have."""
    require(x.rank > 0, "an axis of a tensor that has none")
    return int(dim)


def as_pair(value: Any, rank: int) -> tuple[int, ...]:
    """A number for each axis."""
    if isinstance(value, int):
        return (value,) * rank
    found = tuple(value)
    return found * rank if len(found) == 1 else found


def cast(x: Value, dtype: Any) -> Value:
    """In PyTorch's `dtype`, where one is given."""
    if dtype is None:
        return x
    name = str(dtype).removeprefix("torch.")
    known = {"float32": "f32", "float64": "f64", "float16": "f16", "bfloat16": "bf16", "int64": "i64", "int32": "i32"}
    known |= {"int16": "i16", "int8": "i8", "uint8": "u8", "bool": "bool", "complex64": "c64", "complex128": "c128"}
    require(name in known, f"the dtype {name}")
    return ops.cast(x, dtype=DType(known[name]))


def library(text: str, *values: Value, module: str) -> Value:
    """A call of the standard library, on tensors that the text calls a, b, c ..."""
    names = "abcdef"[: len(values)]
    inputs = ", ".join(f"{name}: {value.type}" for name, value in zip(names, values, strict=True))
    name = text.partition("(")[0]
    graph = architrave.loads(f"from {module} import {name}\nmodel M()({inputs}) = {text}")
    (result,) = inline(graph, values)
    return result


def holds_floats(*values: object) -> bool:
    """Whether all of them are tensors of floats."""
    return all(isinstance(v, Value) and v.dtype.is_float for v in values)


def input_of(name: str, shape: Sequence[int], dtype: DType) -> Value:
    """An input of a judged graph."""
    return apply(Input(name, TensorType(dtype, tuple(shape))))
