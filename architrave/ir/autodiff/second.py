"""Second derivatives of a graph, along directions: graphs, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from architrave.ir import build
from architrave.ir.autodiff.graphs import grad
from architrave.ir.graph import Graph, Value


def hessian_products(graph: Graph, wrt: Sequence[Value]) -> Graph:
    """The graph that takes what `graph` takes, then a tensor `v` like each of `wrt`, and gives `H v` for each of them.

    `H` is the Hessian of the one number that `graph` gives by all of `wrt` at once: `H v` is the gradient of the
    product of `v` and the gradient (Pearlmutter, "Fast Exact Multiplication by the Hessian", 1994). Raises what `grad`
    does.
    """
    slope = grad(graph, wrt=wrt)
    directions = tuple(build.input(f"v{i}", w.type) for i, w in enumerate(wrt))
    products: list[Value] = [build.sum(g * v) for g, v in zip(slope.outputs, directions, strict=True)]
    along = products[0]
    for product in products[1:]:
        along = along + product
    bent = grad(replace(slope, inputs=(*slope.inputs, *directions), outputs=(along,)), wrt=wrt)
    return replace(bent, name=f"{graph.name}_hessian_products")
