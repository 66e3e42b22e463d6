"""Losses that more than a formula on elements makes. The others are functions of `std.loss`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from architrave.ir import build
from architrave.ir.arrays import np
from architrave.ir.dims import Size, product
from architrave.ir.graph import Value, apply, constant
from architrave.ir.op import Op, Sample, sample, typed
from architrave.ir.ops import checks
from architrave.ir.ops.activation import LogSoftmax
from architrave.ir.ops.index import Gather, Take, within
from architrave.ir.ops.leaves import Full
from architrave.ir.ops.logic import NotEqual, Where
from architrave.ir.ops.reduce import Sum
from architrave.ir.ops.shape import Reshape, Squeeze, Unsqueeze
from architrave.ir.ops.statistics import Mean
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType, normalize_axis, promote


class CrossEntropy(Op):
    """Minus the logarithm of the probability that logits give to the right class; classes are along `axis`.

    A target of integers has the shape of the logits without `axis`. One that names no class, or the class `ignore`,
    takes no part: its loss is 0, and "mean" is over the others, by their weights; over nothing it is 0. A target of
    floats has the shape of the logits and holds probabilities; "mean" is over all examples. `label_smoothing` spreads
    that share of a target over all classes: Szegedy and others, "Rethinking the Inception Architecture for Computer
    Vision" (2016). `weight` [C] weighs classes.
    """

    axis: int = -1
    label_smoothing: float = 0.0
    ignore: int | None = None
    reduction: Literal["mean", "sum", "none"] = "mean"

    def infer(self, logits: TensorType, target: TensorType, weight: TensorType | None = None) -> TensorType:
        checks.numeric("`cross_entropy`", logits)
        checks.real("`cross_entropy`", logits, target)
        axis = normalize_axis(self.axis, logits.rank)
        checks.not_empty("`cross_entropy`", logits, (axis,))
        if not 0 <= self.label_smoothing <= 1:
            raise error("E307", f"label_smoothing must be between 0 and 1, not {self.label_smoothing}")
        examples = (*logits.shape[:axis], *logits.shape[axis + 1 :])
        self._check_target(logits, target, examples)
        dtype = checks.floating(logits.dtype)
        if target.dtype.is_float:
            dtype = promote(dtype, target.dtype)
        if weight is not None:
            checks.ranked("the weight of `cross_entropy`", weight, 1, "[C]")
            checks.same("the classes of `cross_entropy`", weight.shape[0], f"{weight}", logits.shape[axis], f"{logits}")
            dtype = promote(dtype, weight.dtype)
        return TensorType(dtype, examples if self.reduction == "none" else ())

    def _check_target(self, logits: TensorType, target: TensorType, examples: tuple[Size, ...]) -> None:
        if target.dtype.is_bool:
            raise error("E303", f"the target of `cross_entropy` must be classes or probabilities, not {target}")
        wanted = examples if target.dtype.is_integer else logits.shape
        if target.rank != len(wanted):
            kind = "of classes" if target.dtype.is_integer else "of probabilities"
            raise error("E304", f"a target {kind} for {logits} must have {len(wanted)} axes, but is {target}")
        for size, other in zip(target.shape, wanted, strict=True):
            checks.same("the sizes of `cross_entropy`", size, f"the target {target}", other, f"the logits {logits}")
        if self.ignore is not None and not target.dtype.is_integer:
            raise error("E307", f"`ignore` is for targets that are classes, not for {target}")

    def expand(self, logits: Value, target: Value, weight: Value | None = None) -> Value:
        axis = normalize_axis(self.axis, logits.rank)
        spread = apply(LogSoftmax(axis), logits)
        if weight is not None:
            shape = tuple(size if i == axis else 1 for i, size in enumerate(spread.shape))
            spread = spread * apply(Reshape(shape), weight)
        if target.dtype.is_float:
            loss = self._towards(target, spread, axis)
            return self._reduced(loss, product(loss.shape))
        loss, share = self._classified(spread, target, weight, axis)
        if self.reduction != "mean":
            return self._reduced(loss, 1)
        total = apply(Sum(), share)
        return apply(Sum(), loss) / apply(Where(), build.equal(total, 0), 1.0, total)

    def _classified(self, spread: Value, target: Value, weight: Value | None, axis: int) -> tuple[Value, Value]:
        """The loss of each example and how much it counts."""
        known = within(target, spread.shape[axis])
        if self.ignore is not None:
            known = build.logical_and(known, apply(NotEqual(), target, self.ignore))
        place = apply(Where(), known, target, 0)
        share = apply(Full(1.0, (), spread.dtype)) if weight is None else apply(Take(0), weight, place)
        right = apply(Squeeze((axis,)), apply(Gather(axis), spread, apply(Unsqueeze((axis,)), place)))
        loss = -right
        if self.label_smoothing:
            even = apply(Mean((axis,)), spread)
            loss = (1.0 - self.label_smoothing) * loss - self.label_smoothing * even
        return apply(Where(), known, loss, 0.0), apply(Where(), known, share, 0.0)

    def _towards(self, target: Value, spread: Value, axis: int) -> Value:
        """The loss of each example whose target is a distribution."""
        if self.label_smoothing:
            even = constant(self.label_smoothing, target.dtype) / spread.shape[axis]
            target = (1.0 - self.label_smoothing) * target + even
        # What is impossible and should be costs nothing.
        settled = build.logical_and(build.equal(target, 0), build.logical_not(build.isfinite(spread)))
        return -apply(Sum((axis,)), target * apply(Where(), settled, 0.0, spread))

    def _reduced(self, loss: Value, count: Size) -> Value:
        if self.reduction == "none":
            return loss
        total = apply(Sum(), loss)
        return total / count if self.reduction == "mean" else total

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        classes, some = np.array([2, 0, 4]), np.array([[4, -1], [2, 5], [-100, 0]])
        yield sample([3, 5], classes)
        yield sample([3, 5, 2], some, axis=1, label_smoothing=0.1)
        yield sample([3, 5], classes, np.array([1.0, 2.0, 0.5, 3.0, 0.0]), ignore=0, label_smoothing=0.2)
        yield sample([3, 5], np.array([-1, 5, 7]), reduction="mean")
        yield sample([3, 5], classes, [5], reduction="none")
        yield sample([5], np.array(3), reduction="sum")
        yield sample([0, 5], typed(DType.I32, 0))
        yield sample([3, 1], np.array([0, 0, 1]))
        yield sample(np.array([[1e4, -np.inf, 0.0], [-np.inf, 2.0, 2.0]]), np.array([0, 1]))
        yield sample([3, 5], np.full((3, 5), 0.2))
        yield sample([2, 3, 4], np.full((2, 3, 4), 1 / 3), [3], axis=-2, label_smoothing=0.3, reduction="none")
        yield sample(np.array([[1.0, -np.inf]]), np.array([[1.0, 0.0]]), reduction="sum")
        yield sample([3, 5], typed(DType.I64, 3, 5), error="E304")
        yield sample([3, 5], typed(DType.I64, 4), error="E305")
        yield sample([3, 5], [3, 4], error="E305")
        yield sample([3, 5], typed(DType.I64, 3), [4], error="E305")
        yield sample([3, 5], typed(DType.BOOL, 3), error="E303")
        yield sample([3, 5], typed(DType.I64, 3), axis=2, error="E302")
        yield sample([3, 0], typed(DType.I64, 3), error="E310")
        yield sample([3, 5], typed(DType.I64, 3), label_smoothing=1.5, error="E307")
