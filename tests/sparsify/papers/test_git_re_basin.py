"""Git Re-Basin: permuted networks are found again, by weights and by what they give."""

from __future__ import annotations

import numpy as np
import pytest

import architrave
from architrave.ir.arrays import Array
from architrave.ir.axes.groups import Groups, groups
from architrave.ir.interpret import interpret
from architrave.ir.source import ArchitraveError
from architrave.merge.rebasin import Order, match_activations, match_weights
from architrave.merge.units import permuted

TEXT = """
from std.conv import conv2d, global_avg_pool
from std.linear import linear
from std.norm import batch_norm

block Residual()(x: [N, C, H, W]) -> [N, C, H, W] {
    y = x -> conv1: conv2d(12, 3) -> norm1: batch_norm -> relu
    return relu(x + (y -> conv2: conv2d(C, 3) -> norm2: batch_norm))
}

model Net()(x: [N, 3, 8, 8]) -> [N, 5] {
    x = x -> stem: conv2d(8, 3) -> relu
    for i in 0..2 { x = x -> layer[i]: Residual }
    return x -> global_avg_pool -> head: linear(5)
}
"""


def planted(seed: int = 0) -> tuple[Groups, dict[str, Array], dict[str, Array], Order]:
    """A network, its weights, the same permuted, and the order that undoes it."""
    known = groups(architrave.loads(TEXT))
    a = {path: w.astype(np.float64) for path, w in architrave.init(known.graph, seed).items()}
    rng = np.random.default_rng(seed)
    hidden = {group: rng.permutation(group.size) for group in known.permutable}
    return known, a, permuted(known, a, hidden), {group: np.argsort(units) for group, units in hidden.items()}


def outputs(known: Groups, weights: dict[str, Array]) -> Array:
    x = np.random.default_rng(1).normal(size=(4, 3, 8, 8))
    return interpret(known.graph, [x], weights).outputs[0]


def test_a_permuted_network_is_the_same_function() -> None:
    known, a, b, _ = planted()
    np.testing.assert_allclose(outputs(known, b), outputs(known, a), rtol=0, atol=1e-12)


def test_activations_find_a_planted_permutation_and_the_merge_is_the_network() -> None:
    known, a, b, back = planted()
    batches = [(np.random.default_rng(2).normal(size=(16, 3, 8, 8)),)]
    order = match_activations(known, a, b, batches, "numpy")
    for group, units in back.items():
        np.testing.assert_array_equal(order[group], units, err_msg=group.name)
    found = permuted(known, b, order)
    for path, array in a.items():
        np.testing.assert_array_equal((found[path] + array) / 2, array)


def test_weight_matching_never_becomes_less_alike() -> None:
    known, a, _, _ = planted()
    b = {path: w.astype(np.float64) for path, w in architrave.init(known.graph, 7).items()}
    found = match_weights(known, a, b)
    assert all(later >= earlier for earlier, later in zip(found.likeness, found.likeness[1:], strict=False))
    assert found.likeness[-1] > found.likeness[0]


def test_what_is_added_is_one_dimension() -> None:
    known, *_ = planted()
    stream = {m.path for m in known.by_name["stem.weight:0"].members}
    assert {"layer.0.conv1.weight", "layer.0.conv2.weight", "layer.1.conv2.bias", "head.weight"} <= stream


def test_what_cannot_be_matched_is_refused() -> None:
    known, a, b, _ = planted()
    with pytest.raises(ArchitraveError, match="E935"):
        match_activations(known, a, b, [], "numpy")
    with pytest.raises(ArchitraveError, match="E933"):
        match_weights(known, a, {**b, "stem.weight": np.zeros((2, 3, 3, 3))})
    with pytest.raises(ArchitraveError, match="E807"):
        match_weights(known, a, {**b, "stem.bias": np.full(8, np.nan)})
    with pytest.raises(ArchitraveError, match="E946"):
        permuted(known, a, {known.by_name["head.weight:0"]: np.arange(5)[::-1]})
    with pytest.raises(ArchitraveError, match="E946"):
        permuted(known, a, {known.by_name["stem.weight:0"]: np.zeros(8, np.intp)})
