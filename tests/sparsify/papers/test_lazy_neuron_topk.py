"""Li and others, "The Lazy Neuron Phenomenon: On Emergence of Activation Sparsity in Transformers" (2023)."""

from __future__ import annotations

import numpy as np
import pytest

import architrave
from architrave.ir import build
from architrave.ir.autodiff import grad
from architrave.ir.cost import multiply_adds
from architrave.ir.graph import Graph
from architrave.ir.source import ArchitraveError
from architrave.passes import apply
from architrave.sparsity.activations.counts import activities, needed
from architrave.testing import assert_backends_agree, assert_same_function

BACKENDS = ("numpy", "torch", "jax")
TEXT = """
from std.linear import linear
from std.norm import layer_norm

model Tokens(depth: int = 2)(x: [N, T, 12]) -> [N, T, 12] {
    for i in 0..depth {
        h = x -> layer_norm -> wi[i]: linear(32, bias = false) -> relu
        x = x + (h -> wo[i]: linear(12))
    }
    return x
}
"""
TOKENS = [np.random.default_rng(i).standard_normal((3, 5, 12)) for i in range(2)]


def network() -> Graph:
    return architrave.loads(TEXT)


@pytest.mark.parametrize("k", [1, 4, 31])
def test_no_token_has_more_than_k_units(k):
    graph = apply(network(), f"topk-activations{{k={k}}}").graph
    kept = [node.outputs[0] for node in graph.nodes if node.op.name == "keep_topk"]
    assert len(kept) == 2
    inner = build.graph("inner", graph.inputs, kept)
    for found in architrave.interpret(inner, [TOKENS[0]], architrave.init(graph)).outputs:
        counts = (found != 0).sum(-1)
        assert counts.max() <= k


def test_ties_keep_the_first_units():
    x = build.input("x", "[N, 4]")
    graph = build.graph("ties", [x], [build.keep_topk(x, k=2)])
    (found,) = architrave.interpret(graph, [np.array([[1.0, 3.0, 1.0, 1.0]])]).outputs
    assert found.tolist() == [[1.0, 3.0, 0.0, 0.0]]


def test_all_units_are_the_network_as_it_was():
    graph = network()
    made = apply(graph, "topk-activations{k=32}")
    assert made.graph == graph
    assert {entry.reason for entry in made.journal.declined} == {"it has 32 units, no more than are kept"}
    # The operator itself, too, is the identity then.
    h = build.input("h", "[N, 32]")
    kept = build.graph("kept", [h], [build.keep_topk(h, k=32)])
    h0 = np.random.default_rng(0).standard_normal((3, 32))
    assert np.array_equal(architrave.interpret(kept, [h0]).outputs[0], h0)


def test_gathered_rows_give_what_the_whole_product_gives():
    masked = apply(network(), "topk-activations{k=6}").graph
    made = apply(masked, "gather-rows")
    assert made.keeps.name == "EXACT"
    assert_same_function(masked, made.graph)
    weights = architrave.init(masked)
    for backend in BACKENDS:
        whole, gathered = (
            architrave.compile(g, backend=backend)(weights, TOKENS[0].astype(np.float32)) for g in (masked, made.graph)
        )
        assert np.abs(whole - gathered).max() < 1e-5


def test_skipped_zeros_give_what_the_whole_product_gives():
    masked = apply(network(), "topk-activations{k=6}")
    made = apply(masked.graph, "skip-zeros,hoist")
    weights = architrave.init(network())
    token = TOKENS[0][:1, :1].astype(np.float32)
    new = made.weights(weights)
    whole = architrave.compile(masked.graph, backend="numpy")(weights, token)
    for backend in BACKENDS:
        assert np.abs(architrave.compile(made.graph, backend=backend)(new, token) - whole).max() < 1e-5
    assert {"wo.0.weight", "wo.1.weight"} <= {p for p in new if new[p].shape == (32, 12)}


def test_gradients_flow_to_kept_units_alone_and_unchanged():
    h = build.input("h", "[2, 8]")
    c = build.input("c", "[2, 8]")
    loss = build.graph("loss", [h, c], [build.sum(build.keep_topk(h, k=3) * c)])
    values, weights = (np.random.default_rng(i).standard_normal((2, 8)) for i in range(2))
    found, _ = architrave.interpret(grad(loss, wrt=loss.inputs), [values, weights]).outputs
    kept = np.argsort(np.argsort(-values, axis=1), axis=1) < 3
    np.testing.assert_array_equal(found, np.where(kept, weights, 0))


def test_the_backends_agree_on_it():
    graph = architrave.loads(TEXT.replace("depth: int = 2", "depth: int = 1"))
    assert_backends_agree(apply(graph, "topk-activations{k=6}").graph, sizes={"N": 2, "T": 3})


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_symmetric_start_leaves_half_of_the_units(backend):
    graph = architrave.loads(TEXT.replace("linear(32,", "linear(512,"))
    batches = [(np.random.default_rng(i).standard_normal((8, 16, 12)).astype(np.float32),) for i in range(3)]
    found = activities(graph, architrave.init(graph), batches, backend=backend)
    assert [activity.where for activity in found.found] == ["the model itself"] * 2
    for activity in found.found:
        assert activity.share == pytest.approx(0.5, abs=0.02)
        assert activity.share <= activity.most <= 1
    assert "differ from 0" in str(found)


def test_the_probe_counts_what_is_there():
    graph = architrave.loads("model M()(x: [N, 4]) -> [N, 4] = x -> relu")
    x = np.array([[1.0, -1.0, 2.0, 0.0], [1.0, 1.0, 1.0, 1.0], [-1.0, -2.0, -3.0, -4.0]])
    (activity,) = activities(graph, {}, [(x[:2],), (x[2:],)]).found
    assert (activity.share, activity.most) == (0.5, 1.0)


def test_cost_knows_of_sparse_activations():
    graph = network()
    sizes = {"N": 1, "T": 1}
    masked = apply(graph, "topk-activations{k=8}").graph
    # Two layers of 12 x 32 in and as much out, of which a quarter of the units is left.
    assert needed(masked, {}, sizes) == (4 * 12 * 32, 2 * 12 * 32 + 2 * 12 * 8)
    gathered = apply(masked, "gather-rows").graph
    assert multiply_adds(gathered, sizes) == 2 * 12 * 32 + 2 * 12 * 8
    found = activities(masked, architrave.init(masked), [(TOKENS[0],)])
    whole, left = found.multiply_adds(sizes)
    assert whole == 4 * 12 * 32
    assert left <= 2 * 12 * 32 + 2 * 12 * 8
    assert {activity.node.op.name for activity in found.found} == {"keep_topk"}


def test_what_cannot_be_is_refused():
    with pytest.raises(ArchitraveError, match="E803"):
        apply(network(), "topk-activations{k=0}")
    linear = architrave.loads("model M()(x: [N, 4]) -> [N, 4] = x -> tanh")
    with pytest.raises(ArchitraveError, match="E942"):
        activities(linear, {}, [(np.zeros((1, 4)),)])
    with pytest.raises(ArchitraveError, match="E912"):
        activities(network(), architrave.init(network()), [])
