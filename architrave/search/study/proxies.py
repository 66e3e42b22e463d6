"""Scores of networks that have not learnt yet: each costs a batch or less. Higher is said to be better."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from architrave.backends.load import compile
from architrave.ir import build
from architrave.ir.arrays import Array
from architrave.ir.dims import substitute
from architrave.ir.graph import Value
from architrave.ir.mode import specialize
from architrave.ir.ops.activation import Relu
from architrave.ir.ops.leaves import Param, path_of
from architrave.ir.source import error
from architrave.record.gradients import Gradients
from architrave.search.study.candidate import Candidate

EXAMPLES = 32


def snip(candidate: Candidate) -> float:
    """The sum of `|w * g|`: how much the loss would change first if weights were left out.

    Lee, Ajanthan and Torr, "SNIP: Single-shot Network Pruning based on Connection Sensitivity" (2019), as a score of
    networks by Abdelfattah and others, "Zero-Cost Proxies for Lightweight NAS" (2021).
    """
    slopes = _slopes(candidate)
    return float(sum(np.abs(candidate.first[path] * slope).sum() for path, slope in slopes.items()))


def gradient_norm(candidate: Candidate) -> float:
    """The norm of the gradient of the loss. Abdelfattah and others, "Zero-Cost Proxies for Lightweight NAS" (2021)."""
    return float(np.sqrt(sum(np.square(slope).sum() for slope in _slopes(candidate).values())))


def synflow(candidate: Candidate) -> float:
    """The sum of `|w * dR/dw|`, where `R` sums what a network of absolute weights makes of ones; as a logarithm.

    It needs no examples. Tanaka, Kunin, Yamins and Ganguli, "Pruning Neural Networks without Any Data by Iteratively
    Conserving Synaptic Flow" (2020). States are as they are at first, so normalization hinders no flow.
    """
    graph = specialize(replace(candidate.graph, updates=()), training=False)
    strange = next((v for v in graph.inputs if not v.dtype.is_float), None)
    if strange is not None:
        raise error("E968", f"`synflow` needs inputs that can be 1 everywhere, but `{strange.hint}` is {strange.type}")
    total: Value = build.sum(graph.outputs[0])
    absolute = {path: np.abs(np.asarray(w, np.float64)) for path, w in candidate.first.items()}
    gradients = Gradients(replace(graph, outputs=(total,)), _paths(candidate), candidate.scene.settings.backend)
    sizes = candidate.scene.costs.sizes
    # Sizes that nothing says are 1.
    shapes = ([substitute(size, sizes) for size in v.shape] for v in graph.inputs)
    ones = tuple(np.ones([size if isinstance(size, int) else 1 for size in shape]) for shape in shapes)
    found = gradients.mean(absolute, [ones])
    return float(np.log(sum(np.abs(absolute[path] * slope).sum() for path, slope in found.items())))


def naswot(candidate: Candidate) -> float:
    """How well examples are told apart by which rectifiers they pass: `log |K|`.

    `K[i, j]` counts the units that are both on or both off for examples i and j. Mellor, Turner, Storkey and Crowley,
    "Neural Architecture Search without Training" (2021).
    """
    graph = specialize(replace(candidate.graph, updates=()), training=False)
    rectified = [node.outputs[0] for node in graph.nodes if isinstance(node.op, Relu)]
    if not rectified:
        raise error("E968", f"`naswot` goes by rectifiers, and `{graph.name}` has none")
    program = compile(replace(graph, outputs=tuple(rectified)), candidate.scene.settings.backend)
    batch = _batch(candidate)[: len(graph.inputs)]
    kernel: Any = 0.0
    for found in program.run(candidate.first, *batch).outputs:
        on = (np.asarray(found).reshape(len(batch[0]), -1) > 0).astype(np.float64)
        kernel = kernel + on @ on.T + (1 - on) @ (1 - on).T
    return float(np.linalg.slogdet(kernel)[1])


def _slopes(candidate: Candidate) -> dict[str, Array]:
    """The gradient of the loss by every weight, on one batch."""
    target = candidate.scene.examples[0].target_type(candidate.graph)
    loss = candidate.objective.attached(candidate.graph, target)
    gradients = Gradients(loss, _paths(candidate), candidate.scene.settings.backend, training=True)
    return gradients.mean(candidate.first, [_batch(candidate)])


def _paths(candidate: Candidate) -> list[str]:
    return [path_of(w) for w in candidate.graph.weights if isinstance(w.op, Param) and w.dtype.is_float]


def _batch(candidate: Candidate) -> tuple[Array, ...]:
    """The same examples for every member."""
    data = candidate.scene.examples[0]
    drawn = np.random.default_rng(candidate.scene.settings.seed).permutation(len(data))[:EXAMPLES]
    return data.taken(np.sort(drawn)).arrays
