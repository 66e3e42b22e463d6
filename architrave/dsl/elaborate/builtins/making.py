"""Functions that make tensors, and random numbers."""

from __future__ import annotations

from typing import Any

from architrave.dsl.elaborate.builtins.arithmetic import to_dtype
from architrave.dsl.elaborate.builtins.registry import BUILTINS, builtin, tensor
from architrave.dsl.elaborate.conversions import to_int, to_list, to_size
from architrave.dsl.elaborate.core import Frame
from architrave.dsl.elaborate.kinds import is_number
from architrave.dsl.elaborate.names import weight_path
from architrave.dsl.elaborate.values import Builtin, Namespace, apply_op, describe
from architrave.ir.dims import Dim, Size
from architrave.ir.graph import Value, make
from architrave.ir.initial import initial
from architrave.ir.place import here
from architrave.ir.source import Span, error
from architrave.ir.types import DType


def to_shape(value: Any, span: Span) -> tuple[Size, ...]:
    """A list of sizes. Raises E230 for what is no size, E244 for a negative one."""
    sizes = tuple(to_size(s, span) for s in to_list(value, span, "a shape"))
    for size in sizes:
        if isinstance(size, int) and size < 0:
            raise error("E244", f"a size is at least 0, not {size}", span)
    return sizes


@builtin("zeros")
def _zeros(frame: Frame, span: Span, shape: Any, dtype: Any = DType.FLOAT) -> Value:
    return _filled(0.0, shape, dtype, span)


@builtin("ones")
def _ones(frame: Frame, span: Span, shape: Any, dtype: Any = DType.FLOAT) -> Value:
    return _filled(1.0, shape, dtype, span)


@builtin("full")
def _full(frame: Frame, span: Span, shape: Any, value: Any = None, dtype: Any = None) -> Any:
    """`full([2, 3], v)` is a tensor, `full(v)` an initializer."""
    if value is None and is_number(shape):
        return initial("full", float(shape))
    if not isinstance(value, bool | Dim) and not is_number(value):
        raise error("E227", f"`full` takes a number, not {describe(value)}", span)
    kind = DType.BOOL if isinstance(value, bool) else DType.FLOAT
    return _filled(value, shape, kind if dtype is None else dtype, span)


def _filled(value: Any, shape: Any, dtype: Any, span: Span) -> Value:
    kind = to_dtype(dtype, span)
    number = value if kind.is_float or isinstance(value, bool | Dim) else int(value)
    return apply_op("full", value=number, shape=to_shape(shape, span), dtype=kind)


@builtin("arange")
def _arange(frame: Frame, span: Span, n: Any, dtype: Any = DType.I64) -> Value:
    return apply_op("arange", size=to_shape([n], span)[0], dtype=to_dtype(dtype, span))


@builtin("constant")
def _constant(frame: Frame, span: Span, values: Any, dtype: Any = DType.FLOAT) -> Value:
    """A tensor of the numbers in nested lists."""
    from architrave.ir.storage import constant_of

    kind = to_dtype(dtype, span)
    shape: list[int] = []
    level: list[Any] = [values]
    while all(isinstance(v, list) for v in level):
        lengths = {len(v) for v in level}
        if len(lengths) != 1:
            raise error("E254", "the rows of a constant must be of one length", span)
        shape += lengths
        level = [item for v in level for item in v]
        if not level:
            break
    for item in level:
        if not isinstance(item, int | float) or isinstance(item, bool) is not (kind.is_bool):
            raise error("E254", f"a constant of {kind} holds no {describe(item)}", span)
        if kind.is_integer and not isinstance(item, int):
            raise error("E254", f"a constant of {kind} holds no {describe(item)}", span)
    try:
        op = constant_of(level, kind, tuple(shape))
    except (OverflowError, ValueError) as problem:
        raise error("E254", f"these numbers do not fit {kind}", span) from problem
    return make(op, (), here()).outputs[0]


@builtin("linspace")
def _linspace(frame: Frame, span: Span, a: float, b: float, n: int) -> Value:
    """`n` numbers from `a` to `b`, both included."""
    count = to_int(n, span, "`n`")
    if count < 1:
        raise error("E244", f"`linspace` makes at least 1 number, not {count}", span)
    steps = apply_op("arange", size=count, dtype=DType.FLOAT)
    return apply_op("add", apply_op("multiply", steps, (b - a) / max(count - 1, 1)), float(a))


@builtin("eye")
def _eye(frame: Frame, span: Span, n: Any, dtype: Any = DType.FLOAT) -> Value:
    (size,) = to_shape([n], span)
    rows = apply_op("arange", size=size)
    square = apply_op("equal", apply_op("unsqueeze", rows, axes=(1,)), rows)
    return apply_op("cast", square, dtype=to_dtype(dtype, span))


@builtin("one_hot")
def _one_hot(frame: Frame, span: Span, index: Any, count: Any, dtype: Any = DType.FLOAT) -> Value:
    return apply_op("one_hot", tensor(index, span, "one_hot"), count=to_size(count, span), dtype=to_dtype(dtype, span))


def _random(kind: str, shape: Any, span: Span, frame: Frame, **attributes: Any) -> Value:
    """Random numbers, keyed by the run's seed and step and by the place of the call."""
    frame.build.drawn += 1
    number = frame.names.counters.get("random", 0)
    frame.names.counters["random"] = number + 1
    path = weight_path(frame.place, f"random_{number}")
    return apply_op(kind, apply_op("run_key"), shape=to_shape(shape, span), path=path, **attributes)


def _bits(frame: Frame, span: Span, shape: Any) -> Value:
    return _random("random_bits", shape, span, frame)


def _normal(frame: Frame, span: Span, shape: Any) -> Value:
    return _random("random_normal", shape, span, frame)


def _uniform(frame: Frame, span: Span, shape: Any, lo: float = 0.0, hi: float = 1.0) -> Value:
    drawn = _random("random_uniform", shape, span, frame)
    if lo == 0 and hi == 1:
        return drawn
    return apply_op("add", apply_op("multiply", drawn, float(hi - lo)), float(lo))


def _bernoulli(frame: Frame, span: Span, p: float, shape: Any) -> Value:
    return _random("random_bernoulli", shape, span, frame, p=float(p))


BUILTINS["random"] = Namespace(
    "random",
    {
        "bits": Builtin("random.bits", _bits),
        "normal": Builtin("random.normal", _normal),
        "uniform": Builtin("random.uniform", _uniform),
        "bernoulli": Builtin("random.bernoulli", _bernoulli),
    },
)
