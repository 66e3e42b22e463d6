"""New weights from old ones: what is refused, and what precision they have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.graph import Graph
from architrave.ir.interpret import interpret
from architrave.ir.source import ArchitraveError
from architrave.ir.storage import numpy_dtype
from architrave.ir.types import DType
from architrave.passes import Transformed, apply

NET = """from std import conv2d, batch_norm, linear

model Net()(x: [N, 3, 6, 6]) -> [N, 5] {
    return x -> conv: conv2d(4, 3) -> bn: batch_norm -> relu -> op.mean(axes = [2, 3]) -> head: linear(5)
}
"""
PASSES = ("deploy", "inference", "clean")


@pytest.fixture(scope="module")
def net() -> Graph:
    return architrave.loads(NET)


@pytest.fixture(scope="module")
def folded(net: Graph) -> Transformed:
    return apply(net, "deploy")


def drawn(net: Graph, dtype: Any = np.float32) -> dict[str, Any]:
    weights = architrave.init(net, seed=1, dtype=dtype)
    rng = np.random.default_rng(0)
    weights["bn.running_mean"] = rng.normal(size=4).astype(dtype)
    weights["bn.running_var"] = rng.uniform(0.5, 2, 4).astype(dtype)
    return weights


@pytest.mark.parametrize("dtype", [DType.F64, DType.F32, DType.F16, DType.BF16], ids=str)
def test_new_weights_have_the_dtype_of_the_old_ones(net: Graph, folded: Transformed, dtype: DType) -> None:
    stored = numpy_dtype(dtype)
    new = folded.weights(drawn(net, stored))
    assert {w.dtype for w in new.values()} == {stored}
    assert {w.dtype for w in folded.weights(drawn(net, stored), np.float64).values()} == {np.dtype("f8")}


def test_new_weights_are_computed_in_float64(net: Graph, folded: Transformed) -> None:
    x = np.random.default_rng(1).normal(size=(2, 3, 6, 6))
    old = drawn(net, np.float64)
    expected = interpret(net, [x], old).outputs[0]
    np.testing.assert_allclose(interpret(folded.graph, [x], folded.weights(old)).outputs[0], expected, rtol=1e-12)


@pytest.mark.parametrize("passes", PASSES)
@pytest.mark.parametrize(
    ("path", "value", "code", "said"),
    [
        ("conv.weight", np.nan, "E807", "`conv.weight` holds what is not a number (NaN)"),
        ("head.bias", np.nan, "E807", "`head.bias` holds"),
        ("conv.weight", None, "E512", "the weight `conv.weight` is missing"),
        ("head.weight", np.zeros((5, 3)), "E513", "`head.weight` is [5, 4], but the array has the shape [5, 3]"),
        ("bn.running_var", np.zeros(3), "E513", "`bn.running_var` is [4]"),
    ],
)
def test_weights_that_do_not_fit(net: Graph, passes: str, path: str, value: Any, code: str, said: str) -> None:
    weights = drawn(net)
    if value is None:
        del weights[path]
    elif np.ndim(value):
        weights[path] = value
    else:
        weights[path] = weights[path] * value
    with pytest.raises(ArchitraveError) as caught:
        apply(net, passes).weights(weights)
    assert caught.value.diagnostics[0].code == code
    assert said in str(caught.value)


def test_several_weights_with_nan_are_counted(net: Graph, folded: Transformed) -> None:
    weights = {path: w * np.nan for path, w in drawn(net).items()}
    with pytest.raises(ArchitraveError, match=r"`conv\.weight` and \d more hold"):
        folded.weights(weights)


def test_a_variance_below_zero_is_refused_where_it_makes_nan(net: Graph, folded: Transformed) -> None:
    weights = drawn(net)
    weights["bn.running_var"] = -weights["bn.running_var"]
    with pytest.raises(ArchitraveError) as caught:
        folded.weights(weights)
    assert caught.value.diagnostics[0].code == "E807"
    assert "is one a variance below zero?" in str(caught.value)


def test_the_old_weights_stay_as_they_were(net: Graph, folded: Transformed) -> None:
    weights = drawn(net)
    before = {path: w.copy() for path, w in weights.items()}
    folded.weights(weights)
    assert all(np.array_equal(weights[path], w) for path, w in before.items())
