"""Types of parameters and results: binding dimensions, checking shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from architrave.dsl import syntax
from architrave.dsl.elaborate.conversions import to_list, to_size
from architrave.dsl.elaborate.core import Frame, evaluate
from architrave.dsl.elaborate.values import describe
from architrave.ir.dims import Size, symbol
from architrave.ir.graph import Value
from architrave.ir.source import ArchitraveError, Note, Span, error, nearest
from architrave.ir.types import DType, TensorType, shape_text

DTYPES = {dtype.value: dtype for dtype in DType if dtype is not DType.FLOAT}


def dtype_of(pattern: syntax.TensorType) -> DType:
    """The dtype that a type names; the chosen precision where it names none. Raises E240."""
    if pattern.dtype is None:
        return DType.FLOAT
    found = DTYPES.get(pattern.dtype.text)
    if found is None:
        raise error(
            "E240",
            f"there is no dtype `{pattern.dtype.text}`",
            pattern.dtype.span,
            hint=nearest(pattern.dtype.text, DTYPES),
        )
    return found


def bind(pattern: syntax.Type | None, value: Any, name: str, span: Span, frame: Frame) -> None:
    """Check a tensor (or a tuple of them) against a parameter's type, and bind the dimensions it names."""
    match pattern:
        case None | syntax.NamedType():
            return
        case syntax.TupleType(items):
            parts = to_list(value, span, f"`{name}`")
            if len(parts) != len(items):
                raise error("E241", f"`{name}` is a tuple of {len(items)}, not {describe(value)}", span)
            for item, part in zip(items, parts, strict=True):
                bind(item, part, name, span, frame)
        case syntax.TensorType():
            _bind_tensor(pattern, value, name, span, frame)


def _bind_tensor(pattern: syntax.TensorType, value: Any, name: str, span: Span, frame: Frame) -> None:
    if not isinstance(value, Value):
        raise error("E241", f"`{name}` must be a tensor {pattern.span.text}, not {describe(value)}", span)
    dtype = dtype_of(pattern)
    if dtype is not value.dtype and not (pattern.dtype is None and value.dtype.is_float):
        wanted = "a float tensor" if pattern.dtype is None else f"a tensor of {dtype}"
        raise error(
            "E241",
            f"`{name}` must be {wanted}, not {value.type}",
            span,
            hint=f"`cast(x, {dtype})` converts" if pattern.dtype else None,
        )
    before, pack, after = _split(pattern)
    rank = len(before) + len(after)
    if value.rank < rank or (pack is None and value.rank != rank):
        least = "at least " if pack is not None else ""
        raise _mismatch(pattern, value, name, span, f"it must have {least}{rank} dimensions and has {value.rank}")
    shape = value.shape
    for index, (dimension, size) in enumerate(zip(before, shape, strict=False)):
        _bind_dimension(dimension, size, index, pattern, value, name, span, frame)
    if pack is not None and pack.name.text != "_":
        _bind_pack(pack, list(shape[len(before) : len(shape) - len(after)]), pattern, value, name, span, frame)
    offset = len(shape) - len(after)
    for index, dimension in enumerate(after):
        _bind_dimension(dimension, shape[offset + index], offset + index, pattern, value, name, span, frame)


def _split(
    pattern: syntax.TensorType,
) -> tuple[Sequence[syntax.Dimension], syntax.Pack | None, Sequence[syntax.Dimension]]:
    for index, dimension in enumerate(pattern.dimensions):
        if isinstance(dimension, syntax.Pack):
            return pattern.dimensions[:index], dimension, pattern.dimensions[index + 1 :]
    return pattern.dimensions, None, ()


def _bind_pack(
    pack: syntax.Pack, sizes: list[Size], pattern: syntax.TensorType, value: Value, name: str, span: Span, frame: Frame
) -> None:
    known = frame.scope.setdefault(pack.name.text, sizes)
    if known != sizes:
        raise _mismatch(
            pattern,
            value,
            name,
            span,
            f"`*{pack.name.text}` is {shape_text(known)} already and {shape_text(sizes)} here",
        )


def _bind_dimension(
    dimension: syntax.Dimension,
    size: Size,
    axis: int,
    pattern: syntax.TensorType,
    value: Value,
    name: str,
    span: Span,
    frame: Frame,
) -> None:
    match dimension:
        case syntax.AnyDimension():
            return
        case syntax.Name(text) if text not in frame.scope and text not in frame.globals:
            frame.scope[text] = size
            return
        case _:
            wanted = dimension_size(dimension, frame)
    if wanted != size:
        written = dimension.span.text
        meaning = "" if written == str(wanted) else f" (`{written}`)"
        raise _mismatch(pattern, value, name, span, f"axis {axis} must be {wanted}{meaning} and is {size}")


def _mismatch(pattern: syntax.TensorType, value: Value, name: str, span: Span, why: str) -> ArchitraveError:
    notes = [Note(f"`{name}` is declared as {pattern.span.text}", pattern.span)]
    if value.node.span is not None:
        notes.append(Note(f"the tensor {value.type} comes from here", value.node.span))
    return error("E242", f"`{name}` has the wrong shape {value.type}: {why}", span, notes=notes)


def dimension_size(dimension: syntax.Dimension, frame: Frame) -> Size:
    """The size that a dimension of a type stands for. Division is exact. Raises E230, E243."""
    match dimension:
        case syntax.AnyDimension() | syntax.Pack():
            raise error("E243", f"`{dimension.span.text}` does not say a size", dimension.span)
        case syntax.Binary("/", left, right):
            return _exact(dimension_size(left, frame), dimension_size(right, frame), dimension.span)
        case syntax.Binary("+" | "-" | "*" as sign, left, right):
            from architrave.dsl.elaborate.arithmetic import combine

            sizes = dimension_size(left, frame), dimension_size(right, frame)
            size: Size = combine(sign, *sizes, dimension.span, frame)
        case _:
            size = to_size(evaluate(dimension, frame), dimension.span, f"the dimension `{dimension.span.text}`")
    if isinstance(size, int) and size < 0:
        raise error("E244", f"the dimension `{dimension.span.text}` is {size}: a size is at least 0", dimension.span)
    return size


