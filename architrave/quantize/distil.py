"""Inputs made from a network alone: such as give each batch norm the statistics that it has seen in training.

Cai, Yao, Dong, Gholami, Mahoney and Keutzer, "ZeroQ: A Novel Zero Shot Quantization Framework" (2020), equation 2. With
a weight for the class scores it is also the loss of He and others, "Data-Free Quantization with Accurate Activation
Clipping and Adaptive Batch Normalization" (2023), where each input is to belong to a class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from architrave.ir import build
from architrave.ir.arrays import Array, known
from architrave.ir.bind import bind
from architrave.ir.dims import Size, symbols
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.initial import initial
from architrave.ir.mode import specialize
from architrave.ir.ops.norm import BatchNorm
from architrave.ir.rewrite import rebuild
from architrave.ir.source import error
from architrave.ir.types import TensorType
from architrave.quantize.descent import Descent

INPUT = "distilled"
"""The path of the inputs, which are what learns."""


@dataclass(frozen=True)
class Distillation:
    """How inputs are made: from normal numbers, in `steps` steps that change nothing but them.

    `logits` is the weight of the class scores in the loss, beside 1 for the statistics of batch norms.
    """

    steps: int = 500
    descent: Descent = field(default_factory=lambda: Descent(0.1, "cosine"))
    logits: float = 0.0
    seed: int = 0

    def run(self, graph: Graph, weights: Mapping[str, Any], count: int) -> tuple[Array, list[float]]:
        """`count` inputs for a network of inference with batch norms, and the losses on the way.

        Each is to belong to a class of its own, drawn at random. Raises E917 for a network without batch norms, or
        with other inputs than one tensor of floats whose shape is known but for the first axis.
        """
        rng: Any = np.random.default_rng(self.seed)
        loss = matching(graph, count, self.logits)
        start = {INPUT: rng.normal(size=_shape(graph, count)).astype(np.float32)}
        given: tuple[Array, ...] = ()
        if self.logits:
            classes = known(graph.outputs[0].shape[-1])
            given = (np.eye(classes, dtype=np.float32)[rng.integers(0, classes, count)],)
        found, losses = self.descent.run(
            loss, {**weights, **start}, [INPUT], (given for _ in range(self.steps)), self.steps
        )
        return found[INPUT], losses


def statistics(graph: Graph) -> list[Node]:
    """The batch norms of a network of inference, whose running statistics are weights."""
    return [node for node in graph.nodes if isinstance(node.op, BatchNorm) and not node.operands[1].node.operands]


def matching(graph: Graph, count: int, logits: float = 0.0) -> Graph:
    """How far `count` inputs, a weight, are from the statistics of batch norms: a number.

    It is the sum over batch norms of the squared distances of means and of deviations. With `logits` the graph takes
    the probability of each class, and their cross entropy times that is added.
    """
    shape = _shape(graph, count)
    graph = bind(specialize(replace(graph, updates=()), training=False), _first(graph, count))
    norms = set(statistics(graph))
    if not norms:
        hint = "distil before batch norms are folded, from a network that has been trained with them"
        raise error("E917", f"`{graph.name}` has no batch norms to take inputs from", hint=hint)
    (x,) = graph.inputs
    images = build.param(INPUT, TensorType(x.dtype, shape), initial("normal", 1.0))
    terms: list[Value] = []

    def rewrite(node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node is x.node:
            return (images,)
        if node in norms:
            terms.append(_distance(node, operands))
        return None

    after = rebuild(replace(graph, inputs=()), rewrite)
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    weights = (*after.weights, images)
    if not logits:
        return replace(after, outputs=(total,), weights=weights)
    classes = build.input("classes", after.outputs[0].type)
    right: Value = build.sum(build.log_softmax(after.outputs[0], axis=-1) * classes)
    total = total - right * (logits / count)
    return replace(after, inputs=(classes,), outputs=(total,), weights=weights)


def _distance(node: Node, operands: tuple[Value, ...]) -> Value:
    """How far the statistics of what a batch norm is given are from those that it holds."""
    assert isinstance(node.op, BatchNorm)
    x, mean, var = operands[:3]
    axes = tuple(i for i in range(x.rank) if i != 1)
    eps = node.op.eps
    of_mean = build.mean(x, axes=axes) - mean
    of_std = build.sqrt(build.var(x, axes=axes) + eps) - build.sqrt(var + eps)
    far: Value = build.sum(of_mean * of_mean) + build.sum(of_std * of_std)
    return far


def _first(graph: Graph, count: int) -> dict[str, Size]:
    """The symbol of the first axis, if there is one, for a number of inputs."""
    return dict.fromkeys(symbols(graph.inputs[0].shape[0]), count)


def _shape(graph: Graph, count: int) -> tuple[int, ...]:
    """The shape of `count` inputs. Raises E917."""
    sizes = [size for v in graph.inputs for size in v.shape[1:] if isinstance(size, int)]
    if len(graph.inputs) != 1 or not graph.inputs[0].dtype.is_float or len(sizes) + 1 != graph.inputs[0].rank:
        types = ", ".join(str(v.type) for v in graph.inputs)
        what = f"inputs can be made for a network of one tensor of floats of a known shape, not for {types}"
        raise error("E917", what, hint="give its sizes, but for the first axis")
    return count, *sizes
