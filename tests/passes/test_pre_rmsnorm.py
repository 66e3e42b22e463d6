"""Pre-LN networks as Pre-RMSNorm and Pre-CRMSNorm networks, and back."""

from __future__ import annotations

import numpy as np
import pytest

import architrave
from architrave.ir.autodiff import with_gradients
from architrave.ir.cost import parameters
from architrave.ir.graph import Graph, Value
from architrave.ir.interpret import interpret
from architrave.ir.ops.norm import LayerNorm, RmsNorm
from architrave.passes import apply
from architrave.passes.reparam.stream import Stream, streams
from architrave.passes.static import Static
from tests.reparam.blocks import Array, drawn
from tests.stdlib.small import SMALL

RNG = np.random.default_rng(0)
VIT = {"width": 12, "depth": 2, "heads": 3, "hidden": 20, "patch": 4, "size": 8, "classes": 5}
GPT = {"vocab": 11, "width": 12, "depth": 2, "heads": 3, "context": 7}
PASSES = {
    "pre-rmsnorm": "inference,pre-rmsnorm,duplicates,hoist",
    "crms-norm": "inference,crms-norm,duplicates,hoist",
    "pre-layer-norm": "inference,pre-rmsnorm,pre-layer-norm,duplicates,hoist",
}
WIDER = {"pre-rmsnorm": 0, "crms-norm": -1, "pre-layer-norm": 1}


def given(name: str) -> tuple[Graph, dict[str, Array], Array]:
    match name:
        case "vit":
            graph, x = architrave.load("ViTTi16", **VIT), RNG.normal(size=(2, 3, 8, 8))
        case "gpt":
            graph, x = architrave.load("GPT2Small", **GPT), RNG.integers(0, 11, (2, 5))
        case _:
            raise AssertionError
    return graph, drawn(graph), x


@pytest.mark.parametrize("name", ["vit", "gpt"])
@pytest.mark.parametrize("passes", PASSES)
def test_the_function_and_its_gradient_stay_the_same(name: str, passes: str) -> None:
    graph, weights, x = given(name)
    plain, result = apply(graph, "inference").graph, apply(graph, PASSES[passes])
    expected = interpret(plain, [x], weights).outputs[0]
    runs = [(plain, weights), (result.graph, result.weights(weights))]
    if name == "gpt":
        found = [interpret(g, [x], w).outputs for g, w in runs]
    else:
        cotangent = RNG.normal(size=expected.shape)
        found = [interpret(with_gradients(g, g.inputs), [x, cotangent], w).outputs for g, w in runs]
    for old, new in zip(*found, strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-10, atol=1e-10 * np.abs(old).max())
    assert not result.journal.declined


@pytest.mark.parametrize("name", ["vit", "gpt"])
@pytest.mark.parametrize("passes", PASSES)
def test_no_norm_of_the_other_kind_is_left(name: str, passes: str) -> None:
    graph, _, _ = given(name)
    result = apply(graph, PASSES[passes])
    norms = [node.op.name for node in result.graph.nodes if node.op.name.endswith("norm")]
    assert norms == {"pre-rmsnorm": ["rms_norm"], "crms-norm": [], "pre-layer-norm": ["layer_norm"]}[passes] * 5
    assert all(len(node.operands) == 1 for node in result.graph.nodes if node.op.name.endswith("norm"))


def stream_of(graph: Graph, norm: type[LayerNorm | RmsNorm]) -> Stream:
    (found,) = streams(graph, norm, Static(graph))
    assert isinstance(found, Stream)
    return found


def values(graph: Graph, wanted: list[Value], x: Array, weights: dict[str, Array]) -> list[Array]:
    seen: dict[Value, Array] = {}
    interpret(graph, [x], weights, observe=lambda node, arrays: seen.update(zip(node.outputs, arrays, strict=True)))
    return [seen[v] for v in wanted]


