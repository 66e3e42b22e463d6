"""Optimizers, each written once, in operators: the same rule in every backend.

`advance` takes a weight, its gradient and what the optimizer remembers of it, all of one dtype, and gives their next
values. `rate` is the learning rate of this step, `step` the number of steps including this one, a float scalar, and
`decay` the weight decay of this weight. Defaults are those of PyTorch where it has the optimizer, else of the paper.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from architrave.ir import build
from architrave.ir.graph import Value
from architrave.ir.source import error, nearest

Slots = Mapping[str, Value]
Advanced = tuple[Value, dict[str, Value]]


@dataclass(frozen=True)
class Moment:
    """One weight and what there is to know about it in one step."""

    weight: Value
    gradient: Value
    slots: Slots
    rate: Value
    step: Value
    decay: float


class Optimizer:
    """Base of all optimizers: frozen dataclasses whose fields are their settings."""

    slots: ClassVar[tuple[str, ...]] = ()
    """What is remembered of each weight: arrays of its shape, zeros at first."""
    numbers: ClassVar[tuple[str, ...]] = ()
    """The slots that are one number instead."""

    def remembered(self) -> tuple[str, ...]:
        """The slots that these settings need."""
        return self.slots

    def advance(self, at: Moment) -> Advanced:
        """The next weight, and the next value of each slot."""
        raise NotImplementedError(f"{type(self).__name__} does not say how weights change: define `advance`")


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent: `v = momentum * v + g + decay * w`, `w = w - rate * v`.

    With `nesterov` the step is `g + decay * w + momentum * v` for the new `v`. Sutskever and others, "On the importance
    of initialization and momentum in deep learning" (2013), in PyTorch's formulation.
    """

    momentum: float = 0.0
    nesterov: bool = False
    slots = ("velocity",)

    def remembered(self) -> tuple[str, ...]:
        return self.slots if self.momentum else ()

    def advance(self, at: Moment) -> Advanced:
        g = _decayed(at)
        if not self.momentum:
            return at.weight - g * at.rate, {}
        v = at.slots["velocity"] * self.momentum + g
        step = g + v * self.momentum if self.nesterov else v
        return at.weight - step * at.rate, {"velocity": v}


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam: Kingma and Ba (2015). The decay is added to the gradient, as in PyTorch."""

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    slots = ("mean", "square")

    def advance(self, at: Moment) -> Advanced:
        direction, slots = _adam(_decayed(at), at, self.beta1, self.beta2, self.eps)
        return at.weight - direction * at.rate, slots


@dataclass(frozen=True)
class AdamW(Optimizer):
    """Adam with a decay of its own: Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2019)."""

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    slots = ("mean", "square")

    def advance(self, at: Moment) -> Advanced:
        direction, slots = _adam(at.gradient, at, self.beta1, self.beta2, self.eps)
        kept = at.weight if at.decay == 0 else at.weight * (1.0 - at.rate * at.decay)
        return kept - direction * at.rate, slots


@dataclass(frozen=True)
class RMSProp(Optimizer):
    """RMSProp: Tieleman and Hinton (2012); `centered` divides by the variance, as Graves (2013) has it."""

    alpha: float = 0.99
    eps: float = 1e-8
    momentum: float = 0.0
    centered: bool = False
    slots = ("square", "mean", "velocity")

    def remembered(self) -> tuple[str, ...]:
        return ("square", *(("mean",) if self.centered else ()), *(("velocity",) if self.momentum else ()))

    def advance(self, at: Moment) -> Advanced:
        g = _decayed(at)
        after = {"square": _mixed(at.slots["square"], g * g, self.alpha)}
        spread = after["square"]
        if self.centered:
            after["mean"] = _mixed(at.slots["mean"], g, self.alpha)
            spread = spread - after["mean"] * after["mean"]
        step = g / (_sqrt(spread) + self.eps)
        if self.momentum:
            step = after["velocity"] = at.slots["velocity"] * self.momentum + step
        return at.weight - step * at.rate, after


@dataclass(frozen=True)
class LARS(Optimizer):
    """Momentum with a rate for each weight: `trust * |w| / (|g| + decay * |w|)`. A weight without decay keeps the rate.

    You, Gitman and Ginsburg, "Large Batch Training of Convolutional Networks" (2017).
    """

    momentum: float = 0.9
    trust: float = 0.001
    slots = ("velocity",)

    def advance(self, at: Moment) -> Advanced:
        g = _decayed(at)
        if at.decay != 0:
            size, slope = _norm(at.weight), _norm(at.gradient)
            ratio = self.trust * size / (slope + at.decay * size)
            g = g * _where_both(size, slope, ratio)
        v = at.slots["velocity"] * self.momentum + g * at.rate
        return at.weight - v, {"velocity": v}


@dataclass(frozen=True)
class LAMB(Optimizer):
    """AdamW whose step is scaled to the size of the weight. A weight without decay takes the plain step.

    You and others, "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes" (2020).
    """

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-6
    slots = ("mean", "square")

    def advance(self, at: Moment) -> Advanced:
        direction, slots = _adam(at.gradient, at, self.beta1, self.beta2, self.eps)
        if at.decay != 0:
            direction = direction + at.weight * at.decay
            size, step = _norm(at.weight), _norm(direction)
            direction = direction * _where_both(size, step, size / step)
        return at.weight - direction * at.rate, slots


@dataclass(frozen=True)
class NovoGrad(Optimizer):
    """Momentum of gradients that are divided by a running norm of the whole weight's gradient.

    Ginsburg and others, "Stochastic Gradient Methods with Layer-wise Adaptive Moments" (2019).
    """

    beta1: float = 0.95
    beta2: float = 0.98
    eps: float = 1e-8
    slots = ("mean", "square")
    numbers = ("square",)

    def advance(self, at: Moment) -> Advanced:
        size = build.sum(at.gradient * at.gradient)
        square = build.where(at.step <= 1.0, size, _mixed(at.slots["square"], size, self.beta2))
        g = at.gradient / (_sqrt(square) + self.eps)
        mean = at.slots["mean"] * self.beta1 + (g if at.decay == 0 else g + at.weight * at.decay)
        return at.weight - mean * at.rate, {"mean": mean, "square": square}


OPTIMIZERS: Mapping[str, type[Optimizer]] = {
    kind.__name__.lower(): kind for kind in (SGD, Adam, AdamW, RMSProp, LARS, LAMB, NovoGrad)
}
"""Every optimizer by its name on the command line."""


def optimizer(name: str, **settings: Any) -> Optimizer:
    """An optimizer by name, `optimizer("sgd", momentum=0.9)`. Raises E540 for a name or a setting that is not known."""
    kind = OPTIMIZERS.get(name.lower())
    if kind is None:
        raise error("E540", f"there is no optimizer `{name}`", hint=nearest(name, OPTIMIZERS) or _one_of(OPTIMIZERS))
    known = {field.name: field.type for field in dataclasses.fields(kind)}  # type: ignore[arg-type]  # a dataclass
    unknown = next((setting for setting in settings if setting not in known), None)
    if unknown is not None:
        raise error("E540", f"`{name}` has no setting `{unknown}`", hint=_one_of(known))
    return kind(**settings)


def _one_of(names: Mapping[str, Any]) -> str:
    return f"it is one of {', '.join(names)}"


def _decayed(at: Moment) -> Value:
    return at.gradient if at.decay == 0 else at.gradient + at.weight * at.decay


def _adam(g: Value, at: Moment, beta1: float, beta2: float, eps: float) -> Advanced:
    """The direction of Adam, and its slots."""
    mean = _mixed(at.slots["mean"], g, beta1)
    square = _mixed(at.slots["square"], g * g, beta2)
    # The averages started at zero: what is missing is made up for.
    unbiased, spread = mean / (1.0 - build.power(beta1, at.step)), square / (1.0 - build.power(beta2, at.step))
    return unbiased / (_sqrt(spread) + eps), {"mean": mean, "square": square}


def _mixed(old: Value, new: Value, keep: float) -> Value:
    return old * keep + new * (1.0 - keep)


def _sqrt(x: Value) -> Value:
    root: Value = build.sqrt(x)
    return root


def _norm(x: Value) -> Value:
    """The Euclidean norm of all elements."""
    return _sqrt(build.sum(x * x))


def _where_both(a: Value, b: Value, ratio: Value) -> Value:
    """The ratio where neither is zero, else 1."""
    scale: Value = build.where(build.logical_and(a > 0.0, b > 0.0), ratio, 1.0)
    return scale
