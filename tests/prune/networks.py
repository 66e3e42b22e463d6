"""The networks that are pruned in tests, and what holds of all that come out."""

from __future__ import annotations

from typing import Any

import numpy as np

import architrave
from architrave.backends.agree.trial import trial
from architrave.ir.arrays import Array
from architrave.ir.axes.groups import groups
from architrave.ir.bind import bind_type
from architrave.ir.graph import Graph
from architrave.ir.interpret import interpret
from architrave.ir.mode import specialize
from architrave.ir.ops.leaves import path_of
from architrave.prune import Pruned, masked
from architrave.prune.tuning import at_lengths
from architrave.record import reestimate
from architrave.train import Dataset, Objective, Recipe, Schedule, Trainer
from architrave.train.optimizers import SGD

NETWORKS = (
    *("ResNet50", "ResNeXt50", "DenseNet121", "MobileNetV2", "EfficientNetB0", "ConvNeXtT"),
    *("RegNetY400MF", "VGG16", "InceptionV3", "ShuffleNetV2X1_0", "GhostNet", "ViTS16"),
    *("DeiTTi16", "SwinT", "MLPMixerS16", "NFNetF0", "BERTBase", "GPT2Small"),
)
"""Those that Torch-Pruning is compared on."""
LENGTH = 8
"""Of texts."""


def weights_of(network: Graph, seed: int = 0) -> dict[str, Array]:
    """Weights such that everything counts: no scale is 1 and no shift 0, and running statistics are those of examples.

    Otherwise little of the input would be left at the end of a network that is deep.
    """
    drawn = trial(network, {**dict.fromkeys(network.symbols, LENGTH), "N": 4}, seed, np.float64)
    held = reestimate(network, drawn.weights, [drawn.inputs], backend="numpy")
    return {path: np.asarray(array) for path, array in held.items()}


def examples(network: Graph, count: int = 6) -> Dataset:
    """Inputs for a network, and labels for its output, whose last axis is taken to be classes."""
    sizes = {**dict.fromkeys(network.symbols, LENGTH), "N": count}
    inputs = trial(network, sizes, 1, np.float32).inputs
    *shape, classes = bind_type(network.outputs[0].type, sizes).shape
    rng: Any = np.random.default_rng(2)
    return Dataset(inputs, rng.integers(0, classes, shape))


def distance(found: Pruned, weights: dict[str, Array]) -> float:
    """How far the smaller network is from the given one with zeros at all that was cut, in the oracle: relatively."""
    start = found.start
    if found.hoisted:
        weights = dict(architrave.passes.Pipeline.parse("hoist").run(found.network).weights(weights))
    by_name = groups(start).by_name
    zeros = masked(weights, {by_name[part.name]: part.kept for part in found.parts})
    inputs = list(trial(start, {**dict.fromkeys(start.symbols, LENGTH), "N": 2}, 3, np.float64).inputs)
    old, new = (_outputs(graph, held, inputs) for graph, held in ((start, zeros), (found.graph, found.weights)))
    return max(float(np.abs(a - b).max() / (1 + np.abs(a).max())) for a, b in zip(old, new, strict=True))


def learns(found: Pruned) -> bool:
    """Whether a step of training can be made, to finite weights."""
    data = examples(found.graph)
    graph = at_lengths(found.graph, data)
    target = data.target_type(graph)
    recipe = Recipe(SGD(), Objective("cross_entropy"))
    trainer = Trainer(graph, recipe, Schedule(1e-3, 1), target, weights=found.weights)
    loss = trainer.train(*data.arrays)
    after = trainer.weights()
    return bool(np.isfinite(loss)) and all(bool(np.isfinite(array).all()) for array in after.values())


def _outputs(graph: Graph, weights: Any, inputs: list[Array]) -> tuple[Array, ...]:
    graph = specialize(graph, training=False)
    return interpret(graph, inputs, {path_of(w): weights[path_of(w)] for w in graph.weights}).outputs
