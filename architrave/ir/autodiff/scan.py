"""The gradient of `scan`: a `scan` that runs the other way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from architrave.ir.autodiff.fit import differentiable, zeros
from architrave.ir.autodiff.reverse import Pullback, Step, pull, pullback
from architrave.ir.enclose import placeholder
from architrave.ir.graph import Graph, Value, apply, make
from architrave.ir.op import Gradients
from architrave.ir.ops.control import Scan
from architrave.ir.ops.leaves import Arange
from architrave.ir.ops.shape import Reshape
from architrave.ir.place import Here


@pull.register
def _scan(op: Scan, step: Step) -> Gradients:
    return _Undoing(op, step).gradients()


@dataclass(frozen=True)
class _Undoing:
    """One `scan` on the way back.

    A turn takes the gradients of what the loop carried on and gives those of what it got. It also carries the
    gradients of captures, to which every turn adds, and emits those of the slices. Over axis it has the carried values
    that were kept, the sequences, and what flows back to the values that were emitted.
    """

    op: Scan
    step: Step

    @property
    def operands(self) -> tuple[Value, ...]:
        return self.step.node.operands

    @property
    def carried(self) -> list[int]:
        """The carries that have gradients, whether or not their first values do."""
        return [i for i in range(self.op.carries) if differentiable(self.operands[i].type)]

    @property
    def sequences(self) -> list[int]:
        """The sequences whose gradients are wanted, among the operands."""
        return [i for i in self.step.wanted if self.op.carries <= i < self._outer]

    @property
    def captured(self) -> list[int]:
        """The captures whose gradients are wanted, among the operands."""
        return [i for i in self.step.wanted if i >= self._outer]

    @property
    def emitted(self) -> list[int]:
        """The results, stacks of emitted values, to which something flows back."""
        return [i for i in self.step.given if i >= self.op.carries]

    @property
    def _outer(self) -> int:
        """Where the captures begin among the operands."""
        return self.op.carries + self.op.sequences

    @property
    def _shift(self) -> int:
        """The body has the number of the turn before its other inputs, where there is no sequence."""
        return 0 if self.op.sequences else 1

    def gradients(self) -> Gradients:
        op, step = self.op, self.step
        summed = (*self.carried, *self.captured)
        first = [*map(step.cotangent, self.carried), *(zeros(self.operands[i].type) for i in self.captured)]
        stacks = [*self._turns(), *step.kept, *self.operands[op.carries : self._outer]]
        stacks += [step.cotangent(i) for i in self.emitted]
        body = self._body([self._slice(stack, i) for i, stack in enumerate(stacks)])
        loop = Scan(body, len(first), len(stacks), op.length, op.axis, not op.reverse)
        results = make(loop, (*first, *stacks, *self.operands[self._outer :])).outputs
        found = dict(zip((*summed, *self.sequences), results, strict=True))
        return [found.get(i) for i in range(len(self.operands))]

    def _body(self, slices: Sequence[Value]) -> Graph:
        """One turn, undone."""
        op, operands = self.op, self.operands
        wanted = (*self.carried, *self.captured, *self.sequences)
        back = pullback(op.body, [self._shift + i for i in wanted], [*self.carried, *self.emitted])
        flowing = [placeholder(f"g{i}", operands[i].type, Here()) for i in self.carried]
        totals = [placeholder(f"total{i}", operands[i].type, Here()) for i in self.captured]
        outer = [placeholder(v.hint or f"outer{i}", v.type, Here()) for i, v in enumerate(operands[self._outer :])]
        found = self._pulled(back, slices, flowing, outer)
        before = [found[i] for i in self.carried]
        after = [total + found[i] for total, i in zip(totals, self.captured, strict=True)]
        outputs = (*before, *after, *(found[i] for i in self.sequences))
        return Graph(back.graph.name, (*flowing, *totals, *slices, *outer), outputs, place=op.body.place)

    def _pulled(
        self, back: Pullback, slices: Sequence[Value], flowing: Sequence[Value], outer: Sequence[Value]
    ) -> dict[int, Value]:
        """The gradients of a turn by operand, zeros where there are none."""
        count = len(slices) - len(self.emitted)
        inputs = [
            slice if slice.type == wanted.type else apply(Reshape(wanted.shape), slice)
            for slice, wanted in zip(slices[:count], self.op.body.inputs, strict=False)
        ]
        found = back.applied((*inputs, *outer, *flowing, *slices[count:]))
        wanted = (*self.carried, *self.captured, *self.sequences)
        return {i: found.get(self._shift + i) or zeros(self.op.body.inputs[self._shift + i].type) for i in wanted}

    def _turns(self) -> list[Value]:
        """The numbers of the turns, as a sequence, where the body asks for them."""
        if self.op.sequences:
            return []
        shape = (*(1,) * self.op.axis, self.op.length)
        return [apply(Reshape(shape), apply(Arange(self.op.length)))]

    def _slice(self, stack: Value, number: int) -> Value:
        axis = self.op.axis
        shape = stack.shape[:axis] + stack.shape[axis + 1 :]
        return placeholder(f"slice{number}", stack.type.with_shape(shape), Here())
