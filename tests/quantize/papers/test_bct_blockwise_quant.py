"""Dong et al., "Blockwise Compression of Transformer-based Models without Retraining" (BCT, 2023)."""

from __future__ import annotations

import numpy as np
import pytest

import architrave
from architrave.ir.source import ArchitraveError
from architrave.passes import apply
from architrave.passes.quantize.rounding.sites import weight_sites
from architrave.quantize.calibrate import calibrate
from architrave.quantize.grid import Grid, shaped
from architrave.quantize.layerwise import ByHessian, layerwise
from architrave.quantize.size import size
from tests.quantize.networks import TOKENS, error, tokens

BACKENDS = ("numpy", "torch", "jax")
LAYER = (
    "from std.linear import linear\nmodel Net()(x: [N, 128]) -> [N, {out}] = x -> layer: linear({out}, bias = false)"
)


def ready(graph, weights, batches, pipeline):
    made = apply(graph, pipeline)
    held = calibrate(made.graph, made.weights(weights), batches, backend="numpy", power_of_two=True)
    return made.graph, held


@pytest.mark.parametrize("bits", [3, 4, 8])
def test_a_weight_moves_by_half_the_step_of_its_block_at_most(bits):
    graph, weights, _ = tokens()
    made = apply(graph, f"blockwise{{bits={bits} block=8}}")
    held = made.weights(weights)
    for site in weight_sites(made.graph):
        w, grid = held[site.path].reshape(shaped(site)), Grid.of(site, held)
        assert np.all(np.abs(grid.nearest(w) - w) <= grid.scale / 2 * (1 + 1e-6))
        assert np.all(np.log2(grid.scale) == np.round(np.log2(grid.scale)))
        # Half the scale would cut something off, in each block.
        assert np.all(np.abs(w).max((1, 3), keepdims=True) > grid.scale / 2 * grid.hi)


def test_one_block_is_one_scale_for_the_tensor():
    graph, weights, batches = tokens()
    whole, held = ready(graph, weights, batches, "blockwise{block=4096}")
    plain = apply(graph, "quantize{bits=4 symmetric=true granularity=tensor only=op:linear}")
    like = plain.weights(weights)
    for site in weight_sites(plain.graph):
        like[site.scale] = 2.0 ** np.ceil(np.log2(like[site.scale]))
    like = calibrate(plain.graph, like, batches, backend="numpy", power_of_two=True)
    assert {site.scale_shape for site in weight_sites(whole)} == {(1, 1, 1, 1)} or all(
        np.prod(site.scale_shape) == 1 for site in weight_sites(whole)
    )
    np.testing.assert_array_equal(
        architrave.compile(whole, "numpy")(held, *batches[0]),
        architrave.compile(plain.graph, "numpy")(like, *batches[0]),
    )


@pytest.mark.parametrize("lead", ["[N, 16]", "[N, T, 16]"])
def test_integers_of_blocks_are_the_same_bytes_everywhere(lead):
    text = f"""
from std.linear import linear
model Net()(x: {lead}) -> {lead.replace("16", "12")} = x -> up: linear(8) -> relu -> down: linear(12)
"""
    graph = apply(architrave.loads(text), "inference,clean").graph
    rng = np.random.default_rng(0)
    weights = architrave.init(graph)
    for path in ("up.weight", "down.weight"):
        out, inputs = weights[path].shape
        weights[path] *= 2.0 ** rng.integers(-9, 1, (out // 4, 1, inputs // 4, 1)).repeat(4, 1).repeat(4, 3).reshape(
            out, inputs
        )
    x = rng.normal(size=(5, 3, 16)[: 2 + ("T" in lead)] if "T" in lead else (5, 16)).astype(np.float32)
    rounded, held = ready(graph, weights, [(x,)], "blockwise{block=4}")
    lowered = apply(rounded, "blockwise-integer,hoist,dead")
    ready_weights = lowered.weights(held)
    assert sum(node.op.name == "matmul_integer" for node in lowered.graph.nodes) == 2
    assert not any(node.op.name in ("linear", "fake_quantize") for node in lowered.graph.nodes)
    results = [architrave.compile(lowered.graph, backend)(ready_weights, x) for backend in BACKENDS]
    assert all(y.tobytes() == results[0].tobytes() for y in results)
    exact = architrave.compile(rounded, "numpy")(
        {p: w.astype(np.float64) for p, w in held.items()}, x.astype(np.float64)
    )
    np.testing.assert_allclose(results[0], exact, atol=1e-4 * np.abs(exact).max())


@pytest.mark.slow
def test_a_transformer_in_blocks_is_the_same_bytes_everywhere():
    """Blocks for its layers, integers and tables for the softmax, the norms and the activation functions between."""
    text = TOKENS.replace("model Tokens(vocab: int = 12", "model Tokens(vocab: int = 16")
    text = text.replace("(text: i64[N, T]) -> [N, T, vocab]", "(text: i64[N, 10]) -> [N, 10, vocab]")
    graph = apply(architrave.loads(text), "inference,clean").graph
    weights, (_, _, batches) = architrave.init(graph), tokens()
    pipeline = "blockwise{block=8},quantize{functions=true symmetric=true only=!op:linear}"
    rounded, held = ready(graph, weights, batches, pipeline)
    lowered = apply(rounded, "blockwise-integer,integer,hoist,dead")
    computed = {node.op.name for node in lowered.graph.nodes if node.operands and node.outputs[0].dtype.is_float}
    assert not computed & {"linear", "matmul", "einsum", "softmax", "layer_norm", "gelu", "add"}
    ready_weights = lowered.weights(held)
    results = [architrave.compile(lowered.graph, backend)(ready_weights, *batches[0]) for backend in BACKENDS]
    assert all(y.tobytes() == results[0].tobytes() for y in results)


def test_smaller_blocks_are_nearer_and_gptq_goes_on_from_there():
    graph, weights, batches = tokens()
    errors = []
    for block in (32, 8, 4):
        made = apply(graph, f"blockwise{{bits=4 act=0 block={block}}}")
        start = made.weights(weights)
        errors.append(error(made.graph, start, graph, weights, batches))
    assert errors[2] < errors[0]
    found = layerwise(made.graph, start, batches, ByHessian())
    assert error(made.graph, found, graph, weights, batches) < errors[2]


def test_four_bits_are_nearly_eight_times_smaller():
    graph = architrave.loads(LAYER.format(out=256))
    made = apply(graph, "blockwise{act=0 block=64}")
    found = size(made.graph, made.weights(architrave.init(graph)))
    assert found.before / found.after == pytest.approx(7.988, abs=0.01)


@pytest.mark.parametrize("options", ["bits=1", "bits=9", "act=1", "block=0"])
def test_blocks_that_cannot_be_had(options):
    with pytest.raises(ArchitraveError) as caught:
        apply(tokens()[0], f"blockwise{{{options}}}")
    assert caught.value.diagnostics[0].code == "E803"


def test_what_stays_says_why():
    made = apply(architrave.loads(LAYER.format(out=100)), "blockwise{block=64}")
    assert any("do not divide" in str(entry) for entry in made.journal.declined)
