"""What GPTQ chose stays when weights are held in few bits."""

from __future__ import annotations

import numpy as np
import pytest

import architrave
from architrave.passes import apply
from architrave.quantize.layerwise import ByHessian, layerwise
from tests.quantize.networks import error, tokens


@pytest.mark.parametrize("target", ["numpy", "torch", "jax"])
def test_gptq_survives(target: str) -> None:
    if target != "numpy":
        pytest.importorskip(target)
    graph, weights, batches = tokens()
    rounded = apply(graph, "quantize{bits=4 act=0 group=8}")
    chosen = layerwise(rounded.graph, rounded.weights(weights), batches, ByHessian())
    packed = apply(rounded.graph, "weight-only")
    assert not packed.journal.declined
    held = packed.weights(chosen)
    before = architrave.compile(rounded.graph, target)(chosen, *batches[0])
    after = architrave.compile(packed.graph, target)(held, *batches[0])
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-5 * np.abs(before).max())


def test_gptq_beats_rounding_to_the_nearest() -> None:
    graph, weights, batches = tokens()
    nearest = apply(graph, "weight-only{group=8}")
    rounded = apply(graph, "quantize{bits=4 act=0 group=8}")
    chosen = layerwise(rounded.graph, rounded.weights(weights), batches, ByHessian())
    packed = apply(rounded.graph, "weight-only")
    assert sum(w.nbytes for w in packed.weights(chosen).values()) == sum(
        w.nbytes for w in nearest.weights(weights).values()
    )
    found = error(packed.graph, packed.weights(chosen), graph, weights, batches)
    assert found < error(nearest.graph, nearest.weights(weights), graph, weights, batches)
