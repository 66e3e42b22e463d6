"""How NumPy writes what it does not share with jax.numpy."""

from __future__ import annotations

from architrave.backends.base import Call, Rules
from architrave.backends.code import Code, call, infix, is_at_least, literal, method
from architrave.backends.functional.axes import add_axes, reduction
from architrave.backends.functional.bits import add_bits
from architrave.backends.functional.contraction import add_contraction, as_matmul, equation, linear
from architrave.backends.functional.dtypes import as_float, astype, promoted
from architrave.backends.functional.elementwise import add_elementwise
from architrave.backends.functional.formats import add_formats
from architrave.backends.functional.fourier import add_fourier
from architrave.backends.functional.functions import add_functions
from architrave.backends.functional.index import add_index
from architrave.backends.functional.integer import add_integer
from architrave.backends.functional.linalg import add_linalg
from architrave.backends.functional.low_bit import add_low_bit
from architrave.backends.functional.quantize import add_quantize
from architrave.backends.functional.sparse import add_sparse
from architrave.backends.functional.windows import add_windows
from architrave.ir.types import normalize_axis

rules = Rules()
add_elementwise(rules, "np")
add_functions(rules, "np")
add_axes(rules, "np")
add_contraction(rules, "np")
add_windows(rules, "np")
add_index(rules, "np")
add_integer(rules)
add_linalg(rules)
add_low_bit(rules)
add_sparse(rules)
add_quantize(rules)
add_formats(rules)
add_fourier(rules, "np")
add_bits(rules, "np")


@rules.rule("stop_gradient")
def _stop_gradient(at: Call) -> Code:
    return at.args[0]


@rules.rule("abs")
def _abs(at: Call) -> Code:
    return call("np.abs", *at.args)


@rules.rule("power", scalars=True)
def _power(at: Call) -> Code:
    a, b = promoted(at, "np")
    dtype = at.results[0].dtype
    if not dtype.is_integer or is_at_least(b, 0):
        return infix(a, "**", b)
    return call(at.use("integer_power"), a, b if b.number is None else call("np.asarray", b, at.dtype(dtype)))


@rules.rule("floor_divide", scalars=True)
def _floor_divide(at: Call) -> Code:
    a, b = promoted(at, "np")
    return infix(a, "//", b)


@rules.rule("cast")
def _cast(at: Call) -> Code:
    if at.types[0].dtype.is_float and at.op.dtype.is_integer:
        return call(at.use("to_integers"), at.args[0], at.dtype(at.op.dtype))
    return astype(at, at.args[0], at.op.dtype)


@rules.rule("popcount", "clz")
def _bits(at: Call) -> Code:
    return call(at.use(at.op.name), at.args[0])


@rules.rule("bitcast")
def _bitcast(at: Call) -> Code:
    return method(at.args[0], "view", at.dtype(at.op.dtype))


@rules.rule("atan2", scalars=True)
def _atan2(at: Call) -> Code:
    return call("np.arctan2", *promoted(at, "np", at.results[0].dtype))


@rules.rule("hypot", "logaddexp", scalars=True)
def _of_two(at: Call) -> Code:
    return call(f"np.{at.op.name}", *promoted(at, "np", at.results[0].dtype))


@rules.rule("rsqrt")
def _rsqrt(at: Call) -> Code:
    return infix(literal(1), "/", call("np.sqrt", as_float(at)))


@rules.rule("sigmoid", "erf", "softplus", "erfinv", "lgamma")
def _special(at: Call) -> Code:
    return call(at.use(at.op.name), as_float(at))


@rules.rule("polygamma")
def _polygamma(at: Call) -> Code:
    return call(at.use("polygamma"), as_float(at), literal(at.op.n) if at.op.n else None)


@rules.rule("gelu")
def _gelu(at: Call) -> Code:
    return call(at.use("gelu" if at.op.approximate == "none" else "gelu_tanh"), as_float(at))


@rules.rule("clip")
def _clip(at: Call) -> Code:
    x = at.args[0] if at.types[0].dtype is at.results[0].dtype else as_float(at)
    match at.op.lo, at.op.hi:
        case None, None:
            return x
        case lo, None:
            return call("np.maximum", x, literal(lo))
        case None, hi:
            return call("np.minimum", x, literal(hi))
        case lo, hi:
            return call("np.clip", x, literal(lo), literal(hi))


@rules.rule("softmax", "log_softmax")
def _softmax(at: Call) -> Code:
    axis = normalize_axis(at.op.axis, at.types[0].rank)
    last = axis == at.types[0].rank - 1
    return call(at.use(at.op.name), as_float(at), None if last else f"axis={axis}")


@rules.rule("linear")
def _linear(at: Call) -> Code:
    return linear(at, "np") if at.types[0].rank < 3 else call(at.use("affine"), *promoted(at, "np"))


@rules.rule("active_rows")
def _active_rows(at: Call) -> Code:
    return call(at.use("active_rows"), *promoted(at, "np"))


@rules.rule("einsum")
def _einsum(at: Call) -> Code:
    if at.types[0].rank > 2 and at.op.equation.replace(" ", "") == "...i,oi->...o":
        return call(at.use("affine"), *promoted(at, "np"))
    simple = as_matmul(at, "np")
    if simple is not None:
        return simple
    terms, out = equation(at)
    written = literal(f"{','.join(terms)}->{out}")
    if len(terms) == 2 and all(len(set(term)) == len(term) for term in terms):
        return call(at.use("einsum"), written, *promoted(at, "np"))
    return call("np.einsum", literal(at.op.equation.replace(" ", "")), *promoted(at, "np"), optimize="True")


@rules.rule("cummax")
def _cummax(at: Call) -> Code:
    return call("np.maximum.accumulate", at.args[0], axis=literal(normalize_axis(at.op.axis, at.types[0].rank)))


@rules.rule("sort")
def _sort(at: Call) -> Code:
    axis = normalize_axis(at.op.axis, at.types[0].rank)
    ordered = call("np.sort", at.args[0], axis=literal(axis))
    return call("np.flip", ordered, axis=literal(axis)) if at.op.descending else ordered


@rules.rule("argsort")
def _argsort(at: Call) -> Code:
    axis = normalize_axis(at.op.axis, at.types[0].rank)
    if not at.op.descending:
        return method(at.args[0], "argsort", axis=literal(axis), kind=literal("stable"))
    return call(at.use("argsort"), at.args[0], literal(axis), descending="True")


@rules.rule("std")
def _std(at: Call) -> Code:
    options = reduction(at)
    if at.op.correction:
        options["ddof"] = literal(at.op.correction)
    return method(as_float(at), "std", **options)


@rules.rule("relu")
def _relu(at: Call) -> Code:
    return call("np.maximum", at.args[0], "0")


@rules.rule("segment_sum", "segment_max")
def _segments(at: Call) -> Code:
    return call(at.use(at.op.name), *at.args, at.size(at.op.count))
