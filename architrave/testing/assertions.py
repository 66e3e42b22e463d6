"""Assertions about networks."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from architrave.backends.agree import Report
    from architrave.backends.agree.equality import Equality
    from architrave.ir.graph import Graph


def assert_backends_agree(
    model: Graph | str | os.PathLike[str],
    *,
    backends: Sequence[str] | None = None,
    dtypes: Sequence[str] = ("float32", "float64"),
    modes: Sequence[str] = ("inference", "training"),
    gradients: bool = True,
    sizes: Mapping[str, int] | None = None,
    seed: int = 0,
    **arguments: Any,
) -> Report:
    """Assert that the backends compute what the oracle computes: outputs, new states, and gradients among themselves.

    `model` is a graph, or the name of a model with its static `arguments`: a file (`"net.arch"`, `"net.arch:Encoder"`)
    or one of the standard library (`"resnet50"`). `backends` are those whose framework is installed, unless they are
    named: then each must run. The other options, and what is drawn for the test, are those of `architrave.verify`.
    Raises AssertionError that names what differs, by how much, and the first node that does; `ArchitraveError` for a
    model that does not elaborate.
    """
    __tracebackhide__ = True
    from architrave.backends.agree import verify

    graph = _graph(model, **arguments)
    report = verify(graph, backends, dtypes, modes, gradients, sizes, seed)
    if not report.ok or (backends is not None and report.missing(backends)):
        raise AssertionError(str(report))
    return report


def assert_same_function(
    a: Graph | str | os.PathLike[str],
    b: Graph | str | os.PathLike[str] | None = None,
    *,
    passes: str | None = None,
    weights: Mapping[str, Any] | None = None,
    weights_b: Mapping[str, Any] | None = None,
    sizes: Mapping[str, int] | None = None,
    training: bool = False,
    gradients: bool = False,
    seed: int = 0,
    seeds: int = 3,
    tolerance: float | None = None,
) -> Equality:
    """Assert that two networks compute the same in float64: `a` and `b`, or `a` and what `passes` make of it.

    Networks are graphs or names, as in `assert_backends_agree`. Without weights they have the same random ones, and
    what passes make of a network has what they make of its weights. The other options are those of `architrave equal`.
    Raises AssertionError that names the first place where they part; ValueError unless one of `b` and `passes` is
    given; `ArchitraveError` for what is wrong with a network, a pipeline or weights.
    """
    __tracebackhide__ = True
    from architrave.backends.agree.equal import equal
    from architrave.passes import apply

    if (b is None) == (passes is None):
        raise ValueError("give a second network, or the passes that make it of the first")
    first = _graph(a)
    made = apply(first, passes) if passes is not None else None
    second = made.graph if made is not None else _graph(a if b is None else b)
    of_second = made.weights if made is not None else weights_b
    found = equal(
        first,
        second,
        weights,
        of_second,
        sizes=sizes,
        training=training,
        gradients=gradients,
        seed=seed,
        seeds=seeds,
        tolerance=tolerance,
    )
    if not found.ok:
        raise AssertionError(str(found))
    return found


def _graph(model: Graph | str | os.PathLike[str], **arguments: Any) -> Graph:
    from architrave.ir.graph import Graph
    from architrave.models import load

    return model if isinstance(model, Graph) else load(model, **arguments)
