"""Automatic differentiation on the IR: the gradient of a graph is an ordinary graph.

`reverse` walks a graph backwards and asks each operator for its `gradient`; `control` has the rules of operators
that hold graphs, `loops` keeps what loops need on the way back; `graphs` has what others call.
"""

from architrave.ir.autodiff import control as control  # fills the rules
from architrave.ir.autodiff.graphs import grad, with_gradients

__all__ = ["grad", "with_gradients"]