@pytest.mark.parametrize("name", ["vit", "gpt"])
def test_the_stream_has_mean_zero_and_compressed_it_lacks_its_last_coordinate(name: str) -> None:
    graph, weights, x = given(name)
    plain = apply(graph, "inference").graph
    centred, compressed = (apply(graph, PASSES[passes]) for passes in ("pre-rmsnorm", "crms-norm"))
    read = [n.operands[0] for n in centred.graph.nodes if isinstance(n.op, RmsNorm)]
    old = values(plain, [n.operands[0] for n in plain.nodes if isinstance(n.op, LayerNorm)], x, weights)
    full = values(centred.graph, read, x, centred.weights(weights))
    for before, after in zip(old, full, strict=True):
        np.testing.assert_allclose(after.mean(-1), 0, atol=1e-13)
        np.testing.assert_allclose(after, before - before.mean(-1, keepdims=True), rtol=1e-10, atol=1e-12)
    squared = [n.operands[0] for n in compressed.graph.nodes if n.op.name == "rsqrt"]
    multiplied = [n.operands[0] for n in compressed.graph.nodes if n.op.name == "multiply"]
    stored = [v for v in dict.fromkeys(multiplied) if v.shape[-1] == 11 and v.node.op.name != "multiply"]
    assert len(squared) == len(stored) == len(full)
    for after, short in zip(full, values(compressed.graph, stored, x, compressed.weights(weights)), strict=True):
        assert short.shape[-1] == after.shape[-1] - 1
        np.testing.assert_allclose(short, after[..., :-1], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("passes", PASSES)
def test_weights_of_norms_go_into_linear_layers(passes: str) -> None:
    graph, _, _ = given("vit")
    result = apply(graph, PASSES[passes])
    before = {path: shape for path, shape in shapes(graph).items() if "norm" not in path}
    after = shapes(result.graph)
    assert after.keys() == before.keys()
    width = 12 + WIDER[passes]
    assert after["layer.0.mlp.fc1.weight"] == (20, width)
    assert after["layer.0.mlp.fc2.weight"] == (width, 20)
    assert after["class_token"] == (1, 1, width)
    assert after["patches.weight"] == (width, 3, 4, 4)
    if passes == "pre-rmsnorm":
        assert parameters(result.graph) == parameters(graph) - 5 * 2 * 12


def shapes(graph: Graph) -> dict[str, tuple[object, ...]]:
    return {w.op.path: w.shape for w in graph.weights}


def test_without_hoist_the_weights_stay_those_that_are_trained() -> None:
    graph, weights, x = given("vit")
    live = apply(graph, "inference,pre-rmsnorm,dead")
    assert parameters(live.graph) == parameters(graph)
    cotangent = RNG.normal(size=(2, 5))
    old, new = (
        interpret(with_gradients(g), [x, cotangent], weights).outputs
        for g in (apply(graph, "inference").graph, live.graph)
    )
    for a, b in zip(old, new, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-10, atol=1e-10 * max(np.abs(a).max(), 1))


def test_every_network_of_rms_norms_is_one_of_layer_norms() -> None:
    graph = architrave.load("Llama", **SMALL["Llama"])
    weights, x = drawn(graph), RNG.integers(0, 11, (2, 5))
    result = apply(graph, "inference,pre-layer-norm,duplicates,hoist")
    names = [node.op.name for node in result.graph.nodes]
    assert "rms_norm" not in names
    assert names.count("layer_norm") == 5
    expected = interpret(graph, [x], weights).outputs[0]
    found = interpret(result.graph, [x], result.weights(weights)).outputs[0]
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())


NORMED = {"BERTBase": 1, "ConvNeXtT": 1, "GPT2Small": 5, "MLPMixerS16": 0, "ViTB16": 3, "ViTS16": 5}
"""How many layer norms of a standard network read a stream that can be centred."""


