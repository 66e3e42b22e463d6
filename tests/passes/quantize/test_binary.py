"""Layers of signs as bits: the same numbers, on every backend, and reasons where they stay floats."""

import numpy as np
import pytest

import architrave
from architrave.backends.arch import write
from architrave.ir.interpret import interpret
from architrave.ir.ops.leaves import path_of
from architrave.models import find_in_text
from architrave.passes import Keeps, apply

RNG = np.random.default_rng(0)
SIGNS = {
    "linear": ("x: [3, 5, 70]", "w: [9, 70]", "op.linear({x}, {w})"),
    "linear with a bias": ("x: [3, 70]", "w: [9, 70]", "op.linear({x}, {w}, b)"),
    "one input": ("x: [3, 1]", "w: [9, 1]", "op.linear({x}, {w})"),
    "conv": ("x: [2, 12, 7, 6]", "w: [9, 12, 3, 3]", "op.conv({x}, {w}, padding = [[1, 1], [1, 0]])"),
    "conv with a bias": ("x: [2, 3, 7]", "w: [9, 3, 3]", "op.conv({x}, {w}, b, stride = [2], padding = [[2, 2]])"),
    "groups": ("x: [2, 6, 7]", "w: [9, 2, 3]", "op.conv({x}, {w}, dilation = [2], padding = [[1, 2]], groups = 3)"),
    "depthwise": ("x: [2, 9, 8, 8]", "w: [9, 1, 3, 3]", "op.conv({x}, {w}, padding = [[1, 1], [1, 1]], groups = 9)"),
    "three axes": ("x: [1, 2, 4, 4, 4]", "w: [9, 2, 2, 2, 2]", "op.conv({x}, {w}, padding = [[1, 1], [1, 1], [0, 1]])"),
    "moved": ("x: [2, 5, 14]", "w: [9, 5, 14]", "op.linear(flatten({x}, 1), reshape({w}, [9, 70]))"),
}


def network(case: str, x: str = "op.binarize(x)", w: str = "op.binarize(w)"):
    input, weight, body = SIGNS[case]
    return architrave.loads(f"model M()({input}) {{\nparam {weight}\nparam b: [9]\nreturn {body.format(x=x, w=w)}\n}}")


def drawn(graph):
    weights = {path_of(v): RNG.normal(size=v.shape).astype(np.float32) for v in graph.weights}
    x = RNG.normal(size=graph.inputs[0].shape).astype(np.float32)
    x.flat[:3] = 0.0, -0.0, np.nan  # of 0 the sign is 1, of NaN it is -1
    return weights, x[..., : graph.inputs[0].shape[-1]]


@pytest.mark.parametrize("target", ["numpy", "torch", "jax"])
@pytest.mark.parametrize("case", SIGNS)
def test_bits_give_the_same_bytes_as_floats(case: str, target: str) -> None:
    if target != "numpy":
        pytest.importorskip(target)
    graph = network(case)
    made = apply(graph, "inference,binary,hoist")
    assert made.keeps is Keeps.EXACT
    assert [n.op.name for n in made.graph.nodes if n.op.name.endswith(("linear", "conv"))] == []
    weights, x = drawn(graph)
    weights["b"] = np.round(4 * weights["b"])  # so that adding it rounds nothing
    before = architrave.compile(graph, target)(weights, x)
    after = architrave.compile(made.graph, target)(made.weights(weights), x)
    assert before.dtype == after.dtype
    np.testing.assert_array_equal(after, before)
    packed = made.weights(weights)["weight"]
    assert packed.dtype == np.uint8
    assert packed.nbytes <= weights["w"].size / 8 + packed.nbytes / packed.shape[-1]


@pytest.mark.parametrize(
    ("case", "x", "w", "scales"),
    [
        ("linear", "2.0 * op.binarize(x)", "op.binarize(w) * s", "param s: [9, 1]"),
        ("linear", "op.binarize(x) * mean(abs(x), axis = [2], keep = true)", "0.5 * op.binarize(w)", ""),
        (
            "conv",
            "op.binarize(x) * mean(abs(x), axis = [1, 2, 3], keep = true)",
            "op.binarize(w) * s",
            "param s: [9, 1, 1, 1]",
        ),
    ],
)
def test_scales_are_taken_out(case: str, x: str, w: str, scales: str) -> None:
    input, weight, body = SIGNS[case]
    text = f"model M()({input}) {{\nparam {weight}\n{scales}\nreturn {body.format(x=x, w=w)}\n}}"
    graph = architrave.loads(text)
    made = apply(graph, "inference,binary,hoist")
    assert any(node.op.name.endswith("_binary") for node in made.graph.nodes)
    weights, data = drawn(graph)
    data = np.nan_to_num(data)
    expected = interpret(graph, [data], weights).outputs[0]
    found = interpret(made.graph, [data], made.weights(weights, np.float64)).outputs[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("case", "x", "w", "why"),
    [
        ("linear", "x", "op.binarize(w)", "its weight is signs, but not its input"),
        ("linear", "op.binarize(x)", "w", "its input is signs alone"),
        ("linear", "op.binarize(x)", "op.binarize(w + mean(x))", "its weight depends on the input"),
        ("linear", "op.binarize(x) * abs(x)", "op.binarize(w)", "its scales differ among the signs of one sum"),
        ("conv", "op.binarize(x) * mean(abs(x), axis = 1, keep = true)", "op.binarize(w)", "its scales differ"),
    ],
)
def test_what_stays_in_floats_has_a_reason(case: str, x: str, w: str, why: str) -> None:
    graph = network(case, x, w)
    made = apply(graph, "binary")
    (entry,) = made.journal.declined
    assert why in (entry.reason or "")
    assert made.graph == graph


def test_the_network_is_a_file() -> None:
    made = apply(architrave.load("examples/digits/binary.arch:BinaryResNet"), "inference,binary,hoist").graph
    assert sum(node.op.name == "conv_binary" for node in made.nodes) == 6
    assert find_in_text(write(made)).elaborate({}, keep_choices=True).graph == made


METHODS = """from std.binary import binary_conv, binary_linear, {method}

model Rows()(x: [4, 6, 20]) = x -> a: binary_linear(32, {method}, bias = true) -> relu -> b: binary_linear(7, {method})
model Images()(x: [2, 6, 9, 8]) {{
    x = x -> a: binary_conv(32, 3, 1, {method}, bias = true) -> relu
    return x -> b: binary_conv(8, 3, 2, {method}, groups = 2)
}}
"""


@pytest.mark.parametrize("model", ["Rows", "Images"])
@pytest.mark.parametrize("method", ["bnn", "xnor", "dorefa", "bi_real", "xnor_plus", "reactnet", "recu", "fda"])
def test_every_method_of_the_library_becomes_bits(method: str, model: str) -> None:
    graph = architrave.loads(METHODS.format(method=method), model)
    made = apply(graph, "inference,binary,hoist")
    assert not made.journal.declined
    assert sum(node.op.name.endswith("_binary") for node in made.graph.nodes) == 2
    weights = architrave.init(graph)
    x = RNG.normal(size=graph.inputs[0].shape)
    expected = interpret(graph, [x], weights).outputs[0]
    found = interpret(made.graph, [x], made.weights(weights, np.float64)).outputs[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
