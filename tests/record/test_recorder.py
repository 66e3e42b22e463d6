"""Inner values of a network are what the oracle has there, on every backend and for any batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from architrave.ir.initializers import init
from architrave.ir.interpret import interpret
from architrave.ir.mode import specialize
from architrave.ir.source import ArchitraveError
from architrave.models import find_in_text
from architrave.passes import apply
from architrave.quantize import unrounded
from architrave.record import Recorder

TEXT = """
from std.linear import linear

model Net()(x: [N, 4]) -> [N, 3] {
    y = x -> up: linear(8) -> relu
    if training { y = 2.0 * y }
    for i in 0..2 { y = y -> layer[i]: linear(8) -> relu }
    return y -> down: linear(3)
}
"""


def network():
    return find_in_text(TEXT).elaborate({}).graph


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
def test_values_are_those_of_the_oracle_in_inference(backend):
    graph = network()
    weights = init(graph, 0)
    relus = {f"relu {i}": n.outputs[0] for i, n in enumerate(n for n in graph.nodes if n.op.name == "relu")}
    recorder = Recorder(graph, relus, backend)
    rng = np.random.default_rng(0)
    batches = [rng.standard_normal((size, 4), np.float32) for size in (3, 3, 1)]
    seen = []
    for x, found in zip(batches, recorder.stream(weights, ((x,) for x in batches), seen.append), strict=True):
        oracle = specialize(replace(graph, outputs=tuple(relus.values())), training=False)
        for mine, wanted in zip(found.values(), interpret(oracle, (x,), weights).outputs, strict=True):
            np.testing.assert_allclose(mine, wanted, rtol=1e-5, atol=1e-6)
        again = recorder.run(weights, (x,))
        assert all(np.array_equal(again[name], found[name]) for name in relus)
    assert seen == [3, 3, 1]


def test_quantizers_switched_off_give_the_float_network():
    graph = apply(network(), "deploy").graph
    rounded = apply(graph, "quantize").graph
    after, there = unrounded(rounded)
    assert replace(after, weights=graph.weights) == graph
    assert set(there.values()) == {v for node in after.nodes for v in node.outputs}
    assert all(there[n.outputs[0]] is there[n.operands[0]] for n in rounded.nodes if n.op.name == "fake_quantize")


def test_values_from_elsewhere_are_refused():
    inner = next(n for n in network().nodes if n.op.name == "relu").outputs[0]
    with pytest.raises(ArchitraveError) as problem:
        Recorder(network(), {"relu": inner})
    assert problem.value.diagnostics[0].code == "E910"


def test_batches_that_do_not_fit_are_refused():
    graph = network()
    recorder = Recorder(graph, {"y": graph.outputs[0]}, "numpy")
    batches = [(np.zeros((2, 4), np.float32),), (np.zeros((2, 5), np.float32),)]
    with pytest.raises(ArchitraveError) as problem:
        list(recorder.stream(init(graph, 0), batches))
    assert problem.value.diagnostics[0].code == "E511"
