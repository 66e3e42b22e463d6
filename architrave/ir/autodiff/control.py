"""How gradients flow back through the operators that hold graphs.

Each rule makes an operator of the same kind, whose graphs are the gradients of the graphs that the operator held.
What these need of the forward pass they compute again from the operands, but for what a loop carried, which was kept.
"""

from __future__ import annotations

from architrave.ir.autodiff.reverse import Step, copied, pull
from architrave.ir.op import Gradients
from architrave.ir.ops.control import CustomGrad


@pull.register
def _custom(op: CustomGrad, step: Step) -> Gradients:
    node = step.node
    cotangents = [step.cotangent(i) for i in range(len(node.outputs))]
    gradients = copied(op.backward, (*node.operands, *cotangents))
    return (*gradients, *(None,) * (len(node.operands) - len(gradients)))
