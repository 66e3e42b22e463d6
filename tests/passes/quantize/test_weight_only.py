"""Weights held in few bits: the same function as the rounded network, and what stays as it is."""

import numpy as np
import pytest

import architrave
from architrave.backends.arch import write
from architrave.ir.interpret import interpret
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import ArchitraveError
from architrave.models import find_in_text
from architrave.passes import Keeps, apply
from architrave.passes.quantize.weights.weight_only import WeightOnly

TEXT = """from std.linear import linear

model M()(x: [N, T, 32]) -> [N, T, 3] = x -> first: linear(16) -> relu -> second: linear(3, bias = false)
"""
RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 5, 32)).astype(np.float32)


def weights_of(graph):
    return {path_of(w): RNG.normal(size=w.shape).astype(np.float32) for w in graph.weights}


def grid(weight, bits, group, symmetric):
    """The nearest point of the grid, by another formula."""
    rows = weight.reshape(len(weight), -1, group or weight.shape[1]).astype(np.float64)
    if symmetric:
        scale = np.float32(np.abs(rows).max(2, keepdims=True) / (2 ** (bits - 1) - 1))
        return (np.round(rows / scale) * scale).reshape(weight.shape)
    least, most = np.minimum(rows.min(2, keepdims=True), 0), np.maximum(rows.max(2, keepdims=True), 0)
    scale = np.float32((most - least) / (2**bits - 1))
    zero = np.round(-least / scale)
    return ((np.clip(np.round(rows / scale) + zero, 0, 2**bits - 1) - zero) * scale).reshape(weight.shape)


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("group", [0, 8])
@pytest.mark.parametrize("symmetric", [True, False])
def test_weights_are_rounded_to_the_nearest(bits: int, group: int, symmetric: bool) -> None:
    graph = architrave.loads(TEXT)
    old = weights_of(graph)
    made = apply(graph, WeightOnly(bits, group, symmetric))
    new = made.weights(old)
    assert made.keeps is Keeps.LOSSY
    assert new["first.weight"].nbytes == old["first.weight"].size * bits / 8
    near = {path: grid(w, bits, group, symmetric) if w.ndim == 2 else w for path, w in old.items()}
    expected = interpret(graph, [X], near).outputs[0]
    found = interpret(made.graph, [X], new).outputs[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize(
    "rounded",
    [
        "quantize{bits=4 act=0 group=8}",
        "quantize{bits=3 act=0 group=16}",
        "quantize{bits=2 act=0}",
        "quantize{bits=8 act=0 granularity=tensor}",
        "quantize{bits=4 act=8 group=8}",
    ],
)
def test_what_is_rounded_already_keeps_its_numbers(rounded: str) -> None:
    graph = architrave.loads(TEXT)
    floats = apply(graph, rounded)
    chosen = floats.weights(weights_of(graph))
    # Other scales than those that the largest weight asks for, as methods that look at data choose them.
    chosen |= {path: w * np.float32(0.7) for path, w in chosen.items() if path.endswith("weight_scale")}
    made = apply(floats.graph, "weight-only{group=0}")
    assert sum(node.op.name == "linear_weight_only" for node in made.graph.nodes) == 2
    expected = interpret(floats.graph, [X], chosen).outputs[0]
    found = interpret(made.graph, [X], made.weights(chosen)).outputs[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("body", "options", "why"),
    [
        ("op.linear(x, w)", "{group=5}", "groups of 5 do not divide its 32 inputs"),
        ("op.linear(x, w) + take(w, i, axis = 0)", "{group=8}", "`take` at the model itself reads its weight as well"),
        ("op.linear(x, 2.0 * w)", "{group=8}", "its weight is computed"),
        ("op.linear(x[:, :30], v)", "{bits=2 group=0}", "30 codes of 2 bits do not fill bytes"),
        ("op.linear(x, op.fake_quantize(w, s, bits = 16))", "", "rounded to 16 bits"),
        ("op.linear(x, op.fake_quantize(w, t, bits = 4))", "", "not those of groups of inputs"),
    ],
)
def test_what_stays_in_floats_has_a_reason(body: str, options: str, why: str) -> None:
    text = f"""model M()(x: [4, 32], i: i64[]) {{
        param w: [32, 32]
        param v: [3, 30]
        param s: [32, 1]
        param t: [32]
        return {body}
    }}"""
    graph = architrave.loads(text)
    made = apply(graph, f"weight-only{options}")
    (entry,) = made.journal.declined
    assert why in (entry.reason or "")
    assert not made.journal.changes
    assert made.graph == graph


def test_an_embedding_that_is_also_the_last_layer_stays() -> None:
    graph = architrave.load("GPT2Small", vocab=11, width=16, depth=1, heads=2, context=6)
    made = apply(graph, "inference,weight-only{group=16}")
    (entry,) = made.journal.declined
    assert "`take` at the model itself reads its weight as well, as floats" in (entry.reason or "")
    assert sum(node.op.name == "linear_weight_only" for node in made.graph.nodes) == 4
    assert "embedding" in {path_of(w) for w in made.graph.weights}


def test_only_what_is_chosen_is_held_so() -> None:
    made = apply(architrave.loads(TEXT), "weight-only{group=8 only=second}")
    kinds = {path_of(w): str(w.dtype) for w in made.graph.weights}
    assert kinds == {
        "first.weight": "float",
        "first.bias": "float",
        "second.weight": "u8",
        "second.weight_scale": "float",
    }


def test_layers_that_share_a_weight_share_its_codes() -> None:
    text = """model M()(x: [N, 8]) {
        param w: [8, 8]
        return op.linear(relu(op.linear(x, w)), w)
    }"""
    made = apply(architrave.loads(text), "weight-only{group=4}")
    assert [path_of(w) for w in made.graph.weights] == ["w", "w_scale"]
    assert not made.journal.declined


@pytest.mark.parametrize("options", ["{group=8}", "{bits=8 group=0 symmetric=false}"])
def test_the_network_is_a_file(options: str) -> None:
    made = apply(architrave.loads(TEXT), f"weight-only{options}").graph
    assert find_in_text(write(made)).elaborate({}, keep_choices=True).graph == made


@pytest.mark.parametrize("options", ["bits=3", "group=-1"])
def test_options_out_of_range_are_refused(options: str) -> None:
    with pytest.raises(ArchitraveError) as caught:
        apply(architrave.loads(TEXT), f"weight-only{{{options}}}")
    assert caught.value.diagnostics[0].code == "E803"
