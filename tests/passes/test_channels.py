"""Channels that are chosen or permuted before or after a map."""

import numpy as np
import pytest

import architrave
from architrave.ir.interpret import interpret
from architrave.passes import apply

IMPORTS = "from std.conv import conv2d\nfrom std.linear import linear\n"
ORDER = "constant([2, 0, 3, 1], dtype = i64)"
TWICE = "constant([0, 0, 1, 2], dtype = i64)"
CASES = {
    "sliced": ("(x -> conv2d(6, 3))[:, 1:4]", {"conv"}, (3, 4, 3, 3)),
    "every other": ("(x -> conv2d(6, 3))[:, 0:6:2]", {"conv"}, (3, 4, 3, 3)),
    "flipped": ("op.flip(x -> conv2d(4, 1), axes = [1])", {"conv"}, (4, 4, 1, 1)),
    "taken": (f"take(x -> conv2d(4, 3), {ORDER}, axis = 1)", {"conv"}, (4, 4, 3, 3)),
    "of a linear layer": ("(x -> linear(7))[..., 2:5]", {"linear"}, (3, 5)),
    "permuted before": (f"take(x, {ORDER}, axis = 1) -> conv2d(3, 3)", {"conv"}, (3, 4, 3, 3)),
    "repeated before": (f"take(x, {TWICE}, axis = 1) -> conv2d(3, 1)", {"take", "conv"}, None),
    "repeated behind": (f"take(x -> conv2d(3, 1), {TWICE}, axis = 1)", {"take", "conv"}, None),
    "groups": (f"take(x -> conv2d(4, 3, groups = 2), {ORDER}, axis = 1)", {"take", "conv"}, None),
    "another axis": ("(x -> conv2d(6, 3))[:, :, 1:3]", {"slice", "conv"}, None),
}


@pytest.mark.parametrize("name", CASES)
def test_the_weight_takes_the_choice(name: str) -> None:
    body, left, shape = CASES[name]
    graph = architrave.loads(f"{IMPORTS}model M()(x: [N, 4, 5, 5]) = {body}")
    made = apply(graph, "deploy")
    weights = architrave.init(graph)
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 5))
    expected = interpret(graph, [x], weights).outputs[0]
    found = interpret(made.graph, [x], made.weights(weights, np.float64)).outputs[0]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    assert {node.op.name for node in made.graph.nodes if node.operands} == left
    if shape is not None:
        assert shape in {w.shape for w in made.graph.weights}


def test_a_mean_of_one_channel_stays_a_mean() -> None:
    text = "model M()(x: [2, 1, 9]) = tanh(op.flip(op.avg_pool(x, kernel = [2], stride = [1]), axes = [1]))"
    made = apply(architrave.loads(text), "reparam,hoist")
    assert "conv" not in {node.op.name for node in made.graph.nodes}
    assert any("multiply-adds" in str(entry.reason) for entry in made.journal.declined)
