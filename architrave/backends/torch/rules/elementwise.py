"""Elementwise operators, constants and casts."""

from __future__ import annotations

from functools import reduce

from architrave.backends.base import Call, Rules
from architrave.backends.code import BIT_AND, Code, call, infix, is_at_least, literal, method, prefix
from architrave.backends.torch.rules.typed import as_float, promoted, to, with_tensor
from architrave.ir.types import DType, part_of, promote

elementwise = Rules()

_INFIX = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "equal": "==",
    "not_equal": "!=",
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
}
_COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
_WRAPPING = ("add", "subtract", "multiply")
_BOUNDS = {"maximum": "min", "minimum": "max"}
_OF_FLOATS = ("exp", "log", "log1p", "expm1", "sqrt", "rsqrt", "sin", "cos", "tan", "tanh", "sigmoid", "erf")
_OF_ACTIVATIONS = {
    "silu": "silu",
    "selu": "selu",
    "hard_swish": "hardswish",
    "mish": "mish",
}
_INTEGERS = {
    DType.U8: "uint8",
    DType.I8: "int8",
    DType.I16: "int16",
    DType.U32: "uint32",
    DType.I32: "int32",
    DType.I64: "int64",
}
_PLAIN = {"0.0": "zeros", "1.0": "ones"}


@elementwise.rule(*_INFIX, scalars=True)
def _infix(at: Call) -> Code:
    common = reduce(promote, (t.dtype for t in at.types))
    dtype = common if at.op.name in _COMPARISONS else at.results[0].dtype
    a, b = with_tensor(at, promoted(at, dtype), dtype)
    result = infix(a, _INFIX[at.op.name], b)
    return _wrapped(at, result) if at.op.name in _WRAPPING else result


def _wrapped(at: Call, result: Code) -> Code:
    """A u32 without what is carried: it is held as an int64, since PyTorch has next to no arithmetic for it."""
    return infix(result, "&", Code("0xFFFFFFFF")) if at.results[0].dtype is DType.U32 else result


@elementwise.rule("floor_divide", "remainder", scalars=True)
def _quotient(at: Call) -> Code:
    name, dtype = at.op.name, at.results[0].dtype
    a, b = with_tensor(at, promoted(at, dtype), dtype)
    if dtype.is_integer and not is_at_least(b, 1):
        return call(at.use(name), a, *with_tensor(at, (b,), dtype))
    if name == "remainder":
        return infix(a, "%", b)
    if dtype.is_float:
        # PyTorch has no gradient for it, not even zero.
        a, b = (x if x.number is not None else method(x, "detach") for x in (a, b))
    return infix(a, "//", b)


@elementwise.rule("power", scalars=True)
def _power(at: Call) -> Code:
    dtype = at.results[0].dtype
    a, b = with_tensor(at, promoted(at, dtype), dtype)
    if dtype.is_float or is_at_least(b, 0):
        return _wrapped(at, infix(a, "**", b))
    return _wrapped(at, call(at.use("integer_power"), a, *with_tensor(at, (b,), dtype)))


@elementwise.rule("maximum", "minimum", scalars=True)
def _bound(at: Call) -> Code:
    dtype = at.results[0].dtype
    a, b = with_tensor(at, promoted(at), dtype)
    if a.number is None and b.number is None:
        return call(f"torch.{at.op.name}", a, b)
    x, bound = (a, b) if a.number is None else (b, a)
    if not dtype.is_float:
        return method(x, "clamp", **{_BOUNDS[at.op.name]: bound})
    # Not `clamp`: at the bound its whole gradient goes to x, not half of it.
    return call(f"torch.{at.op.name}", x, method(x, "new_tensor", bound))


@elementwise.rule(*_OF_FLOATS)
def _of_floats(at: Call) -> Code:
    return call(f"torch.{at.op.name}", as_float(at))


@elementwise.rule("abs", "isnan", "isfinite")
def _unary(at: Call) -> Code:
    return call(f"torch.{at.op.name}", at.args[0])


@elementwise.rule("sign")
def _sign(at: Call) -> Code:
    if at.types[0].dtype.is_integer:
        return call("torch.sign", at.args[0])
    return call(at.use("sign"), at.args[0])


