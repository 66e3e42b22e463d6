"""Weights without their zeros: formats, the pass `sparse`, and the choice of formats by time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.graph import Graph
from architrave.ir.interpret import interpret
from architrave.ir.ops.contraction import Linear
from architrave.ir.ops.sparse import LinearSparse, PointwiseSparse
from architrave.ir.source import ArchitraveError
from architrave.passes import apply
from architrave.passes.sparsify.storage import Blocks
from architrave.sparsity.execution.formats import SparseExecution, candidates, sparse_execution
from architrave.sparsity.execution.stored import bsr, csr
from architrave.sparsity.execution.timing import seconds
from tests.sparsify.networks import masked

NETWORK = """
from std.conv import conv2d, global_avg_pool
from std.linear import linear

model Net()(image: [N, 8, 5, 7]) -> [N, 6] {
    x = image -> narrow: conv2d(16, 1, stride = 2) -> relu -> wide: conv2d(12, 3) -> mix: conv2d(16, 1, bias = false)
    return x -> global_avg_pool -> hidden: linear(32) -> relu -> head: linear(6, bias = false)
}
"""
LAYERS = ("narrow", "mix", "hidden", "head")
BACKENDS = ("numpy", "torch", "jax")


def pruned(graph: Graph, share: float = 0.3, high: int = 1, wide: int = 1) -> dict[str, Any]:
    """First weights of which only some blocks are not 0."""
    weights = architrave.init(graph)
    rng: Any = np.random.default_rng(0)
    for path, weight in weights.items():
        if path.removesuffix(".weight") not in LAYERS:
            continue
        out, inputs = weight.shape[:2]
        kept = rng.random((out // high, inputs // wide)) < share
        mask = np.kron(kept, np.ones((high, wide), bool)).reshape(out, inputs, *(1,) * (weight.ndim - 2))
        weights[path] = weight * mask
    return weights


def image(count: int = 3) -> np.ndarray[Any, Any]:
    return np.random.default_rng(1).standard_normal((count, 8, 5, 7)).astype(np.float32)


def faster(*formats: int) -> Callable[..., list[float]]:
    """A timer for which the formats of these numbers take half the time of dense code, and others twice."""
    return lambda op, shape, weight, storages, *_: [1.0, *(0.5 if i in formats else 2.0 for i in range(len(storages)))]


@pytest.mark.parametrize(("high", "wide"), [(1, 1), (4, 1), (2, 3), (8, 6)])
def test_formats_hold_what_is_not_zero(high: int, wide: int) -> None:
    rng: Any = np.random.default_rng(2)
    kept = rng.random((16 // high, 12 // wide)) < 0.3
    kept[0] = False
    weight = rng.standard_normal((16, 12)) * np.kron(kept, np.ones((high, wide)))
    stored = csr(weight) if high == wide == 1 else bsr(weight, high, wide)
    assert len(stored.values) == kept.sum() == stored.starts[-1]
    assert np.array_equal(stored.dense(12), weight)
    y = interpret(_applied(stored.values.shape, len(stored.starts)), [np.eye(12), *_arrays(stored)], {}).outputs[0]
    assert np.array_equal(y.T, weight)


def _applied(values: tuple[int, ...], starts: int) -> Graph:
    shape = ", ".join(map(str, values))
    text = f"x: [12, 12], v: [{shape}], c: i32[{values[0]}], s: i32[{starts}]"
    return architrave.loads(f"model M()({text}) = op.linear_sparse(x, v, c, s)")


def _arrays(stored: Any) -> tuple[np.ndarray[Any, Any], ...]:
    return stored.values, stored.columns, stored.starts


@pytest.mark.parametrize(
    ("options", "high", "wide"),
    [
        ("density=0.3", 1, 1),
        ("density=1", 1, 1),
        ("density=0.5 format=bsr rows=2 columns=1", 2, 1),
        ("density=0.5 format=bsr rows=2 columns=2", 2, 2),
        ("format=nm n=4 m=4", 1, 1),
    ],
)
def test_the_pass_keeps_what_is_not_zero(options: str, high: int, wide: int) -> None:
    graph = architrave.loads(NETWORK)
    weights = pruned(graph, 0.25, high, wide)
    made = apply(graph, f"sparse{{{options}}}")
    new = made.weights(weights)
    assert {path for path in new if path.endswith(("_starts", "_places"))} >= {
        f"{layer}.weight_{'places' if 'nm' in options else 'starts'}" for layer in LAYERS
    }
    before, after = (architrave.compile(g, "numpy")(w, image()) for g, w in ((graph, weights), (made.graph, new)))
    assert np.abs(before - after).max() < 1e-5


def test_the_pass_keeps_the_largest_exactly_as_many_as_it_says() -> None:
    graph = architrave.loads("from std.linear import linear\nmodel M()(x: [N, 10]) = x -> a: linear(5, bias = false)")
    weight = np.random.default_rng(3).standard_normal((5, 10))
    made = apply(graph, "sparse{density=0.3}")
    new = made.weights({"a.weight": weight})
    assert new["a.weight"].shape == (15,)
    assert sorted(abs(new["a.weight"])) == sorted(np.sort(abs(weight.ravel()))[-15:])
    few = apply(graph, "sparse{format=nm n=1 m=5}")
    held = few.weights({"a.weight": weight})
    assert np.array_equal(abs(held["a.weight"]), abs(weight).reshape(5, 2, 5).max(-1))
    assert held["a.weight_places"].shape == (5, 1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_values_learn(backend: str) -> None:
    graph = architrave.loads("from std.linear import linear\nmodel M()(x: [N, 6]) = x -> a: linear(4) -> relu")
    made = apply(graph, "sparse{density=0.4}")
    weights = {
        path: w if w.dtype == "i4" else np.float64(w) for path, w in made.weights(architrave.init(graph)).items()
    }
    x, step = np.random.default_rng(6).standard_normal((3, 6)), 1e-6
    slope = architrave.compile(made.graph, backend).gradients(weights, x).params["a.weight"]
    (before,), (after,) = (
        interpret(made.graph, (x,), weights | {"a.weight": weights["a.weight"] + by * slope}).outputs
        for by in (0, step)
    )
    assert np.isclose((after - before).sum() / step, np.square(slope).sum(), rtol=1e-4)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("return x -> a: linear(7)", "blocks of 4 x 4 do not divide its weight [7, 8]"),
        ("@keep\n y = x -> a: linear(8)\n return y", "it is to be kept"),
        ("param w: [8, 8]\n return op.linear(x, w) + sum(w)", "`sum` at the model itself reads its weight as well"),
        (
            "param w: [8, 8]\n return op.linear(x, 2.0 * w)",
            "its weight is computed: `bake-masks` or `hoist` makes a parameter of it",
        ),
    ],
)
def test_what_the_pass_leaves_dense_is_told(body: str, reason: str) -> None:
    graph = architrave.loads(f"from std.linear import linear\nmodel M()(x: [N, 8]) {{\n{body}\n}}")
    made = apply(graph, "sparse{format=bsr rows=4 columns=4}")
    assert [entry.reason for entry in made.journal.declined] == [reason]
    assert made.graph == graph


@pytest.mark.parametrize(
    ("options", "code"),
    [("density=0", "E803"), ("density=1.5", "E803"), ("format=bsr rows=0", "E803"), ("format=nm n=5", "E803")],
)
def test_options_that_are_none(options: str, code: str) -> None:
    with pytest.raises(ArchitraveError, match=code):
        apply(architrave.loads(NETWORK), f"sparse{{{options}}}")


def test_a_name_that_is_taken() -> None:
    text = """
    from std.linear import linear
    model M()(x: [N, 8]) {
        param "a.weight_starts" as other: [8]
        return (x + other) -> a: linear(4)
    }
    """
    with pytest.raises(ArchitraveError, match="E928"):
        apply(architrave.loads(text), "sparse")


def test_formats_that_suit_the_zeros() -> None:
    rng: Any = np.random.default_rng(4)
    single = rng.standard_normal((64, 64)) * (rng.random((64, 64)) < 0.1)
    assert candidates(single) == [Blocks(np.count_nonzero(single))]
    for high, wide in ((16, 16), (8, 1), (4, 1)):
        kept = rng.random((64 // high, 64 // wide)) < 0.1
        weight = rng.standard_normal((64, 64)) * np.kron(kept, np.ones((high, wide)))
        assert candidates(weight)[1] == Blocks(int(kept.sum()), high, wide)


def execution(backend: str, timer: Any, **sizes: int) -> tuple[Graph, dict[str, Any], SparseExecution]:
    graph = architrave.loads(NETWORK)
    weights = pruned(graph, 0.2, 2, 2)
    return graph, weights, sparse_execution(graph, weights, backend, sizes=sizes, timer=timer)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("formats", [(0,), (1,)])
def test_the_fastest_format_is_taken_and_nothing_changes(backend: str, formats: tuple[int, ...]) -> None:
    graph, weights, found = execution(backend, faster(*formats))
    assert [choice.path for choice in found.choices] == [f"{layer}.weight" for layer in LAYERS]
    kinds = {type(node.op) for node in found.graph.nodes}
    assert {LinearSparse, PointwiseSparse} <= kinds
    before, after = (
        architrave.compile(g, backend)(w, image()) for g, w in ((graph, weights), (found.graph, found.weights))
    )
    assert np.abs(before - after).max() < 1e-5


def test_what_is_no_faster_stays_dense_and_says_so() -> None:
    graph, weights, found = execution("numpy", faster())
    assert found.graph == graph
    assert all(choice.format == "dense" and choice.gain == 1 for choice in found.choices)
    assert all("2.00 times as long as dense code" in choice.reason for choice in found.choices)
    assert all(np.array_equal(found.weights[path], w) for path, w in weights.items())


def test_what_is_dense_is_not_timed() -> None:
    graph = architrave.loads(NETWORK)
    weights = architrave.init(graph) | {"head.weight": np.zeros((6, 32), np.float32)}
    found = sparse_execution(graph, weights, "numpy", timer=faster(0))
    reasons = {choice.path: choice.reason for choice in found.choices}
    assert reasons["hidden.weight"] == "100% of its weight is not 0"
    assert reasons["head.weight"] == "all of its weight is 0"
    assert found.graph == graph


def test_masks_are_baked_first() -> None:
    graph, weights = masked(NETWORK)
    rng: Any = np.random.default_rng(5)
    for path in [path for path in weights if path.endswith("_mask")]:
        weights[path] = rng.random(weights[path].shape) < 0.1
    found = sparse_execution(graph, weights, "numpy", timer=faster(0))
    assert not any(path.endswith("_mask") for path in found.weights)
    before, after = (
        architrave.compile(g, "numpy")(w, image()) for g, w in ((graph, weights), (found.graph, found.weights))
    )
    assert np.abs(before - after).max() < 1e-5


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_layers_are_timed(backend: str) -> None:
    weight = np.ones((8, 12), np.float32)
    times = seconds(Linear(), (2, 12), weight, [Blocks(96), Blocks(12, 4, 2)], backend, 1000)
    assert len(times) == 3
    assert min(times) > 0


def test_sizes_of_no_symbol() -> None:
    with pytest.raises(ArchitraveError, match="E929"):
        execution("numpy", faster(), M=3)
