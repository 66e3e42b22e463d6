"""The library's re-parameterizable networks, against timm's: the same checkpoints give the same outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import architrave
from tests.reparam.timm_networks import OURS, timm_case, torch

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
