"""Batch normalization between a membrane potential and the comparison that fires, as a threshold."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from architrave.ir.graph import Graph, Node, Value, apply, make
from architrave.ir.op import Op
from architrave.ir.ops.arithmetic import Add, Subtract
from architrave.ir.ops.control import CustomGrad
from architrave.ir.ops.elementwise import Sqrt
from architrave.ir.ops.leaves import Full
from architrave.ir.ops.logic import Equal, Greater, GreaterEqual, Less, LessEqual, Where
from architrave.ir.ops.norm import BatchNorm
from architrave.ir.ops.shape import Reshape
from architrave.passes.base import Pass, option
from architrave.passes.journal import Declined, Journal
from architrave.passes.reparam.affine import channelwise, full
from architrave.passes.rewriter import Change, Walk, rewrite
from architrave.passes.select import Select

TURNED: dict[type[Op], type[Op]] = {Greater: Less, GreaterEqual: LessEqual, Less: Greater, LessEqual: GreaterEqual}
"""Comparisons, each with the one of the same operands in the other order."""


class Mpbn(Pass):
    """Batch normalization of a membrane potential goes into the threshold that it is compared with.

    Guo and others, "Membrane Potential Batch Normalization for Spiking Neural Networks" (2023): the threshold V becomes
    `(V - beta) * sqrt(var + eps) / gamma + mean` of each channel, and the comparison is turned round where gamma is
    negative. Channels whose gamma is zero fire always or never. Surrogate gradients stay what they were.
    """

    for_inference = True
    only: Select = option(Select(), "where to fold: names of places, operators, annotations")

    def apply(self, graph: Graph, journal: Journal) -> Graph:
        """Loops are looked into; `invariant` and `hoist` then compute the thresholds before the network runs."""
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)
        return rewrite(graph, [norm_into_threshold, norm_into_function], journal, self.only)


def norm_into_threshold(node: Node, walk: Walk) -> Change:
    """A comparison of a normalized potential with a threshold."""
    if type(node.op) not in TURNED:
        return None
    left, right = node.operands
    compare, threshold, normed = type(node.op), right, _normed(left)
    if normed is None:
        compare, threshold, normed = TURNED[type(node.op)], left, _normed(right)
    if normed is None:
        return None
    if (problem := normed.problem(node, walk, threshold)) is not None:
        return problem
    sign = apply(Where(), normed.gamma < 0.0, -1.0, full(1.0, (), normed.u))
    level = normed.along(normed.level(compare, threshold) * sign).named("threshold")
    return apply(compare(), normed.u * normed.along(sign).named("sign"), level)


def norm_into_function(node: Node, walk: Walk) -> Change:
    """A normalized potential that a function with a gradient of its own compares with a number.

    The function is given the same number as before, since its gradient may depend on that: a multiple of how far the
    potential is beyond the threshold.
    """
    if not isinstance(node.op, CustomGrad):
        return None
    for position, operand in enumerate(node.operands):
        normed, test = _normed(operand), _only_comparison(node.op.forward, position)
        if normed is None or test is None:
            continue
        compare, bound = test
        if (problem := normed.problem(node, walk, bound)) is not None:
            return problem
        level = normed.along(normed.level(compare, bound)).named("threshold")
        beyond = (normed.u - level) * normed.along(normed.slope).named("slope")
        operands = (*node.operands[:position], beyond + bound, *node.operands[position + 1 :])
        return make(node.op, operands, node.marks).outputs
    return None


@dataclass(frozen=True)
class _Normed:
    """`(u - mean) / deviation * gamma + beta - shift`: all but `u` are vectors [C] or scalars."""

    norm: Value
    u: Value
    mean: Value
    deviation: Value
    gamma: Value
    beta: Value
    shift: Value

    def problem(self, node: Node, walk: Walk, threshold: Value) -> Declined | None:
        """Why there is no threshold that the norm could go into."""
        if walk.uses(self.norm) > 1:
            return Declined("the normalized potential has another user", node)
        if any(v.shape not in ((), self.along(self.mean).shape) for v in (self.shift, threshold)):
            return Declined("the threshold is neither one number nor one for each channel", node)
        return None

    def along(self, vector: Value) -> Value:
        """A vector [C] as it broadcasts along the channels."""
        return channelwise(vector, 1, self.u.rank)

    def level(self, compare: type[Op], threshold: Value) -> Value:
        """The potential for which this is the threshold; infinite where every potential is beyond it, or none."""
        rest = self.beta - self._vector(self.shift)
        threshold = self._vector(threshold)
        level = (threshold - rest) * self.deviation / self._nonzero + self.mean
        lowest = -inf if compare in (Greater, GreaterEqual) else inf
        ends = apply(Where(), apply(compare(), rest, threshold), lowest, full(-lowest, (), self.u))
        return apply(Where(), self._flat, ends, level)

    @property
    def slope(self) -> Value:
        """How fast it grows with the potential; any number for channels whose level is infinite."""
        return self._nonzero / self.deviation

    @property
    def _flat(self) -> Value:
        return apply(Equal(), self.gamma, 0.0)

    @property
    def _nonzero(self) -> Value:
        return apply(Where(), self._flat, 1.0, self.gamma)

    def _vector(self, value: Value) -> Value:
        return apply(Reshape(self.mean.shape), value) if value.rank else value


def _normed(value: Value) -> _Normed | None:
    norm, shift = value, full(0.0, (), value)
    if isinstance(value.op, Add | Subtract):
        norm, shift = value.node.operands
        shift = shift if isinstance(value.op, Subtract) else -shift
    if not isinstance(norm.op, BatchNorm):
        return None
    u, mean, variance, *affine = norm.node.operands
    gamma, beta = (*affine, *(full(number, (), norm) for number in (1.0, 0.0)[len(affine) :]))
    return _Normed(norm, u, mean, apply(Sqrt(), variance + norm.op.eps), gamma, beta, shift)


def _only_comparison(forward: Graph, position: int) -> tuple[type[Op], Value] | None:
    """How a function compares what it is given at `position`, and with what number; None where it does more with it."""
    given = forward.inputs[position]
    users = forward.users[given.node]
    if len(users) != 1 or type(users[0].op) not in TURNED or given in forward.outputs:
        return None
    left, right = users[0].operands
    compare, number = (type(users[0].op), right) if left is given else (TURNED[type(users[0].op)], left)
    return (compare, number) if isinstance(number.op, Full) and not number.rank else None
