"""Small models from text, for the tests of the elaborator."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from architrave.dsl.elaborate.model import Elaborated, elaborate
from architrave.dsl.modules import load_text
from architrave.ir.graph import Graph
from architrave.ir.interpret import Result, interpret

Array = np.ndarray[Any, Any]
IMPORTS = "from std import linear, conv2d, batch_norm, residual, dropout, lstm_cell\n"


def model(text: str, **options: Any) -> Elaborated:
    """The last model of a file."""
    return elaborate(list(load_text(IMPORTS + text).models.values())[-1], **options)


def graph(body: str, inputs: str = "x: [N, 4]", before: str = "", **options: Any) -> Graph:
    """The graph of a model with these statements."""
    return model(f"{before}\nmodel M()({inputs}) {{\n{body}\n}}\n", **options).graph


def weights_of(net: Graph, fill: float | None = None) -> dict[str, Array]:
    """Every weight filled with a number, or with small numbers that differ."""
    arrays: dict[str, Array] = {}
    for position, value in enumerate(net.weights):
        shape = tuple(int(s) for s in value.shape)  # type: ignore[arg-type]  # weights have known shapes
        count = int(np.prod(shape))
        numbers = np.full(count, fill) if fill is not None else np.linspace(-1, 1, count) + position / 10
        arrays[value.op.path] = numbers.reshape(shape)  # type: ignore[attr-defined]  # a leaf has a path
    return arrays


def run(net: Graph, *inputs: Any, weights: Mapping[str, Any] | None = None, training: bool = False) -> Result:
    """Run a graph in the oracle."""
    return interpret(net, inputs, weights_of(net) if weights is None else weights, training)


def value(expression: str, *inputs: Any, names: str = "x: [N, 4]", before: str = "", after: str = "") -> Any:
    """What an expression over a model's inputs comes to: an array, or a tuple of them."""
    outputs = run(graph(f"{after}\nreturn {expression}", names, before), *inputs).outputs
    return outputs[0] if len(outputs) == 1 else outputs


def static(expression: str, before: str = "") -> Any:
    """The value of a static expression, as a constant of a file."""
    return load_text(f"{before}\nconst answer = {expression}\n").exports["answer"]


def paths(net: Graph) -> Sequence[str]:
    """The paths of the weights, in order."""
    return [v.op.path for v in net.weights]  # type: ignore[attr-defined]  # a leaf has a path


def ops(net: Graph) -> list[str]:
    """The operators of a graph, in order."""
    return [n.op.name for n in net.nodes]
