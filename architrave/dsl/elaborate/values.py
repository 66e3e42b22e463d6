"""The kinds of values that elaboration handles, and their names in errors.

Static: int, float, bool, str, None, list, tuple, `Dim`, `DType`, `Initial`, `AllBut`, and what can be
applied: `Fn`, `BlockType`, `Instance`, `Closure`, `Builtin`, `Partial`, `StageChoice`. Tensors: `Value`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sized
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from architrave.dsl import syntax
from architrave.dsl.elaborate.core import Frame, Names
from architrave.ir import build
from architrave.ir.dims import Dim
from architrave.ir.graph import Value
from architrave.ir.op import Op
from architrave.ir.ops.leaves import Initial
from architrave.ir.place import Fact
from architrave.ir.source import Span, error
from architrave.ir.types import DType

Static: TypeAlias = Any
"""A static value; its kinds are those of the module's docstring."""


RANK_LIMIT = 64
"""The axes of a tensor: as many as NumPy's and PyTorch's have."""
SIZE_LIMIT = 2**63
"""Sizes and integers that reach a network stay below it: they fit into an i64."""


@dataclass(frozen=True, eq=False, slots=True)
class Fn:
    """A declared fn with the names of its file."""

    tree: syntax.Fn
    globals: Mapping[str, Any]


@dataclass(frozen=True, eq=False, slots=True)
class BlockType:
    """A declared block or model with the names of its file."""

    tree: syntax.Block
    globals: Mapping[str, Any]
    facts: tuple[syntax.Annotation, ...] = ()


@dataclass(eq=False, slots=True)
class Instance:
    """A block with its static arguments. It gets its name at the latest when it is first applied."""

    block: BlockType
    arguments: dict[str, Any]
    span: Span
    path: str | None = None
    segment: str = ""
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Closure:
    """A lambda with the frame that it was written in."""

    tree: syntax.Lambda
    frame: Frame


@dataclass(frozen=True, eq=False, slots=True)
class Builtin:
    """A function of the language itself; `run` takes the frame and the span first.

    One that makes a stage does not take the piped value: `x -> sequential([a, b])`.
    """

    name: str
    run: Callable[..., Any]
    makes_stage: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class OpRef:
    """`op.NAME`."""

    kind: type[Op]


@dataclass(frozen=True, eq=False, slots=True)
class Partial:
    """A stage with arguments that waits for the piped values, its first: `softmax(axis = -1)`."""

    callee: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


@dataclass(frozen=True, eq=False, slots=True)
class Named:
    """A fn or lambda under an instance name: the blocks applied inside it live under that name."""

    callee: Any
    segment: str


@dataclass(frozen=True, eq=False, slots=True)
class StageChoice:
    """A choice between stages that is kept open."""

    path: str
    alternatives: Mapping[str, Any]
    names: Names = field(default_factory=Names)


@dataclass(frozen=True, slots=True)
class Namespace:
    """`op`, `random`, or a module imported under a name."""

    name: str
    members: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AllBut:
    """`all_but(1)`: every axis except these."""

    axes: tuple[int, ...]


def apply_op(name: str, *arguments: Any, **attributes: Any) -> Value:
    """`build.call` of an operator that has one result."""
    result = build.call(name, *arguments, **attributes)
    assert isinstance(result, Value), f"{name} has several results"
    return holdable(result)


def holdable(result: Value) -> Value:
    """The result of an operator. Raises E454 for a type that no tensor can have, which loops can build up to."""
    if result.rank > RANK_LIMIT:
        raise error("E454", f"a tensor has at most {RANK_LIMIT} axes, not {result.rank}")
    for size in result.shape:
        if isinstance(size, int) and size >= SIZE_LIMIT:
            raise error("E454", f"an axis has at most {SIZE_LIMIT - 1} elements, and this one would have more")
    return result


def describe(value: Any) -> str:
    """What a value is, for errors: `a tensor [N, 3]`, `the list [1, 2]`, `the block conv2d`."""
    match value:
        case Value():
            return f"a tensor {value.type}"
        case bool():
            return "true" if value else "false"
        case None:
            return "none"
        case int() | float():
            return f"the number {_short(value)}"
        case str():
            return f'the string "{_short(value)}"'
        case Dim():
            return f"the dimension {value}"
        case list():
            return f"a list of {_counted(value)}"  # pyright: ignore[reportUnknownArgumentType]
        case tuple():
            return f"a tuple of {_counted(value)}"  # pyright: ignore[reportUnknownArgumentType]
        case Fn():
            return f"the fn `{value.tree.name.text}`"
        case BlockType():
            return f"the block `{value.tree.name.text}`"
        case Instance():
            return f"an instance of `{value.block.tree.name.text}`"
        case Builtin():
            return f"the function `{value.name}`"
        case OpRef():
            return f"the operator `op.{value.kind.name}`"
        case Closure():
            return "a lambda"
        case Partial() | Named() | StageChoice():
            return "a stage"
        case DType():
            return f"the dtype {value}"
        case Initial():
            return f"the initializer {value}"
        case AllBut(axes):
            return f"`all_but({', '.join(map(str, axes))})`"
        case Namespace():
            return f"the module `{value.name}`"
        case _:
            return f"a {type(value).__name__.lower()}"


def _counted(items: Sized) -> str:
    return "1 element" if len(items) == 1 else f"{len(items)} elements"


def _short(value: Any) -> str:
    text = str(value) if not isinstance(value, int) or abs(value) < 10**30 else "too long to show"
    return text if len(text) <= 60 else text[:57] + "..."
