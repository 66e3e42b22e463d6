"""Layers as chains of smaller ones: the same function at full rank, the nearest at less, and one layer again."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import architrave
from architrave.cli.places import network_text
from architrave.ir import cost
from architrave.ir.interpret import interpret
from architrave.models import find_in_text
from architrave.passes import Keeps, Pipeline, apply
from architrave.testing import assert_backends_agree

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 8, 9, 8))
TEXT = """from std.conv import conv2d
from std.linear import linear
from std.norm import batch_norm

model M()(x: [N, 8, 9, 8]) -> [N, 9] {
    y = x -> c: conv2d(12, [3, 5], stride = [2, 1], padding = [1, 2])
          -> bn: batch_norm
          -> relu
          -> g: conv2d(12, 3, groups = 2, bias = false)
    return mean(y, axis = [2, 3]) -> fc: linear(9)
}
"""
GRAPH = architrave.loads(TEXT)
WEIGHTS = architrave.init(GRAPH, 0, np.float64)
FULL = {
    "svd{rank=100 grow=true}": 3,
    "svd{rank=100 grow=true form=inputs}": 3,
    "svd{rank=100 grow=true form=spatial}": 2,
    "alds{rank=100 grow=true}": 2,
    "alds{ranks=*:4x100 grow=true}": 2,
    "alds{ranks=c:8x100,fc:12x100 grow=true}": 2,
    "tucker{rank=100 grow=true}": 1,
    "cp{rank=120 grow=true}": 1,
}
"""How many layers each of them takes apart."""


def value(graph: architrave.Graph, weights: dict[str, np.ndarray], training: bool = False) -> np.ndarray:
    return interpret(graph, [X], weights, training=training).outputs[0]


@pytest.mark.parametrize("text", FULL)
@pytest.mark.parametrize("training", [False, True])
def test_at_full_rank_the_function_stays(text: str, training: bool) -> None:
    made = apply(GRAPH, text)
    assert (made.keeps, len(made.journal.changes)) == (Keeps.LOSSY, FULL[text])
    found = value(made.graph, made.weights(WEIGHTS), training)
    tolerance = 1e-4 if text.startswith("cp") else 1e-12
    np.testing.assert_allclose(found, value(GRAPH, WEIGHTS, training), rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    "text", [*FULL, "svd{rank=2}", "alds{ranks=c:2x3,fc:3x2}", "tucker{ranks=c:3x4}", "cp{rank=5}"]
)
def test_the_chain_becomes_one_layer_again(text: str) -> None:
    """The inverse is `reparam`: one convolution or linear layer for each, of the function that the chain has."""
    made = apply(GRAPH, text)
    weights = made.weights(WEIGHTS)
    back = apply(made.graph, "inference,reparam{grow=true only=!bn},hoist,clean")
    operators = [node.op.name for node in back.graph.nodes if node.operands]
    assert operators == ["conv", "batch_norm", "relu", "conv", "mean", "linear"]
    assert cost.parameters(back.graph) == cost.parameters(GRAPH)
    np.testing.assert_allclose(value(back.graph, back.weights(weights)), value(made.graph, weights), atol=1e-12)


@pytest.mark.parametrize("text", ["svd{rank=3}", "alds{ranks=c:2x3,fc:3x2}", "tucker{ranks=c:3x4}", "cp{rank=3}"])
def test_the_network_reads_back_and_backends_agree(text: str) -> None:
    made = apply(GRAPH, text)
    assert find_in_text(network_text(made.graph)).elaborate({}).graph == made.graph
    assert_backends_agree(made.graph, dtypes=("float64",), modes=("inference",))


def matrices(form: str, kernel: np.ndarray) -> np.ndarray:
    out, inputs, h, w = kernel.shape
    match form:
        case "outputs":
            return kernel.reshape(out, -1)
        case "inputs":
            return kernel.transpose(1, 0, 2, 3).reshape(inputs, -1)
        case _:
            return kernel.transpose(1, 2, 0, 3).reshape(inputs * h, out * w)


@pytest.mark.parametrize(("form", "rank"), [*itertools.product(["outputs", "inputs", "spatial"], [1, 4])])
def test_what_is_lost_is_the_singular_values_beyond_the_rank(form: str, rank: int) -> None:
    """Eckart and Young: in the spectral norm the first of them, in the Frobenius norm all of them."""
    made = apply(GRAPH, f"svd{{rank={rank} form={form} only=c}}")
    back = apply(made.graph, "inference,reparam{grow=true only=c.*},hoist,clean")
    weights = back.weights(made.weights(WEIGHTS))
    (path,) = (path for path in weights if path.startswith("c.") and path.endswith("weight"))
    old, new = (matrices(form, w) for w in (WEIGHTS["c.weight"], weights[path]))
    left = np.linalg.svd(old, compute_uv=False)[rank:]
    np.testing.assert_allclose(np.linalg.norm(old - new, 2), left[0], rtol=1e-10)
    np.testing.assert_allclose(np.linalg.norm(old - new), np.sqrt((left**2).sum()), rtol=1e-10)


def test_channels_fitted_in_turn_come_nearer() -> None:
    errors = []
    for sweeps in (0, 3):
        made = apply(GRAPH, f"tucker{{ranks=c:3x4 sweeps={sweeps}}}")
        weights = made.weights(WEIGHTS)
        down, core, up = (weights[f"c.{name}.weight"] for name in ("down", "core", "up"))
        kernel = np.einsum("or,rqhw,qi->oihw", up[:, :, 0, 0], core, down[:, :, 0, 0])
        errors.append(np.linalg.norm(kernel - WEIGHTS["c.weight"]))
    assert errors[1] < errors[0]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("svd{rank=9 only=fc}", "would hold 189 numbers instead of 108"),
        ("alds{ranks=c:5x2}", "cannot be cut into 5 equal slices"),
        ("alds{ranks=g:2x2}", "has groups already"),
        ("tucker{rank=2 only=fc}", "`svd` takes it"),
        ("cp{rank=2 only=g}", "has groups"),
        ("svd{rank=2 form=spatial only=fc}", "no two axes"),
        ("svd{ranks=c:2x2}", "its rank is one number"),
        ("tucker{ranks=c:2x2x2}", "its rank is"),
        ("alds{ranks=c:2x2x2}", "its rank is"),
        ("cp{ranks=c:2x2}", "its rank is one number"),
        ("svd{rank=0}", "leaves nothing"),
    ],
)
def test_what_cannot_be_taken_apart_is_declined(text: str, why: str) -> None:
    made = apply(GRAPH, text)
    assert made.graph == GRAPH
    assert not made.prepares
    assert {why in (entry.reason or "") for entry in made.journal.declined} == {True}


def test_weights_in_use_elsewhere_and_layers_in_loops_stay() -> None:
    shared = """from std.linear import linear
model M()(x: [N, 4]) -> [N, 4] {
    param weight: [4, 4] = zeros
    y = op.linear(op.linear(x, weight), weight)
    for i in 0..2 { y = y -> each[i]: linear(4) }
    return y -> free: linear(4)
}"""
    made = apply(architrave.loads(shared), "svd{rank=1}")
    assert [entry.reason for entry in made.journal.declined] == ["its weight is computed, or has another user"] * 2
    assert len(made.journal.changes) == 3


@pytest.mark.parametrize("text", ["c", "c:", ":4", "c:0", "c:4y2", "c:4,", "c:1x"])
def test_ranks_that_are_none(text: str) -> None:
    with pytest.raises(architrave.ArchitraveError, match=r"E803.*SELECTOR:RANK"):
        Pipeline.parse(f"svd{{ranks={text}}}")


def test_a_pipeline_with_ranks_reads_back() -> None:
    text = "alds{ranks=layer1.*:2x8,op:linear:4 grow=true},hoist"
    assert str(Pipeline.parse(text)) == text
