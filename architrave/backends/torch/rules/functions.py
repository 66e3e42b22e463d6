"""Mathematical functions, and activations that PyTorch has besides the usual ones."""

from __future__ import annotations

from architrave.backends.base import Call, Rules
from architrave.backends.code import Code, call, literal
from architrave.backends.torch.rules.typed import as_float, promoted

functions = Rules()

_OF_FLOATS = (
    "sinh", "cosh", "asin", "acos", "atan", "asinh", "acosh", "atanh", "exp2", "log2", "log10", "isinf",
    "erfinv", "lgamma",
)  # fmt: skip


@functions.rule(*_OF_FLOATS)
def _of_floats(at: Call) -> Code:
    return call(f"torch.{at.op.name}", as_float(at))


@functions.rule("square")
def _square(at: Call) -> Code:
    return call("torch.square", at.args[0])


@functions.rule("trunc")
def _trunc(at: Call) -> Code:
    return at.args[0] if at.types[0].dtype.is_integer else call("torch.trunc", at.args[0])


@functions.rule("atan2")
def _atan2(at: Call) -> Code:
    return call("torch.atan2", *promoted(at, at.results[0].dtype))


@functions.rule("fmod")
def _fmod(at: Call) -> Code:
    return call("torch.fmod", *promoted(at))


@functions.rule("relu6")
def _relu6(at: Call) -> Code:
    return call("F.relu6", as_float(at))


@functions.rule("hard_tanh")
def _hard_tanh(at: Call) -> Code:
    return call("F.hardtanh", as_float(at), literal(at.op.lo), literal(at.op.hi))


@functions.rule("threshold")
def _threshold(at: Call) -> Code:
    return call("F.threshold", as_float(at), literal(at.op.threshold), literal(at.op.value))


@functions.rule("hard_shrink", "soft_shrink")
def _shrink(at: Call) -> Code:
    return call(f"F.{at.op.name.replace('_', '')}", as_float(at), literal(at.op.bound))


@functions.rule("celu")
def _celu(at: Call) -> Code:
    return call("F.celu", as_float(at), literal(at.op.alpha))


@functions.rule("log_sigmoid", "softsign", "tanh_shrink")
def _smooth(at: Call) -> Code:
    return call(f"F.{at.op.name.replace('_', '')}", as_float(at))


@functions.rule("glu")
def _glu(at: Call) -> Code:
    return call("F.glu", as_float(at), str(at.op.axis))


@functions.rule("polygamma")
def _polygamma(at: Call) -> Code:
    match at.op.n:
        case 0:
            return call(f"{at.use('Digamma')}.apply", as_float(at))
        case 1:
            return call(at.use("trigamma"), as_float(at))
        case n:
            return call("torch.polygamma", str(n), as_float(at))
