"""Assertions about networks."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from architrave.backends.agree import Report
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
    from architrave.ir.graph import Graph
    from architrave.models import load

    graph = model if isinstance(model, Graph) else load(model, **arguments)
    report = verify(graph, backends, dtypes, modes, gradients, sizes, seed)
    if not report.ok or (backends is not None and report.missing(backends)):
        raise AssertionError(str(report))
    return report
