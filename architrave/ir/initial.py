"""The initializers of weights: their names, their parameters, and what they come down to for a shape.

Each is one of a few draws (`zeros`, `full`, `uniform`, `normal`, `trunc_normal`, `orthogonal`, `identity`), with
numbers that only the shape decides, so that the code which draws (`ir/initializers.py`) knows no more than those.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from architrave.ir.ops.leaves import Initial
from architrave.ir.source import error, nearest

Argument: TypeAlias = "float | str"
Draw: TypeAlias = "tuple[str, tuple[float, ...]]"
"""The name of a draw and its numbers."""


def initial(kind: str, *arguments: Argument, **named: Argument) -> Initial:
    """An initializer with all its arguments, defaults filled in. Raises E340 where they do not suit it."""
    if kind not in INITIALIZERS:
        raise error("E340", f"there is no initializer `{kind}`", hint=nearest(kind, INITIALIZERS))
    parameters = INITIALIZERS[kind]
    if len(arguments) > len(parameters):
        raise error("E340", f"`{kind}` takes {_counted(len(parameters))}, not {len(arguments)}")
    given: dict[str, Argument] = dict(zip(parameters, arguments, strict=False))
    for name, value in named.items():
        if name not in parameters:
            raise error("E340", f"`{kind}` has no argument `{name}`", hint=nearest(name, parameters))
        if name in given:
            raise error("E340", f"`{kind}` is given `{name}` twice")
        given[name] = value
    return Initial(kind, tuple(_argument(kind, name, default, given) for name, default in parameters.items()))


def draw(start: Initial, shape: Sequence[int]) -> Draw:
    """What an initializer comes down to for a weight of this shape. Raises E341 for a shape that it cannot fill."""
    complete = initial(start.kind, *start.arguments)
    kind = complete.kind
    match kind, complete.arguments:
        case "zeros", _:
            return "full", (0.0,)
        case "ones", _:
            return "full", (1.0,)
        case "kaiming_normal", (a, mode, nonlinearity):
            return "normal", (_kaiming(fans(kind, shape), a, mode, nonlinearity), 0.0)
        case "kaiming_uniform", (a, mode, nonlinearity):
            return "uniform", _bounds(_kaiming(fans(kind, shape), a, mode, nonlinearity))
        case "xavier_normal", (gain,):
            return "normal", (_xavier(fans(kind, shape), gain), 0.0)
        case "xavier_uniform", (gain,):
            return "uniform", _bounds(_xavier(fans(kind, shape), gain))
        case "orthogonal" | "identity", numbers:
            _at_least_two_axes(kind, shape)
            return kind, tuple(map(float, numbers))
        case _, numbers:
            return kind, tuple(map(float, numbers))


def fans(kind: str, shape: Sequence[int]) -> tuple[int, int]:
    """Connections into and out of one unit of a weight `[out, in, *kernel]`. Raises E341 below two axes."""
    _at_least_two_axes(kind, shape)
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def _kaiming(sides: tuple[int, int], a: Argument, mode: Argument, nonlinearity: Argument) -> float:
    """He and others, "Delving Deep into Rectifiers" (2015): the standard deviation."""
    fan = _one_of(mode, {"fan_in": float(sides[0]), "fan_out": float(sides[1])}, "mode")
    return _gain(nonlinearity, float(a)) / math.sqrt(max(1.0, fan))


def _xavier(sides: tuple[int, int], gain: Argument) -> float:
    """Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks" (2010)."""
    return float(gain) * math.sqrt(2 / max(1, sum(sides)))


def _bounds(std: float) -> tuple[float, float]:
    """Where a uniform distribution with this standard deviation begins and ends."""
    return -math.sqrt(3) * std, math.sqrt(3) * std


def _gain(nonlinearity: Argument, a: float) -> float:
    gains = {
        "linear": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "leaky_relu": math.sqrt(2 / (1 + a * a)),
        "selu": 3 / 4,
    }
    return _one_of(nonlinearity, gains, "nonlinearity")


_KAIMING: dict[str, Argument | None] = {"a": 0.0, "mode": "fan_in", "nonlinearity": "leaky_relu"}

INITIALIZERS: dict[str, dict[str, Argument | None]] = {
    "zeros": {},
    "ones": {},
    "full": {"value": None},
    "normal": {"std": 1.0, "mean": 0.0},
    "trunc_normal": {"std": 1.0},
    "uniform": {"lo": 0.0, "hi": 1.0},
    "kaiming_normal": _KAIMING,
    "kaiming_uniform": _KAIMING,
    "xavier_normal": {"gain": 1.0},
    "xavier_uniform": {"gain": 1.0},
    "orthogonal": {"gain": 1.0},
    "identity": {},
}
"""Every initializer with its parameters and their defaults, None where one must be given.

They are those of `torch.nn.init`, except that `trunc_normal` cuts at two standard deviations, whatever `std` is, as
TensorFlow and JAX do.
"""


def _argument(kind: str, name: str, default: Argument | None, given: Mapping[str, Argument]) -> Argument:
    value = given.get(name, default)
    if value is None:
        raise error("E340", f"`{kind}` needs `{name}`")
    if isinstance(value, str) != isinstance(default, str):
        raise error("E340", f"`{name}` of `{kind}` must be a {'string' if isinstance(default, str) else 'number'}")
    return value


def _one_of(value: Argument, known: Mapping[str, float], what: str) -> float:
    found = known.get(str(value))
    if found is None:
        raise error("E340", f"there is no {what} `{value}`", hint=f"it is one of {', '.join(known)}")
    return found


def _at_least_two_axes(kind: str, shape: Sequence[int]) -> None:
    if len(shape) < 2:
        raise error("E341", f"`{kind}` needs a weight with at least two axes, `[out, in]`, not {list(shape)}")


def _counted(count: int) -> str:
    return "no arguments" if not count else f"{count} argument{'s' if count > 1 else ''}"
