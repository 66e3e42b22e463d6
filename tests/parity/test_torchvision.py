"""Our networks hold the weights that torchvision's hold, by the same names, and give the same outputs."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import architrave
from tests.parity.torchvision_golden import GOLDEN, image, weight

CASES = json.loads(GOLDEN.read_text(encoding="utf-8"))
by_network = pytest.mark.parametrize("case", CASES, ids=lambda case: case["network"])


@by_network
@pytest.mark.parametrize("backend", ["numpy", "torch", pytest.param("jax", marks=pytest.mark.slow)])
def test_outputs_agree(case: dict[str, Any], backend: str) -> None:
    graph = architrave.load(case["network"], **case["arguments"])
    weights = {key: weight(key, tuple(shape)) for key, shape in case["shapes"].items()}
    # Loading is strict: a key too many or too few, or another shape, is an error.
    found = architrave.compile(graph, backend=backend)(weights, image(case["arguments"]["size"]))
    outputs = found if isinstance(found, tuple | list) else (found,)
    for output, wanted in zip(outputs, map(np.array, case["outputs"]), strict=True):
        assert np.abs(np.asarray(output) - wanted).max() <= 1e-5 * np.abs(wanted).max()


@by_network
def test_weights_start_alike(case: dict[str, Any]) -> None:
    weights = architrave.init(architrave.load(case["network"], **case["arguments"]))
    assert {key: list(array.shape) for key, array in weights.items()} == case["shapes"]
    found = {key: float(weights[key].std()) for key in case["spread"]}
    assert found == pytest.approx(case["spread"], rel=0.1)
