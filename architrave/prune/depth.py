"""Which residual branches and blocks of a network do least, by what examples say: those can be left out.

He, Sun, Shen, Li, "What Matters in Transformers? Not All Attention is Needed" (2024): a branch whose sum is all but
parallel to what it is added to does little. Nothing is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from architrave.ir import build
from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Value
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import error
from architrave.passes.structure.drop import dropped
from architrave.passes.structure.sublayers import KINDS, Kind, Sublayer, blocks, branches
from architrave.record import Recorder, silent


@dataclass(frozen=True)
class Scored:
    """A part of a network, and one minus the mean cosine between what it is given and what it passes on."""

    part: Sublayer
    score: float


@dataclass(frozen=True)
class Shallower:
    """A network without some of its parts, its weights, and the scores of all parts that were compared."""

    graph: Graph
    weights: dict[str, Array]
    scored: tuple[Scored, ...]
    """In the order of the network."""
    dropped: tuple[Sublayer, ...]
    """The lowest score first."""


def llm_drop(
    graph: Graph,
    weights: Mapping[str, Any],
    batches: Iterable[Sequence[Any]],
    count: int,
    kinds: Sequence[Kind] = ("attention",),
    *,
    backend: str = "torch",
    progress: Callable[[int], object] = silent,
) -> Shallower:
    """The network without the `count` parts of the given kinds that do least on the examples, of all kinds together.

    `("attention", "mlp")` ranks both jointly, `("block",)` takes whole layers. Raises E940 for a kind that there is
    not, E941 for a count beyond the parts that there are, E912 without examples and E911 for scores that are NaN.
    """
    scored = similarity(graph, weights, parts(graph, kinds), batches, backend=backend, progress=progress)
    if not 0 <= count <= len(scored):
        what = f"{count} parts cannot be left out: `{graph.name}` has {len(scored)} of the kind {' or '.join(kinds)}"
        raise error("E941", what, hint=f"at most {len(scored)}")
    lowest = [each.part for each in sorted(scored, key=lambda each: each.score)[:count]]
    after = dropped(graph, lowest)
    held = {path_of(w): np.asarray(weights[path_of(w)]) for w in after.weights}
    return Shallower(after, held, tuple(scored), tuple(lowest))


def parts(graph: Graph, kinds: Sequence[Kind]) -> list[Sublayer]:
    """The parts of some kinds, in the order of the network. Raises E940 for a kind that there is not."""
    unknown = next((kind for kind in kinds if kind not in KINDS), None)
    if unknown is not None:
        raise error("E940", f"there is no kind of parts `{unknown}`", hint=f"it is one of {', '.join(KINDS)}")
    found = [*branches(graph), *(blocks(graph) if "block" in kinds else ())]
    return sorted((part for part in found if part.kind in kinds), key=lambda part: part.after.node.serial)


def similarity(
    graph: Graph,
    weights: Mapping[str, Any],
    chosen: Sequence[Sublayer],
    batches: Iterable[Sequence[Any]],
    *,
    backend: str = "torch",
    progress: Callable[[int], object] = silent,
) -> list[Scored]:
    """One minus the cosine between what each part is given and what it passes on, averaged over places and examples.

    Only the cosines leave the program. Raises E911, E912.
    """
    if not chosen:
        return []
    found = {str(i): _distance(part) for i, part in enumerate(chosen)}
    watched = replace(graph, outputs=(*graph.outputs, *found.values()))
    sums, counts = np.zeros(len(chosen)), np.zeros(len(chosen))
    for arrays in Recorder(watched, found, backend).stream(weights, batches, progress):
        sums += [array.sum(dtype=np.float64) for array in arrays.values()]
        counts += [array.size for array in arrays.values()]
    if not counts.all():
        raise error("E912", "there are no examples to compare by", hint="give some")
    scores = sums / counts
    wrong = next((part for part, score in zip(chosen, scores, strict=True) if np.isnan(score)), None)
    if wrong is not None:
        raise error("E911", f"`{wrong.name}` gives what is not a number (NaN)", wrong.after.node.span)
    return [Scored(part, float(score)) for part, score in zip(chosen, scores, strict=True)]


def _distance(part: Sublayer) -> Value:
    """One minus the cosine at each place: along the channels, the second axis where convolutions are.

    That is half the square of what is between the two vectors at length 1: no digits are lost where they are close,
    and equal ones come to exactly 0.
    """
    images = part.kind == "conv" or (part.kind != "attention" and part.before.rank > 3)
    axis = 1 if images and part.before.rank > 2 else -1
    between: Value = _of_length_one(part.before, axis) - _of_length_one(part.after, axis)
    distance: Value = 0.5 * build.sum(between * between, axes=(axis,))
    return distance


def _of_length_one(x: Value, axis: int) -> Value:
    """A vector without a length stays."""
    length = build.sqrt(build.sum(x * x, axes=(axis,), keep=True))
    unit: Value = x / build.where(build.equal(length, 0.0), 1.0, length)
    return unit
