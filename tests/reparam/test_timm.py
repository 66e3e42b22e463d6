"""The library's re-parameterizable networks against timm's: from the same checkpoints, as they are trained and merged.

timm merges each class of blocks by a method that was written for it. Here one algebra merges them all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import architrave
from architrave.ir.cost import parameters
from architrave.passes import apply
from tests.reparam.timm_networks import OURS, reparameterized, timm_case, torch

TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
"""Of the output's range."""


def image(size: int) -> NDArray[np.float64]:
    return np.random.default_rng(1).standard_normal((2, 3, size, size))


def outputs(theirs: Any, batch: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = theirs(torch.from_numpy(batch)).numpy()
    return found


def difference(found: Any, wanted: NDArray[np.float64]) -> float:
    """The largest, as a part of the range of what is wanted."""
    return float(np.abs(np.asarray(found, np.float64) - wanted).max() / np.ptp(wanted))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("backend", ["numpy", "torch", pytest.param("jax", marks=pytest.mark.slow)])
@pytest.mark.parametrize("size", [64, pytest.param(224, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", OURS)
def test_the_training_form_agrees(name: str, size: int, backend: str, dtype: str) -> None:
    graph, weights, theirs = timm_case(name, size)
    given = {key: value.astype(dtype) for key, value in weights.items()}
    found = architrave.compile(graph, backend)(given, image(size).astype(dtype))
    assert difference(found, outputs(theirs, image(size))) <= TOLERANCE[dtype]


MERGED = {
    "repvgg_a0": (8_309_384, 22),
    "mobileone_s0": (2_078_504, 43),
    "repvit_m0_9": (5_067_056, 103),
    "fastvit_t8": (3_996_040, 52),
}
"""The parameters and convolutions that timm's own re-parameterization leaves."""


@pytest.mark.parametrize("name", MERGED)
def test_the_pass_leaves_no_more_than_timm_does(name: str) -> None:
    graph, weights, _ = timm_case(name)
    theirs = reparameterized(name)
    count = sum(isinstance(module, torch.nn.Conv2d) for module in theirs.modules())
    assert MERGED[name] == (sum(weight.numel() for weight in theirs.parameters()), count)

    merged = apply(graph, "inference,reparam,hoist")
    operators = [node.op.name for node in merged.graph.nodes]
    assert parameters(merged.graph) <= MERGED[name][0]
    assert operators.count("conv") <= MERGED[name][1]
    assert "batch_norm" not in operators
    found = architrave.compile(merged.graph, "numpy")(merged.weights(weights), image(64))
    assert difference(found, outputs(theirs, image(64))) <= TOLERANCE["float64"]


@pytest.mark.parametrize("backend", ["numpy", "torch", pytest.param("jax", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", MERGED)
def test_the_merged_form_agrees_in_single_precision(name: str, backend: str) -> None:
    graph, weights, _ = timm_case(name)
    merged = apply(graph, "inference,reparam,hoist")
    given = {key: value.astype(np.float32) for key, value in merged.weights(weights).items()}
    found = architrave.compile(merged.graph, backend)(given, image(64).astype(np.float32))
    assert difference(found, outputs(reparameterized(name), image(64))) <= TOLERANCE["float32"]