@elementwise.rule("floor", "ceil", "round")
def _to_whole(at: Call) -> Code:
    return at.args[0] if at.types[0].dtype.is_integer else call(f"torch.{at.op.name}", at.args[0])


@elementwise.rule("real", "imag")
def _part(at: Call) -> Code:
    return Code(f"{at.args[0].atom}.{at.op.name}")


@elementwise.rule("conj")
def _conj(at: Call) -> Code:
    return call("torch.conj_physical", at.args[0])


@elementwise.rule("complex")
def _complex(at: Call) -> Code:
    return call("torch.complex", *promoted(at, part_of(at.results[0].dtype)))


@elementwise.rule("negative")
def _negative(at: Call) -> Code:
    return _wrapped(at, prefix("-", at.args[0]))


@elementwise.rule("logical_and")
def _and(at: Call) -> Code:
    return infix(at.args[0], "&", at.args[1])


@elementwise.rule("logical_or")
def _or(at: Call) -> Code:
    return infix(at.args[0], "|", at.args[1])


@elementwise.rule("logical_not")
def _not(at: Call) -> Code:
    return prefix("~", at.args[0])


@elementwise.rule("where", scalars=True)
def _where(at: Call) -> Code:
    dtype = at.results[0].dtype
    condition, a, b = at.args[0], *promoted(at, dtype, start=1)
    if condition.number is not None:
        condition = Code(f"torch.tensor({condition})")
    # Of two numbers alone PyTorch makes its default dtype, which may be a narrower one.
    a, b = with_tensor(at, (a, b), dtype)
    return call("torch.where", condition, a, b)


@elementwise.rule("cast")
def _cast(at: Call) -> Code:
    if at.types[0].dtype.is_float and at.op.dtype.is_integer:
        whole = call(at.use("to_integers"), at.args[0], f"torch.{_INTEGERS[at.op.dtype]}")
        return whole if at.op.dtype in (DType.I64, DType.U32) else to(at, whole, at.op.dtype)
    if at.op.dtype is DType.U32:
        return Code(f"{method(at.args[0], 'long')} & 0xFFFFFFFF", BIT_AND)
    return to(at, at.args[0], at.op.dtype)


@elementwise.rule("stop_gradient")
def _stop_gradient(at: Call) -> Code:
    return method(at.args[0], "detach")


@elementwise.rule("full")
def _full(at: Call) -> Code:
    shape, number = at.shape(at.op.shape), literal(at.op.value)
    options = {"dtype": at.dtype(at.op.dtype), "device": f"{at.anchor()}.device"}
    plain = _PLAIN.get(repr(float(at.op.value))) if not at.op.dtype.is_bool else None
    return call(f"torch.{plain}", shape, **options) if plain else call("torch.full", shape, number, **options)


@elementwise.rule("arange")
def _arange(at: Call) -> Code:
    options = {"device": f"{at.anchor()}.device"}
    if at.op.dtype is not DType.I64:
        options = {"dtype": at.dtype(at.op.dtype), **options}
    return call("torch.arange", at.size(at.op.size), **options)


@elementwise.rule("relu")
def _relu(at: Call) -> Code:
    return call("F.relu", at.args[0])


@elementwise.rule("gelu")
def _gelu(at: Call) -> Code:
    options = {"approximate": literal("tanh")} if at.op.approximate == "tanh" else {}
    return call("F.gelu", as_float(at), **options)


@elementwise.rule(*_OF_ACTIVATIONS)
def _activation(at: Call) -> Code:
    return call(f"F.{_OF_ACTIVATIONS[at.op.name]}", as_float(at))


@elementwise.rule("hard_sigmoid")
def _hard_sigmoid(at: Call) -> Code:
    # Not `F.hardsigmoid`, whose slope is the sixth that float32 knows in every precision.
    return infix(call("F.relu6", infix(as_float(at), "+", literal(3))), "/", literal(6))


@elementwise.rule("elu")
def _elu(at: Call) -> Code:
    return call("F.elu", as_float(at), literal(at.op.alpha) if at.op.alpha != 1.0 else None)


@elementwise.rule("leaky_relu")
def _leaky_relu(at: Call) -> Code:
    return call("F.leaky_relu", as_float(at), literal(at.op.slope))
