"""Sparse weights: which numbers stay, when, and what that saves.

The pass `mask` (`architrave.passes`) gives weights masks; what sets them comes from here: weights in, weights out.

    found = sparsify(network, trained, Plan(density=0.1, distribution="erk"))
    found.graph, found.weights

    masked = apply(network, "mask")
    gradually = Gradually(Plan(0.1), Gradual.over(0.1, begin=100, end=600, every=10))
    trainer = Trainer(masked.graph, recipe, schedule, target, weights=masked.weights(trained))
    run(trainer, data, Loop(epochs, batch, refresh=[gradually]))
"""

from architrave.sparsity.learning.training import Gradually
from architrave.sparsity.masks.masked import Layer, Masks, layers, with_masks
from architrave.sparsity.masks.pattern import NM, Block, Pattern, Unstructured
from architrave.sparsity.masks.schedules import Gradual
from architrave.sparsity.masks.selection import select
from architrave.sparsity.masks.shuffle import shuffled
from architrave.sparsity.masks.sizes import Sizes
from architrave.sparsity.networks.twin import dense_twin
from architrave.sparsity.scores.methods import METHODS
from architrave.sparsity.scores.one_shot import Sparse, sparsify
from architrave.sparsity.scores.plan import Plan, Task, by_scores

__all__ = [
    "METHODS",
    "NM",
    "Block",
    "Gradual",
    "Gradually",
    "Layer",
    "Masks",
    "Pattern",
    "Plan",
    "Sizes",
    "Sparse",
    "Task",
    "Unstructured",
    "by_scores",
    "dense_twin",
    "layers",
    "select",
    "shuffled",
    "sparsify",
    "with_masks",
]
