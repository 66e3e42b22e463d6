"""Types of dimensions, weights and inputs: what a written type stands for."""

from __future__ import annotations

from architrave.dsl import syntax
from architrave.dsl.elaborate.arithmetic import combine
from architrave.dsl.elaborate.conversions import to_list, to_size
from architrave.dsl.elaborate.core import Frame, evaluate
from architrave.ir.dims import Dim, Size, divide, symbol
from architrave.ir.source import Span, error, nearest
from architrave.ir.types import DType, TensorType

DTYPES = {dtype.value: dtype for dtype in DType if dtype is not DType.FLOAT}
ELSEWHERE = {
    "float16": "f16", "float32": "f32", "float64": "f64", "bfloat16": "bf16", "half": "f16", "float": "f32",
    "double": "f64", "int8": "i8", "int16": "i16", "int32": "i32", "int64": "i64", "int": "i64", "long": "i64",
    "uint8": "u8", "uint32": "u32", "complex64": "c64", "complex128": "c128", "boolean": "bool",
}  # fmt: skip
"""What other systems call our dtypes."""


def nearest_dtype(name: str) -> str:
    """The hint for a dtype that there is not."""
    ours = ELSEWHERE.get(name)
    return f"it is called `{ours}` here" if ours else nearest(name, DTYPES) or f"one of {', '.join(DTYPES)}"


def dtype_of(pattern: syntax.TensorType) -> DType:
    """The dtype that a type names; the chosen precision where it names none. Raises E240."""
    if pattern.dtype is None:
        return DType.FLOAT
    name = pattern.dtype.text
    if name not in DTYPES:
        raise error("E240", f"there is no dtype `{name}`", pattern.dtype.span, hint=nearest_dtype(name))
    return DTYPES[name]


def is_bound(name: str, frame: Frame) -> bool:
    """Whether a name stands for a size already. A block or fn of the file that is called `N` does not."""
    return name in frame.scope or isinstance(frame.globals.get(name), int | Dim)


def dimension_size(dimension: syntax.Dimension, frame: Frame) -> Size:
    """The size that a dimension of a type stands for. Division is exact. Raises E230, E243."""
    match dimension:
        case syntax.AnyDimension() | syntax.Pack():
            raise error("E243", f"`{dimension.span.text}` does not say a size", dimension.span)
        case syntax.Name(text) if not is_bound(text, frame):
            what = f"the dimension `{text}` is not bound: no parameter is called so, and no type of an input names it"
            raise error("E243", what, dimension.span, hint=nearest(text, frame.scope))
        case syntax.Binary("/", left, right):
            return _exact(dimension_size(left, frame), dimension_size(right, frame), dimension.span)
        case syntax.Binary("+" | "-" | "*" as sign, left, right):
            sizes = dimension_size(left, frame), dimension_size(right, frame)
            size: Size = combine(sign, *sizes, dimension.span, frame)
        case _:
            size = to_size(evaluate(dimension, frame), dimension.span, f"the dimension `{dimension.span.text}`")
    if isinstance(size, int) and size < 0:
        raise error("E244", f"the dimension `{dimension.span.text}` is {size}: a size is at least 0", dimension.span)
    return size


def _exact(a: Size, b: Size, span: Span) -> Size:
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
            case syntax.Name(text) if not is_bound(text, frame):
                frame.scope[text] = symbol(text)
                shape.append(frame.scope[text])
            case _:
                _bind_symbols(dimension, frame)
                shape.append(dimension_size(dimension, frame))
    return TensorType(dtype_of(pattern), tuple(shape))


def _bind_symbols(dimension: syntax.Dimension, frame: Frame) -> None:
    """Names inside an expression stay symbolic, too: `2 * N`."""
    match dimension:
        case syntax.Name(text) if not is_bound(text, frame):
            frame.scope[text] = symbol(text)
        case syntax.Binary(_, left, right):
            _bind_symbols(left, frame)
            _bind_symbols(right, frame)
        case _:
            return
