"""Convolutions as blocks of branches, and back."""

from __future__ import annotations

import numpy as np
import pytest

import architrave
from architrave.backends.agree.verification import verify
from architrave.ir.autodiff import with_gradients
from architrave.ir.cost import parameters
from architrave.ir.graph import Graph
from architrave.ir.interpret import interpret
from architrave.ir.ops.leaves import Param, path_of
from architrave.passes import Transformed, apply
from tests.reparam.blocks import Array, drawn

RNG = np.random.default_rng(0)
FORMS = {
    "repvgg": {"pointwise", "identity"},
    "acnet": {"along0", "along1"},
    "diverse": {"pointwise", "stacked", "pooled"},
    "dilated": {"dilated3_1", "dilated5_1", "dilated3_2", "dilated3_3"},
    "mobileone": {"kernel1", "kernel2", "kernel3", "pointwise", "identity"},
}
IMAGE = "4, 9, 8"
NETWORKS = {
    "plain": ("x -> conv2d(4) -> relu -> conv2d(6)", IMAGE),
    "strided": ("x -> conv2d(6, 3, stride = 2) -> relu -> conv2d(4, 7, stride = [2, 1])", IMAGE),
    "grouped": ("x -> conv2d(4, 5, groups = 4) -> relu -> conv2d(8, groups = 2) -> relu -> conv2d(4, 1)", IMAGE),
    "far apart": ("x -> conv2d(4, dilation = 2) -> relu -> conv2d(6, 5, dilation = [1, 2])", IMAGE),
    "padded more": ("x -> conv2d(4, padding = 2) -> relu -> conv2d(6, 2, padding = 1)", IMAGE),
    "in one dimension": ("x -> conv1d(4) -> relu -> conv1d(6, 5, stride = 2)", "4, 11"),
    "in three": ("x -> conv3d(4) -> relu -> conv3d(6, [3, 1, 5], groups = 2)", "4, 5, 6, 7"),
}
CASES = [(form, name) for form in FORMS for name in NETWORKS if (form, name) != ("acnet", "in one dimension")]


def network(body: str, shape: str) -> Graph:
    text = "from std.conv import conv1d, conv2d, conv3d\nfrom std.linear import linear\n"
    return architrave.loads(f"{text}model M()(x: [N, {shape}]) = {body}\n")


def expanded(form: str, name: str) -> tuple[Graph, Transformed, dict[str, Array], Array]:
    """A network, what a form makes of it, its weights and an input."""
    body, shape = NETWORKS[name]
    graph = network(body, shape)
    return (
        graph,
        apply(graph, f"expand{{form={form}}}"),
        drawn(graph),
        RNG.normal(size=(3, *map(int, shape.split(",")))),
    )


@pytest.mark.parametrize(("form", "name"), CASES)
def test_the_function_stays_the_same(form: str, name: str) -> None:
    graph, result, weights, x = expanded(form, name)
    assert parameters(result.graph) > parameters(graph)
    new = result.weights(weights)
    expected = interpret(graph, [x], weights).outputs[0]
    found = interpret(result.graph, [x], new).outputs[0]
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())


@pytest.mark.parametrize(("form", "name"), CASES)
def test_deploy_is_the_way_back(form: str, name: str) -> None:
    graph, result, weights, x = expanded(form, name)
    back = apply(result.graph, "deploy")
    assert parameters(back.graph) == parameters(graph)
    assert [n.op.name for n in back.graph.nodes if n.op.name in ("conv", "batch_norm")] == [
        n.op.name for n in graph.nodes if n.op.name == "conv"
    ]
    expected = interpret(graph, [x], weights).outputs[0]
    found = interpret(back.graph, [x], back.weights(result.weights(weights))).outputs[0]
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())


@pytest.mark.parametrize("form", FORMS)
def test_training_reaches_every_branch(form: str) -> None:
    graph = network("x -> conv2d(4, 3) -> relu -> conv2d(4, 7)", IMAGE)
    result = apply(graph, f"expand{{form={form}}}")
    x, new = RNG.normal(size=(3, 4, 9, 8)), result.weights(drawn(graph))
    run = interpret(with_gradients(result.graph), [x, RNG.normal(size=(3, 4, 9, 8))], new, training=True)
    params = [path_of(w) for w in result.graph.weights if isinstance(w.op, Param)]
    gradients = dict(zip(params, run.outputs[1:], strict=False))
    # A norm takes away what the norm before it adds.
    idle = {path for path, g in gradients.items() if np.abs(g).max() < 1e-9}
    assert all(path.endswith("first.norm.bias") for path in idle)
    assert {part for path in params for part in path.split(".")} >= FORMS[form] | {"norm"}
    states = {path for path in new if path.endswith(("running_mean", "running_var"))}
    assert run.updates.keys() == states
    assert all(not np.array_equal(run.updates[path], new[path]) for path in states)


