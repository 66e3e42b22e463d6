"""How JAX writes what jax.numpy does not share with NumPy."""

from __future__ import annotations

from architrave.backends.base import Call, Rules
from architrave.backends.code import Code, call, infix, is_at_least, literal, method
from architrave.backends.functional.axes import add_axes, reduction
from architrave.backends.functional.bits import add_bits
from architrave.backends.functional.contraction import add_contraction, as_matmul, linear
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
from architrave.ir.types import DType, normalize_axis

rules = Rules()
add_elementwise(rules, "jnp")
add_functions(rules, "jnp")
add_axes(rules, "jnp")
add_contraction(rules, "jnp")
add_windows(rules, "jnp")
add_index(rules, "jnp")
add_integer(rules)
add_linalg(rules)
add_low_bit(rules)
add_sparse(rules)
add_quantize(rules)
add_formats(rules)
add_fourier(rules, "jnp")
add_bits(rules, "jnp")


@rules.rule("stop_gradient")
def _stop_gradient(at: Call) -> Code:
    return call("jax.lax.stop_gradient", at.args[0])


@rules.rule("abs")
def _abs(at: Call) -> Code:
    # The gradient of jnp.abs at 0 is 1.
    return call(at.use("absolute") if at.types[0].dtype.is_float else "jnp.abs", at.args[0])


@rules.rule("power", scalars=True)
def _power(at: Call) -> Code:
    a, b = promoted(at, "jnp")
    if at.results[0].dtype.is_integer and not is_at_least(b, 0):
        return call(at.use("integer_power"), a, b)
    if at.results[0].dtype.is_float and a.number is None and b.number is None:
        return call(at.use("power"), a, b)
    return infix(a, "**", b)


@rules.rule("floor_divide", scalars=True)
def _floor_divide(at: Call) -> Code:
    a, b = promoted(at, "jnp")
    if at.results[0].dtype.is_integer and not is_at_least(b, 1):
        return call(at.use("floor_divide"), a, b)
    return infix(a, "//", b)


@rules.rule("cast")
def _cast(at: Call) -> Code:
    return astype(at, at.args[0], at.op.dtype)


@rules.rule("popcount")
def _popcount(at: Call) -> Code:
    return method(call("jax.lax.population_count", at.args[0]), "astype", at.dtype(DType.I64))


@rules.rule("clz")
def _clz(at: Call) -> Code:
    return method(call("jax.lax.clz", at.args[0]), "astype", at.dtype(DType.I64))


@rules.rule("bitcast")
def _bitcast(at: Call) -> Code:
    return call("jax.lax.bitcast_convert_type", at.args[0], at.dtype(at.op.dtype))


@rules.rule("atan2", scalars=True)
def _atan2(at: Call) -> Code:
    return call(at.use("angle_of"), *promoted(at, "jnp", at.results[0].dtype))


@rules.rule("rsqrt", "erf")
def _lax(at: Call) -> Code:
    return call(f"jax.lax.{at.op.name}", as_float(at))


@rules.rule("erfinv")
def _erfinv(at: Call) -> Code:
    return call("jax.lax.erf_inv", as_float(at))


@rules.rule("lgamma")
def _lgamma(at: Call) -> Code:
    return call("jax.lax.lgamma", as_float(at))


@rules.rule("digamma")
def _digamma(at: Call) -> Code:
    return call(at.use("digamma"), as_float(at))


@rules.rule("polygamma")
def _polygamma(at: Call) -> Code:
    x = as_float(at)
    if at.op.n == 0:
        return call(at.use("digamma"), x)
    return call("jax.lax.polygamma", call("jnp.full_like", x, f"{at.op.n}.0"), x)


@rules.rule("sigmoid", "silu", "softplus")
def _activation(at: Call) -> Code:
    return call(f"jax.nn.{at.op.name}", as_float(at))


@rules.rule("log_sigmoid", "celu", "glu")
def _named_alike(at: Call) -> Code:
    """Those whose one attribute stands second in JAX, too."""
    return call(f"jax.nn.{at.op.name}", as_float(at), *(literal(getattr(at.op, name)) for name in at.op.attributes))


@rules.rule("relu")
def _relu(at: Call) -> Code:
    return call("jax.nn.relu", at.args[0])


@rules.rule("clip")
def _clip(at: Call) -> Code:
    x = at.args[0] if at.types[0].dtype is at.results[0].dtype else as_float(at)
    return call(at.use("clip"), x, literal(at.op.lo), literal(at.op.hi))


@rules.rule("softmax", "log_softmax")
def _softmax(at: Call) -> Code:
    axis = normalize_axis(at.op.axis, at.types[0].rank)
    return call(f"jax.nn.{at.op.name}", as_float(at), axis=literal(axis))


@rules.rule("gelu")
def _gelu(at: Call) -> Code:
    return call("jax.nn.gelu", as_float(at), approximate=literal(at.op.approximate == "tanh"))


@rules.rule("linear")
def _linear(at: Call) -> Code:
    return linear(at, "jnp")


@rules.rule("einsum")
def _einsum(at: Call) -> Code:
    simple = as_matmul(at, "jnp")
    return simple or call("jnp.einsum", literal(at.op.equation.replace(" ", "")), *promoted(at, "jnp"))


@rules.rule("cummax")
def _cummax(at: Call) -> Code:
    function = at.use("running_max") if at.types[0].dtype.is_float else "jax.lax.cummax"
    return call(function, at.args[0], axis=literal(normalize_axis(at.op.axis, at.types[0].rank)))


@rules.rule("sort")
def _sort(at: Call) -> Code:
    function = at.use("sort_down") if at.op.descending else "jnp.sort"
    return call(function, at.args[0], axis=literal(normalize_axis(at.op.axis, at.types[0].rank)))


@rules.rule("argsort")
def _argsort(at: Call) -> Code:
    options = {"descending": literal(True)} if at.op.descending else {}
    return call("jnp.argsort", at.args[0], axis=literal(normalize_axis(at.op.axis, at.types[0].rank)), **options)


@rules.rule("segment_sum", "segment_max")
def _segments(at: Call) -> Code:
    if 0 in at.results[0].shape:
        # JAX cannot differentiate one without segments.
        return call("jnp.zeros", at.shape(at.results[0].shape), at.dtype(at.results[0].dtype))
    return call(f"jax.ops.{at.op.name}", *at.args, at.size(at.op.count))


@rules.rule("logsumexp")
def _logsumexp(at: Call) -> Code:
    return call("jax.nn.logsumexp", as_float(at), **reduction(at))
