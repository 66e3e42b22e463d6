"""Sparse kernel selection: few kernels of bits, chosen by a permutation that is learned."""

import itertools
import math
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.interpret import interpret
from tests.quantize.papers.binary import Array, drawn, value

RNG: Any = np.random.default_rng(0)
IMPORTS = """
from std.binary import binary_conv, filter_mean
from std.binary_signs import quadratic
from std.kernel_selection import all_words, assignment, permutation, selected, shared_conv, sinkhorn
"""


def network(body: str, inputs: str) -> Any:
    return architrave.loads(f"{IMPORTS}\nmodel M()({inputs}) = {body}\n")


def total(score: Array, columns: Array) -> float:
    return float(score[np.arange(len(score)), columns].sum())


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (4, 6), (5, 5)])
def test_the_assignment_is_the_best(shape: tuple[int, int]) -> None:
    graph = network("assignment(x)", f"x: [{shape[0]}, {shape[1]}]")
    for score in (RNG.normal(size=shape), RNG.integers(0, 3, size=shape).astype(float)):
        (found,) = interpret(graph, [score]).outputs
        assert len(set(found)) == len(found)
        best = max(total(score, np.array(p)) for p in itertools.permutations(range(shape[1]), shape[0]))
        assert total(score, found) == pytest.approx(best)


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
def test_the_assignment_of_many_is_the_best(backend: str) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    score = RNG.normal(size=(60, 64)).astype(np.float32)
    found = architrave.compile(network("assignment(x)", "x: [60, 64]"), backend=backend)({}, score)
    np.testing.assert_array_equal(found, optimize.linear_sum_assignment(-score)[1])


def test_sinkhorn_and_its_rounding() -> None:
    logits = RNG.normal(size=(16, 16))
    soft = interpret(network("sinkhorn(x, 200)", "x: [16, 16]"), [logits]).outputs[0]
    np.testing.assert_allclose([soft.sum(0), soft.sum(1)], 1, atol=1e-9)
    graph = network("() -> p: permutation(16)", "x: [1]")
    for training in (False, True):
        hard = interpret(graph, [np.zeros(1)], {"p.logits": logits}, training).outputs[0]
        assert set(np.unique(hard)) == {0.0, 1.0}
        assert (hard.sum(0) == 1).all()
        assert (hard.sum(1) == 1).all()


@pytest.mark.parametrize("count", [1, 5, 16])
def test_layers_have_few_kernels(count: int) -> None:
    graph = network(f"x -> s: selected({count})", "x: [40, 10, 2, 2]")
    weights, kernels = drawn(graph), RNG.normal(size=(40, 10, 2, 2))
    bits = interpret(graph, [kernels], weights).outputs[0]
    assert set(np.unique(bits)) == {-1.0, 1.0}
    words = np.unique(bits.reshape(-1, 4), axis=0)
    assert len(words) == count
    distances = ((kernels.reshape(-1, 1, 4) - words) ** 2).sum(-1)
    np.testing.assert_array_equal(words[distances.argmin(1)], bits.reshape(-1, 4))


@pytest.mark.parametrize(("count", "bits"), [(32, 0.556), (64, 0.667), (128, 0.778)])
def test_kernels_of_three_by_three(count: int, bits: float) -> None:
    graph = network(f"x -> s: selected({count})", "x: [32, 24, 3, 3]")
    weight = RNG.normal(size=(32, 24, 3, 3))
    found = architrave.compile(graph, backend="numpy")(drawn(graph), weight).reshape(-1, 9)
    words, code = np.unique(found, axis=0, return_inverse=True)
    assert len(words) <= count
    stored = np.unpackbits(code.astype(np.uint8)[:, None], axis=1)[:, -math.ceil(math.log2(count)) :]
    assert stored.size / weight.size == pytest.approx(bits, abs=5e-4)
    assert stored.size / weight.size == pytest.approx(math.log2(count) / 9)


def test_of_all_words_the_nearest_is_the_sign() -> None:
    graph = network("x -> s: selected(512)", "x: [8, 6, 3, 3]")
    weight = RNG.normal(size=(8, 6, 3, 3))
    found = architrave.compile(graph, backend="numpy")(drawn(graph), weight)
    np.testing.assert_array_equal(found, value("clipped(x)", weight))


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
@pytest.mark.parametrize("options", ["", ", stride = 2", ", padding = 0"])
def test_words_shared_by_channels_give_the_convolution(backend: str, options: str) -> None:
    inputs = "x: [N, 6, 9, 8], words: [5, 3, 3], code: i64[7, 6]"
    layer = network(f"op.binarize(x) -> shared_conv(words, code{options})", inputs)
    words, code = RNG.choice([-1.0, 1.0], size=(5, 3, 3)).astype(np.float32), RNG.integers(0, 5, size=(7, 6))
    x = RNG.normal(size=(2, 6, 9, 8)).astype(np.float32)
    method = "[quadratic, identity, none, none]"
    dense = network(f"x -> c: binary_conv(7, method = {method}{options})", "x: [N, 6, 9, 8]")
    expected = architrave.compile(dense, backend=backend)({"c.weight": words[code]}, x)
    np.testing.assert_array_equal(architrave.compile(layer, backend=backend)({}, x, words, code), expected)


LAYER = "x -> c: binary_conv(4, [2, 1], method = [quadratic, (w) => w -> selected(3), filter_mean, none])"


@pytest.mark.slow
def test_backends_agree_on_a_layer() -> None:
    report = architrave.verify(network(LAYER, "x: [N, 3, 5, 5]"), ["numpy", "torch", "jax"])
    assert report.ok, report


def test_a_layer_learns_its_words() -> None:
    graph = network(LAYER, "x: [N, 3, 5, 5]")
    weights = drawn(graph)
    program = architrave.compile(graph, backend="torch")
    found = program.gradients(weights, RNG.normal(size=(2, 3, 5, 5)), training=True).params
    (logits,) = (path for path in weights if path.endswith("logits"))
    assert found[logits].any()
    assert found["c.weight"].any()
