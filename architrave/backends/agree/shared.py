"""The weights of two networks that are compared: those of one, and what the other has in their stead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Value
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import Note, error, printable
from architrave.ir.storage import is_float

Weights: TypeAlias = "Mapping[str, Any]"
Given: TypeAlias = "Weights | Callable[[Weights], Weights] | None"
"""Weights of the second network, what makes them from those of the first, or nothing: then both have the same."""

LISTED = 10
"""Paths that are named one by one where weights differ."""


def weights_of(b: Graph, a: Graph, weights: Mapping[str, Array], given: Given) -> dict[str, Array]:
    """The weights of `b` beside those of `a`: what is given, or what that makes of them, or the same. Raises E808."""
    if callable(given):
        return arrays(given(weights))
    if given is not None:
        return arrays(given)
    _check_shared(a, b)
    # What nothing uses may be anything.
    unused = {path: np.zeros(_shape(v)) for path, v in _by_path(b).items() if path not in weights}
    return {**unused, **weights}


def _check_shared(a: Graph, b: Graph) -> None:
    """Raises E808 unless the weights of one network can be the other's."""
    of_a, of_b = _by_path(a), _by_path(b)
    notes: list[Note] = []
    for one, own, others in ((a, of_a, of_b), (b, of_b, of_a)):
        used = _used(one)
        only = [path for path in own if path not in others and path in used]
        if only:
            notes.append(Note(f"only {one.name} has {listed(only)}"))
    shapes = [path for path, v in of_a.items() if path in of_b and of_b[path].type != v.type]
    if shapes:
        first = shapes[0]
        kinds = f"{of_a[first].type} and {of_b[first].type}"
        notes.append(Note(f"of other types in both: {listed(shapes)} (the first is {kinds})"))
    if notes:
        hint = "give a checkpoint of each: `--weights A.safetensors --weights-b B.safetensors`"
        raise error("E808", f"the weights of {a.name} cannot be those of {b.name}, too", notes=notes, hint=hint)


def _by_path(graph: Graph) -> dict[str, Value]:
    return {path_of(v): v for v in graph.weights}


def _shape(weight: Value) -> tuple[int, ...]:
    """The shape of a weight, which has no symbolic sizes."""
    return tuple(size for size in weight.shape if isinstance(size, int))


def _used(graph: Graph) -> set[str]:
    """The paths of weights that something depends on."""
    states = (v for pair in graph.updates for v in pair)
    needed = {*graph.outputs, *states, *(v for node in graph.nodes for v in node.operands)}
    return {path_of(v) for v in graph.weights if v in needed}


def arrays(weights: Weights) -> dict[str, Array]:
    """Weights as arrays. Raises E807 for NaN, which makes any two networks give the same."""
    found = {path: np.asarray(value) for path, value in weights.items()}
    wrong = [path for path, w in found.items() if is_float(w.dtype) and np.isnan(w.astype(np.float64)).any()]
    if wrong:
        raise error("E807", f"what is not a number (NaN) is in {listed(wrong)}", hint="did its training diverge?")
    return found


def listed(paths: list[str]) -> str:
    """Some paths, and how many more there are."""
    shown = ", ".join(f"`{printable(path)}`" for path in paths[:LISTED])
    return shown + (f" and {len(paths) - LISTED} more" if len(paths) > LISTED else "")
