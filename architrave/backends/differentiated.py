"""Gradients without a framework that has any: as a graph of their own, which runs wherever the network does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from architrave.backends.runner import Gradients
from architrave.ir.arrays import Array, known
from architrave.ir.autodiff import with_gradients
from architrave.ir.autodiff.fit import differentiable
from architrave.ir.bind import bind_type, sizes_of
from architrave.ir.graph import Graph, Value
from architrave.ir.mode import specialize
from architrave.ir.ops.leaves import Param, path_of


@dataclass(frozen=True)
class Differentiated:
    """One mode of a network, and `backward`: the graph that gives the gradients by its params and float inputs.

    `backward` takes the network's inputs and then a cotangent for each of its float outputs.
    """

    graph: Graph
    backward: Graph

    @classmethod
    def of(cls, graph: Graph, training: bool) -> Differentiated:
        """Differentiate one mode of a network."""
        one = specialize(graph, training)
        both = with_gradients(one, _sources(one)) if _sources(one) else one
        return cls(one, replace(both, outputs=both.outputs[len(one.outputs) :], updates=()))

    def gradients(
        self,
        run: Callable[[Sequence[Array]], Sequence[Array]],
        inputs: Sequence[Array],
        cotangents: Sequence[Array | None],
    ) -> Gradients:
        """The gradients, where `run` runs `backward` on its inputs; None as a cotangent leaves an output out."""
        sizes = sizes_of(self.graph, [x.shape for x in inputs])
        pairs = zip(self.graph.outputs, cotangents, strict=True)
        given = [_cotangent(v, c, sizes) for v, c in pairs if differentiable(v.type)]
        found = dict(zip(_sources(self.graph), run([*inputs, *given]), strict=True))
        params = {path_of(w): found[w] for w in self.graph.weights if w in found}
        return Gradients(params, tuple(found.get(v) for v in self.graph.inputs))


def _sources(graph: Graph) -> list[Value]:
    params = [w for w in graph.weights if isinstance(w.op, Param)]
    return [v for v in (*params, *graph.inputs) if differentiable(v.type)]


def _cotangent(output: Value, given: Array | None, sizes: Mapping[str, int]) -> Array:
    return np.zeros(tuple(map(known, bind_type(output.type, sizes).shape))) if given is None else given
