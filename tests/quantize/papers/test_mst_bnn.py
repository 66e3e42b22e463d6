"""MST-compression: filters of bits along a least spanning tree."""

import itertools
from typing import Any

import networkx as nx
import numpy as np
import pytest

import architrave
from architrave.ir.interpret import interpret
from architrave.passes import apply
from architrave.passes.quantize.bits.mst import frozen, spanning_tree
from tests.quantize.papers.binary import Array, drawn, gradient, network, value

RNG: Any = np.random.default_rng(0)
METHODS = ("bnn", "xnor", "recu")


def signs(*shape: int) -> Array:
    found: Array = RNG.choice([-1.0, 1.0], size=shape)
    return found


def edges(bits: Array) -> list[tuple[int, int]]:
    return [pair for level in spanning_tree(bits).levels for pair in level]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("options", ["", ", stride = 2", ", padding = 0, dilation = 2", ", kernel = [1, 3]"])
def test_the_layer_stays_the_same_exactly(method: str, options: str) -> None:
    graph = network(f"x -> c: binary_conv(9, method = {method}{options})", "x: [N, 4, 8, 7]")
    weights, x = drawn(graph), RNG.normal(size=(2, 4, 8, 7))
    expected = interpret(graph, [x], weights).outputs[0]
    plain = frozen(apply(graph, "inference").graph, weights)
    made = apply(plain, "mst-binary")
    assert [entry.rule for entry in made.journal.changes] == ["filters-along-a-tree"]
    np.testing.assert_array_equal(interpret(made.graph, [x]).outputs[0], expected)


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
def test_whole_numbers_stay_the_same_on_every_backend(backend: str) -> None:
    graph = network("x -> c: binary_conv(12, method = bnn)", "x: [N, 6, 9, 9]")
    weights, x = drawn(graph), RNG.normal(size=(2, 6, 9, 9)).astype(np.float32)
    made = apply(frozen(apply(graph, "inference").graph, weights), "mst-binary").graph
    expected = architrave.compile(graph, backend=backend)({"c.weight": weights["c.weight"].astype(np.float32)}, x)
    np.testing.assert_array_equal(architrave.compile(made, backend=backend)({}, x), expected)


@pytest.mark.parametrize("shape", [(1, 8), (2, 9), (7, 4, 3, 3), (32, 6, 3, 3)])
def test_the_tree_is_the_least(shape: tuple[int, ...]) -> None:
    bits = signs(*shape)
    tree = spanning_tree(bits)
    rows = bits.reshape(len(bits), -1)
    whole = nx.Graph()
    whole.add_nodes_from(range(len(rows)))
    for i, j in itertools.combinations(range(len(rows)), 2):
        whole.add_edge(i, j, weight=int((rows[i] != rows[j]).sum()))
    least = nx.minimum_spanning_tree(whole).size(weight="weight")
    assert tree.differing == least == sum(int((rows[a] != rows[b]).sum()) for a, b in edges(bits))
    assert tree.operations == tree.width + least <= tree.filters * tree.width
    assert (tree.filters, tree.width) == rows.shape
    assert sorted([tree.root, *(child for child, _ in edges(bits))]) == list(range(len(rows)))


def test_the_tree_is_shallow() -> None:
    chain = np.triu(np.full((9, 9), 2.0)) - 1
    assert len(spanning_tree(chain).levels) == 4


def test_filters_that_are_alike_cost_nothing() -> None:
    bits = np.repeat(signs(1, 3, 3, 3), 5, axis=0)
    assert spanning_tree(bits).operations == 27
    graph = network("x -> c: binary_conv(5, method = bnn)", "x: [N, 3, 5, 5]")
    made = apply(frozen(apply(graph, "inference").graph, {"c.weight": bits}), "mst-binary").graph
    x = RNG.normal(size=(1, 3, 5, 5))
    found = interpret(made, [x]).outputs[0]
    np.testing.assert_array_equal(found, interpret(graph, [x], {"c.weight": bits}).outputs[0])


def test_weights_and_groups_are_declined() -> None:
    graph = apply(network("x -> c: binary_conv(4, groups = 2, method = bnn)", "x: [N, 4, 5, 5]"), "inference").graph
    (entry,) = apply(graph, "mst-binary").journal.declined
    assert "weights" in (entry.reason or "")
    (entry,) = apply(frozen(graph, {"c.weight": signs(4, 2, 3, 3)}), "mst-binary").journal.declined
    assert "groups" in (entry.reason or "")


def test_a_loss_shortens_the_tree() -> None:
    weight, lengths = RNG.uniform(-1, 1, size=(6, 2, 3, 3)), []
    for _ in range(30):
        bits = np.where(weight >= 0, 1.0, -1.0)
        body = f"tree_length(x, {[list(pair) for pair in edges(bits)]})"
        lengths.append(value(body, weight))
        assert lengths[-1] == spanning_tree(bits).differing
        weight -= 0.05 * gradient(body, weight, np.ones(()))
    assert lengths[-1] < lengths[0] / 3


@pytest.mark.parametrize(("weights", "code"), [({}, "E512"), ({"c.weight": np.ones((4, 4, 1, 1))}, "E513")])
def test_weights_that_do_not_fit(weights: dict[str, Array], code: str) -> None:
    graph = apply(network("x -> c: binary_conv(4, method = bnn)", "x: [N, 4, 5, 5]"), "inference").graph
    with pytest.raises(architrave.ArchitraveError, match=code):
        frozen(graph, weights)


@pytest.mark.parametrize("bits", [np.zeros((0, 3)), np.array([[1.0, 0.5]])])
def test_what_is_no_filter_of_bits(bits: Array) -> None:
    with pytest.raises(ValueError, match="-1 and 1"):
        spanning_tree(bits)
