"""He et al., "Data-Free Quantization with Accurate Activation Clipping and Adaptive Batch Normalization" (2023)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import architrave
from architrave.ir.mode import specialize
from architrave.passes import apply
from architrave.passes.quantize.rounding.sites import sites
from architrave.quantize.calibrate import calibrate
from architrave.quantize.descent import Descent
from architrave.quantize.distil import Distillation, statistics
from architrave.quantize.observers import MinMax
from architrave.record import Recorder
from architrave.record.running import reestimate
from tests.quantize.papers.test_zeroq import trained

MADE = Distillation(steps=100, descent=Descent(0.3, "cosine", backend="numpy"), logits=100.0)


@pytest.fixture(scope="module")
def made():
    """The network, its weights, inputs made from it, and the network with quantizers and its batch norms."""
    graph, weights, _ = trained()
    inputs, losses = MADE.run(graph, weights, 24)
    return graph, weights, inputs, losses


def quantized(graph, weights, inputs, options):
    transformed = apply(graph, f"quantize{{{options}}}")
    plain = specialize(transformed.graph, training=False)
    ready = calibrate(plain, transformed.weights(weights), [(inputs,)], observer=MinMax(), backend="numpy")
    return transformed.graph, reestimate(transformed.graph, ready, [(inputs,)], backend="numpy")


def test_inputs_are_of_the_classes_that_they_were_made_for(made):
    graph, weights, inputs, losses = made
    assert losses[-1] < 0.5 * losses[0]
    without, _ = replace(MADE, logits=0.0).run(graph, weights, 24)
    rng = np.random.default_rng(MADE.seed)
    rng.normal(size=inputs.shape)
    wanted = rng.integers(0, 5, 24)
    program = architrave.compile(graph, "numpy")
    driven, plain = (np.mean(program(weights, x).argmax(1) == wanted) for x in (inputs, without))
    assert driven > plain + 0.3


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_at_most_two_to_the_bits_levels_and_nothing_is_cut_off(made, bits):
    graph, weights, inputs, _ = made
    plain = specialize(apply(graph, f"quantize{{bits={bits} act={bits}}}").graph, training=False)
    transformed = apply(graph, f"quantize{{bits={bits} act={bits}}}")
    ready = calibrate(plain, transformed.weights(weights), [(inputs,)], observer=MinMax(), backend="numpy")
    found = sites(plain)
    values = {f"{i}": site.value for i, site in enumerate(found)} | {f"q{i}": s.rounded for i, s in enumerate(found)}
    seen = Recorder(plain, values, "numpy").run(ready, (inputs,))
    for i, site in enumerate(found):
        rounded = seen[f"q{i}"]
        rows = rounded.reshape(len(rounded), -1) if site.is_weight else rounded.reshape(1, -1)
        assert max(len(np.unique(row)) for row in rows) <= 2**bits
    # What a quantizer is given behind rounded ones differs from what was seen in floats: the first sees the same.
    first = next(i for i, site in enumerate(found) if not site.is_weight)
    step = float(ready[found[first].scale])
    assert np.abs(seen[f"q{first}"] - seen[f"{first}"]).max() <= 0.51 * step


def test_batch_norms_hold_the_statistics_of_the_rounded_network(made):
    graph, weights, inputs, _ = made
    rounded, ready = quantized(graph, weights, inputs, "bits=3 act=3")
    training = specialize(rounded, training=True)
    updates = {old.op.path: new for old, new in training.updates}
    assert updates
    again = reestimate(rounded, ready, [(inputs,)], backend="numpy")
    for path in updates:
        np.testing.assert_allclose(ready[path], again[path], rtol=1e-5, atol=1e-5)
    changed = [path for path in updates if not np.allclose(ready[path], weights[path], rtol=1e-3)]
    assert len(changed) > len(updates) / 2
    plain = specialize(rounded, training=False)
    norms = statistics(plain)
    first = norms[0].operands
    seen = Recorder(plain, {"x": first[0]}, "numpy").run(ready, (inputs,))["x"].astype(np.float64)
    np.testing.assert_allclose(ready[first[1].op.path], seen.mean((0, 2, 3)), atol=1e-5)


def test_many_bits_are_the_float_network(made):
    graph, weights, inputs, _ = made
    plain = specialize(graph, training=False)
    y = architrave.compile(plain, "numpy")(weights, inputs)
    errors = []
    for bits in (8, 16):
        transformed = apply(graph, f"quantize{{bits={bits} act={bits}}}")
        rounded = specialize(transformed.graph, training=False)
        ready = calibrate(rounded, transformed.weights(weights), [(inputs,)], observer=MinMax(), backend="numpy")
        errors.append(np.abs(architrave.compile(rounded, "numpy")(ready, inputs) - y).max() / np.abs(y).max())
    assert errors[1] < 1e-3
    assert errors[1] < errors[0] / 50
