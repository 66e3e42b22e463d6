"""FedMA: networks whose units are the same ones merge into themselves, others into wider ones."""

from __future__ import annotations

import numpy as np
import pytest

import architrave
from architrave.ir.arrays import Array
from architrave.ir.axes.groups import Groups, groups
from architrave.ir.interpret import interpret
from architrave.ir.source import ArchitraveError
from architrave.merge.fedma import Prior, match, merge
from architrave.merge.units import permuted

IMPORTS = "from std.conv import conv2d, max_pool\nfrom std.linear import linear\nfrom std.recurrent import lstm\n"
NETS = {
    "mlp": ("x: [N, 6]", "return x -> a: linear(9) -> relu -> b: linear(8) -> relu -> c: linear(3)", (5, 6)),
    "cnn": (
        "x: [N, 2, 8, 8]",
        "return x -> a: conv2d(7, 3) -> relu -> b: conv2d(6, 3) -> max_pool(4) -> flatten -> c: linear(3)",
        (5, 2, 8, 8),
    ),
    "lstm": ("x: [N, T, 4]", "(h, _) = x -> r: lstm(7)\n return h -> c: linear(3)", (5, 6, 4)),
}


def drawn(name: str, seed: int = 0) -> tuple[Groups, dict[str, Array], Array]:
    inputs, body, shape = NETS[name]
    known = groups(architrave.loads(f"{IMPORTS}model Net()({inputs}) {{\n{body}\n}}\n"))
    weights = {path: w.astype(np.float64) for path, w in architrave.init(known.graph, seed).items()}
    return known, weights, np.random.default_rng(3).normal(size=shape)


@pytest.mark.parametrize("name", NETS)
def test_a_permuted_copy_merges_into_the_network(name: str) -> None:
    known, a, x = drawn(name)
    rng = np.random.default_rng(1)
    copies = [permuted(known, a, {g: rng.permutation(g.size) for g in known.permutable}) for _ in range(2)]
    wanted = interpret(known.graph, [x], a).outputs[0]
    for b in copies:
        np.testing.assert_allclose(interpret(known.graph, [x], b).outputs[0], wanted, rtol=0, atol=1e-12)
    merged = merge(known, [a, *copies])
    assert merged.graph == known.graph
    np.testing.assert_allclose(interpret(merged.graph, [x], merged.weights).outputs[0], wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NETS)
def test_other_networks_bring_units_of_their_own(name: str) -> None:
    known, a, x = drawn(name)
    _, b, _ = drawn(name, 5)
    merged = merge(known, [a, {path: 20 * w for path, w in b.items()}], Prior(novelty=1e6, noise=0.01))
    wide = groups(merged.graph)
    assert any(wide.by_name[g.name].size > g.size for g in known.permutable)
    assert np.isfinite(interpret(merged.graph, [x], merged.weights).outputs[0]).all()


def test_units_are_matched_to_their_like_and_new_ones_opened() -> None:
    a = np.eye(3) * 10
    b = np.stack([a[2] + 0.1, [0, 0, -40.0], a[0]])
    first, second = match([a, b], Prior(weights=100, noise=1))
    np.testing.assert_array_equal(first, [0, 1, 2])
    np.testing.assert_array_equal(second, [2, 3, 0])


def test_nothing_to_merge_is_refused() -> None:
    known, a, _ = drawn("mlp")
    with pytest.raises(ArchitraveError, match="E935"):
        merge(known, [])
    with pytest.raises(ArchitraveError, match="E933"):
        merge(known, [a, {path: w for path, w in a.items() if path != "a.bias"}])
