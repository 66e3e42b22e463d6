"""The same integers as ONNX Runtime, where its own rule for rounding is ours.

`QuantizeLinear` divides by the scale. That is our product with the reciprocal where the scale is a power of two; at
other scales it differs at some ties (docs/numerics.md, "Quantization"), and our rule can be spelt out in ONNX.
"""

from __future__ import annotations

import numpy as np
import pytest

from architrave.backends.load import compile
from architrave.ir import build
from architrave.passes import apply
from tests.passes.quantize.calibrated import rounded

qdq = pytest.importorskip("tests.quantize.qdq", reason="ONNX Runtime is not installed")

SCALES = (0.02, 0.0173, 1 / 255, 0.1, 0.3, 0.25, 2.0**-7)
BACKENDS = ("numpy", "torch", "jax")


def ties(scale: float) -> np.ndarray:
    """`(k + 0.5) * scale` in float32, within int8 and beyond."""
    return ((np.arange(-140, 140) + 0.5).astype(np.float32) * np.float32(scale)).astype(np.float32)


@pytest.mark.parametrize("target", BACKENDS)
@pytest.mark.parametrize("scale", SCALES)
def test_ties_are_rounded_as_our_rule_spelt_out(scale: float, target: str) -> None:
    x, step = build.input("x", "f32[N]"), build.input("step", "f32[]")
    zero = build.input("zero", "i32[]")
    graph = build.graph("ties", [x, step, zero], [build.quantize(x, step, zero)])
    inputs = [ties(scale), np.float32(scale), np.int32(3)]
    (found,) = compile(graph, target).run({}, *inputs).outputs
    (wanted,) = qdq.run(qdq.spelt_out(scale, 3), inputs[:1])
    assert found.tobytes() == wanted.tobytes()
    (divided,) = qdq.run(qdq.quantizer(scale, 3), inputs[:1])
    assert (divided != wanted).any() == (scale in (0.02, 0.3))


@pytest.mark.parametrize("name", ["VGG16", "ResNet18", "ResNet50", "MobileNetV2", "RepVGGA0"])
def test_networks_of_powers_of_two_give_the_same_bytes(name: str) -> None:
    graph, weights, inputs = rounded(name, powers=True)
    wanted = qdq.run(qdq.exported(graph, weights), inputs)
    made = apply(graph, "integer,hoist,clean")
    lowered = made.weights(weights)
    for target in BACKENDS:
        found = compile(made.graph, target).run(lowered, *inputs).outputs
        assert [y.tobytes() for y in found] == [y.tobytes() for y in wanted], target
