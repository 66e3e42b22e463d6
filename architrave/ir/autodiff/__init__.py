"""Automatic differentiation on the IR: the gradient of a graph is an ordinary graph.

`reverse` walks a graph backwards and asks each operator for its `gradient`; `control` and `scan` have the rules of
operators that hold graphs, `loops` keeps what loops need on the way back; `graphs` and `second` have what others call.
"""

from architrave.ir.autodiff import control, scan
from architrave.ir.autodiff.graphs import grad, value_and_grad, with_gradients
from architrave.ir.autodiff.second import hessian_products

__all__ = ["control", "grad", "hessian_products", "scan", "value_and_grad", "with_gradients"]
