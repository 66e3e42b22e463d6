"""Applying one operator to arrays with the oracle."""

from typing import Any

import numpy as np

from architrave.ir.graph import Graph, make
from architrave.ir.interpret import interpret
from architrave.ir.op import OPS, Op, Sample
from architrave.ir.ops.leaves import Input
from architrave.ir.types import TensorType

Array = np.ndarray[Any, Any]


def applied(op: Op, types: tuple[TensorType, ...]) -> Graph:
    """The graph of one operator on inputs of these types."""
    inputs = tuple(make(Input(f"x{i}", type), ()).outputs[0] for i, type in enumerate(types))
    return Graph(op.name, inputs, make(op, inputs).outputs)


def evaluate(name: str, sample: Sample, seed: int = 0) -> tuple[Array, ...]:
    """What an operator makes of a sample."""
    graph = applied(OPS[name](**sample.attributes), sample.types)
    return interpret(graph, sample.draw(seed)).outputs