def _exact(a: Size, b: Size, span: Span) -> Size:
    from architrave.ir.dims import divide

    quotient = divide(a, b) if b != 0 else None
    if quotient is None:
        raise error("E245", f"`{span.text}` is {a} / {b}, which is not exact", span, hint="`//` rounds down")
    return quotient


def shape_of(pattern: syntax.TensorType, frame: Frame) -> tuple[Size, ...]:
    """The shape that a weight's type says, every dimension known."""
    shape: list[Size] = []
    for dimension in pattern.dimensions:
        if isinstance(dimension, syntax.Pack):
            found = frame.lookup(dimension.name.text, dimension.span)
            shape += [to_size(s, dimension.span) for s in to_list(found, dimension.span, f"`*{dimension.name.text}`")]
        else:
            shape.append(dimension_size(dimension, frame))
    return tuple(shape)


def tensor_type(pattern: syntax.Type, frame: Frame) -> TensorType:
    """The type of a weight. Raises E246 where the declaration is not a tensor type."""
    if not isinstance(pattern, syntax.TensorType):
        raise error("E246", f"a weight is a tensor, not `{pattern.span.text}`", pattern.span)
    return TensorType(dtype_of(pattern), shape_of(pattern, frame))


def input_type(pattern: syntax.Type | None, name: syntax.Identifier, frame: Frame) -> TensorType:
    """The type of a model's input: a name that is not bound stays symbolic."""
    if not isinstance(pattern, syntax.TensorType):
        raise error(
            "E247",
            f"the input `{name.text}` of a model needs a tensor type",
            (pattern or name).span,
            hint=f"such as `{name.text}: [N, 3, H, W]`",
        )
    shape: list[Size] = []
    for dimension in pattern.dimensions:
        match dimension:
            case syntax.AnyDimension() | syntax.Pack():
                raise error(
                    "E247",
                    f"`{dimension.span.text}` in the input `{name.text}` of a model needs a name",
                    dimension.span,
                )
            case syntax.Name(text) if text not in frame.scope and text not in frame.globals:
                frame.scope[text] = symbol(text)
                shape.append(frame.scope[text])
            case _:
                _bind_symbols(dimension, frame)
                shape.append(dimension_size(dimension, frame))
    return TensorType(dtype_of(pattern), tuple(shape))


def _bind_symbols(dimension: syntax.Dimension, frame: Frame) -> None:
    """Names inside an expression stay symbolic, too: `2 * N`."""
    match dimension:
        case syntax.Name(text) if text not in frame.scope and text not in frame.globals:
            frame.scope[text] = symbol(text)
        case syntax.Binary(_, left, right):
            _bind_symbols(left, frame)
            _bind_symbols(right, frame)
        case _:
            return


def check_result(pattern: syntax.Type | None, value: Any, span: Span, frame: Frame) -> None:
    """Check what a fn or block returns against its declared result; new names bind what they meet."""
    match pattern:
        case None:
            return
        case syntax.TupleType(items):
            if not isinstance(value, tuple) or len(value) != len(items):  # pyright: ignore[reportUnknownArgumentType]
                raise error(
                    "E248",
                    f"the declared result {pattern.span.text} is a tuple of {len(items)}, not {describe(value)}",
                    span,
                )
            for item, part in zip(items, value, strict=True):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
                check_result(item, part, span, frame)
        case syntax.TensorType():
            _check_tensor(pattern, value, span, frame)
        case syntax.NamedType(name):
            check_static(name, value, "the result", span)


def _check_tensor(pattern: syntax.TensorType, value: Any, span: Span, frame: Frame) -> None:
    if not isinstance(value, Value):
        raise error("E248", f"the declared result is a tensor {pattern.span.text}, not {describe(value)}", span)
    try:
        _bind_tensor(pattern, value, "the result", span, frame)
    except ArchitraveError as problem:
        (found,) = problem.diagnostics
        note = Note("the result is declared here", pattern.span)
        message = found.message.replace("`the result`", "the result")
        raise error("E248", message, span, notes=[note], hint=found.hint) from None


STATIC_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,), "float": (int, float), "bool": (bool,), "str": (str,), "list": (list, tuple, range),
}  # fmt: skip


def check_static(type_name: syntax.Identifier, value: Any, what: str, span: Span) -> None:
    """Check a static value against `int`, `float`, `bool`, `str`, `list`, `fn` or `block`. Raises E249."""
    from architrave.dsl.elaborate.core import is_callable
    from architrave.ir.dims import Dim

    wanted = type_name.text
    if wanted in ("fn", "block"):
        fits = is_callable(value)
    elif wanted not in STATIC_TYPES:
        known = [*STATIC_TYPES, "fn", "block"]
        raise error(
            "E240",
            f"there is no type `{wanted}`",
            type_name.span,
            hint=nearest(wanted, known) or f"one of {', '.join(known)}",
        )
    else:
        fits = isinstance(value, STATIC_TYPES[wanted]) and (wanted == "bool") >= isinstance(value, bool)
        fits = fits or (
            wanted == "int" and (isinstance(value, Dim) or (isinstance(value, float) and value.is_integer()))
        )
    if not fits:
        raise error("E249", f"{what} must be {_article(wanted)}, not {describe(value)}", span)


def _article(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} `{word}`"