def test_backends_agree() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("jax")
    graph = network("x -> conv2d(3) -> relu -> conv2d(4)", "3, 5, 4")
    report = verify(apply(graph, "expand{form=repvgg only=conv2d_0},expand{form=diverse only=conv2d_1}").graph)
    assert report.ok, str(report)


REFUSALS = {
    "narrower than its kernel": ("repvgg", "conv2d(4, 3, padding = 0)(x)"),
    "known in the run alone": ("repvgg", "op.conv(x, w, padding = [[0, H - 1], [1, 1]])"),
    "no dilated branches": ("dilated", "conv2d(4, [3, 5])(x)"),
    "no branch for it": ("repvgg", "conv2d(6, 1)(x)"),
    "one form of kernel": ("acnet", "conv1d(4)(mean(x, axis = 2))"),
    "another user": ("repvgg", "{\n c = conv2d(4)\n return c(c(x))\n}"),
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_what_does_not_fit_stays_as_it_is(reason: str) -> None:
    form, body = REFUSALS[reason]
    imports = "from std.conv import conv1d, conv2d\n"
    text = body if body.startswith("{") else f"{{\nparam w: [4, 4, 3, 3] = zeros\nreturn {body}\n}}"
    graph = architrave.loads(f"{imports}model M()(x: [N, 4, H, W]) {text}\n")
    result = apply(graph, f"expand{{form={form}}}")
    assert result.graph == graph
    assert all(reason in str(entry) for entry in result.journal.declined)
    assert result.journal.declined


@pytest.mark.parametrize("form", ["repvgg", "mobileone"])
def test_a_network_of_the_library_is_expanded(form: str) -> None:
    graph = architrave.load("resnet18", classes=10)
    result = apply(graph, f"expand{{form={form} only=layer1.*}}")
    assert result.journal.counts.total() == 4
    assert "layer1.0.conv1.identity.norm.running_var" in {path_of(w) for w in result.graph.weights}
    assert parameters(apply(result.graph, "deploy").graph) == parameters(apply(graph, "deploy").graph)


def test_weights_are_drawn_by_the_seed() -> None:
    graph = network(*NETWORKS["plain"])
    weights = drawn(graph)
    first, again, other = (apply(graph, f"expand{{seed={seed}}}").weights(weights) for seed in (0, 0, 1))
    path = "conv2d_0.pointwise.weight"
    np.testing.assert_array_equal(again[path], first[path])
    assert not np.array_equal(other[path], first[path])
    assert np.abs(first[path]).max() <= 1 / np.sqrt(4)


def test_new_weights_take_no_names_that_there_are() -> None:
    text = """
from std.norm import batch_norm

block both()(x: [N, C, *S]) -> [N, C, *S] {
    param weight: [C, C, 3, 3] = normal(1.0)
    param second: [C, C, 3, 3] = normal(1.0)
    x = op.conv(x, weight, padding = [[1, 1], [1, 1]])
    return op.conv(x, second, padding = [[1, 1], [1, 1]]) -> norm: batch_norm
}

model M()(x: [N, 3, 5, 5]) {
    param weight: [3, 3, 3, 3] = normal(1.0)
    return op.conv(x, weight, padding = [[1, 1], [1, 1]]) -> block: both
}
"""
    graph = architrave.loads(text)
    result = apply(graph, "expand")
    assert result.journal.counts.total() == 3
    weights, x = drawn(graph), RNG.normal(size=(2, 3, 5, 5))
    new = result.weights(weights)
    assert {"block.second.pointwise.weight", "block.weight.norm.bias", "weight.identity.norm.weight"} <= new.keys()
    expected = interpret(graph, [x], weights).outputs[0]
    np.testing.assert_allclose(interpret(result.graph, [x], new).outputs[0], expected, rtol=1e-10, atol=1e-9)
