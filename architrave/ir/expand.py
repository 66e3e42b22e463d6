"""Composite operators as graphs of simpler ones."""

from __future__ import annotations

from functools import lru_cache

from architrave.ir.graph import Graph, make
from architrave.ir.op import Op
from architrave.ir.ops.leaves import Input
from architrave.ir.types import TensorType


@lru_cache(maxsize=4096)
def expansion(op: Op, types: tuple[TensorType, ...]) -> Graph:
    """What a composite operator does to operands of these types, one level down."""
    inputs = tuple(make(Input(f"x{i}", type), ()).outputs[0] for i, type in enumerate(types))
    outputs = op.expand(*inputs)
    return Graph(op.name, inputs, outputs if isinstance(outputs, tuple) else (outputs,))