@pytest.mark.parametrize("passes", ["pre-rmsnorm", "crms-norm"])
@pytest.mark.parametrize("name", NORMED)
def test_standard_networks(name: str, passes: str) -> None:
    graph = architrave.load(name, **SMALL[name])
    result = apply(graph, PASSES[passes])
    assert result.journal.counts[passes, "layer_norm"] == NORMED[name]
    weights, inputs = drawn(graph), [drawn_input(v) for v in graph.inputs]
    expected = interpret(graph, inputs, weights).outputs[0]
    found = interpret(result.graph, inputs, result.weights(weights)).outputs[0]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10 * np.abs(expected).max())


def drawn_input(value: Value) -> Array:
    shape = [size if isinstance(size, int) else 3 for size in value.shape]
    return RNG.normal(size=shape) if value.dtype.is_float else RNG.integers(0, 2, shape)


IMPORTS = """
from std.attention import self_attention
from std.conv import conv2d
from std.linear import linear
from std.norm import batch_norm, layer_norm
"""
REFUSALS = {
    "`input` writes to the stream": "x -> layer_norm -> linear(4)",
    "`layer_norm` writes to the stream": "x -> layer_norm -> layer_norm",
    "`relu` writes to the stream": "x -> linear(6) -> relu -> layer_norm",
    "`tanh` reads the stream": "{\n y = x -> linear(6)\n return tanh(y) + layer_norm(y)\n}",
    "the network returns the stream itself": "{\n y = x -> linear(6)\n return (y, layer_norm(y))\n}",
    "not of several coordinates": "x -> linear(1) -> layer_norm",
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_other_streams_stay_as_they_are(reason: str) -> None:
    body = REFUSALS[reason]
    graph = architrave.loads(f"{IMPORTS}model M()(x: [N, T, 4]) {'' if body[0] == '{' else '= '}{body}\n")
    result = apply(graph, "pre-rmsnorm")
    assert result.graph == graph
    assert reason in "; ".join(map(str, result.journal.declined))


STREAMS = {
    "moved and scaled": """{
    y = x -> linear(6) -> rearrange("n t c -> t c n")
    y = roll(concat([2 * y, -y], axis = 0), [1], [2]) / 3
    y = mean(flip(pad(rearrange(y, "t c n -> c n t"), [[0, 0], [0, 0], [1, 2]]), [1]), axis = 2)
    return rearrange(y, "c n -> n c") -> layer_norm -> linear(3)
}""",
    "read by more than maps": """{
    param scale: [6] = ones
    y = x -> linear(6)
    z = y -> layer_norm -> tanh -> linear(6)
    return (y + z * 2 -> layer_norm) * scale
}""",
    "convolved": """{
    y = unsqueeze(x, 1) -> conv2d(6, 3) -> rearrange("n c h w -> n h w c")
    y = y + (y -> layer_norm -> linear(6, bias = false))
    return y -> layer_norm -> rearrange("n h w c -> n c h w") -> conv2d(2, 3, padding = 0)
}""",
    "padded": """{
    y = unsqueeze(x, 1) -> conv2d(6, 3) -> rearrange("n c h w -> n h w c")
    return y -> layer_norm -> rearrange("n h w c -> n c h w") -> conv2d(2, 3)
}""",
}


@pytest.mark.parametrize("passes", PASSES)
@pytest.mark.parametrize("name", STREAMS)
def test_streams_of_other_forms(name: str, passes: str) -> None:
    graph = architrave.loads(f"{IMPORTS}model M()(x: [N, 5, 4]) {STREAMS[name]}\n")
    result = apply(graph, PASSES[passes])
    assert not result.journal.declined
    assert result.graph != graph
    weights, x = drawn(graph), RNG.normal(size=(3, 5, 4))
    expected = interpret(graph, [x], weights).outputs[0]
    found = interpret(result.graph, [x], result.weights(weights)).outputs[0]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10 * np.abs(expected).max())


def test_backends_agree() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("jax")
    graph = architrave.load("ViTTi16", **{**VIT, "depth": 1})
    report = architrave.verify(apply(graph, PASSES["crms-norm"]).graph)
    assert report.ok, str(report)
