"""He, Sun, Shen and Li, "What Matters in Transformers? Not All Attention is Needed" (2024)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.cost import parameters, state
from architrave.ir.graph import Graph, Value
from architrave.ir.rewrite import rebuild
from architrave.ir.source import ArchitraveError
from architrave.passes import apply
from architrave.passes.structure.drop import dropped
from architrave.passes.structure.sublayers import Sublayer, branches
from architrave.prune.depth import llm_drop, parts, similarity
from tests.quantize.networks import tokens
from tests.stdlib.small import SMALL

CACHED = """
from std.attention import attention, join_heads, split_heads
from std.linear import embedding, linear
from std.norm import layer_norm

block Attention(context: int)(x: [N, 1, C], place: i64[1]) -> [N, 1, C] {
    state keys: [1, context, C] = zeros
    state values: [1, context, C] = zeros
    here = reshape(one_hot(place, context), [1, context, 1])
    keys := where(here > 0, x -> k: linear(C), keys)
    values := where(here > 0, x -> v: linear(C), values)
    y = attention(x -> q: linear(C) -> split_heads(2), split_heads(keys, 2), split_heads(values, 2))
    return y -> join_heads -> out: linear(C)
}

model Step(depth: int = 4)(token: i64[1, 1], place: i64[1]) -> [1, 1, 12] {
    x = token -> embed: embedding(12, 8)
    for i in 0..depth {
        x = x + ((x -> norm[i]: layer_norm, place) -> attention[i]: Attention(6))
        x = x + (x -> fc[i]: linear(8) -> relu -> out[i]: linear(8))
    }
    return x -> head: linear(12)
}
"""


def gated(graph: Graph, chosen: list[Sublayer]) -> Graph:
    """The network with those branches multiplied by 0."""
    sums = {part.after.node: part for part in chosen}

    def rewrite(node, operands):
        if node not in sums:
            return None
        stream = node.operands.index(sums[node].before)
        return (operands[stream] + 0.0 * operands[1 - stream],)

    return rebuild(graph, rewrite)


@pytest.mark.parametrize("kinds", [("attention",), ("mlp",), ("attention", "mlp")])
@pytest.mark.parametrize("count", [1, 2])
def test_a_pruned_graph_is_the_original_with_its_branches_gated_to_0(kinds, count):
    graph, weights, batches = tokens()
    found = llm_drop(graph, weights, batches, count, kinds, backend="numpy")
    wanted = architrave.interpret(gated(graph, list(found.dropped)), batches[0], weights).outputs
    np.testing.assert_array_equal(architrave.interpret(found.graph, batches[0], found.weights).outputs, wanted)
    assert len(found.dropped) == count
    assert parameters(graph) - parameters(found.graph) == sum(p.parameters for p in found.dropped)


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
def test_a_branch_without_an_output_scores_0_and_goes_without_loss(backend):
    graph, weights, batches = tokens()
    weights = {**weights, **{p: 0 * w for p, w in weights.items() if p.startswith("layer.1.attention.out_proj")}}
    found = llm_drop(graph, weights, batches, 1, backend=backend)
    (first, second) = found.scored
    assert [p.name for p in found.dropped] == [second.part.name] == ["layer.1.attention"]
    assert second.score == pytest.approx(0.0, abs=1e-15)
    assert first.score > 1e-6
    before, after = (
        architrave.interpret(g, batches[0], w).outputs[0] for g, w in ((graph, weights), (found.graph, found.weights))
    )
    np.testing.assert_array_equal(before, after)
    assert not [path for path in found.weights if path.startswith(("layer.1.attention", "layer.1.norm1"))]


def test_scores_are_one_minus_the_mean_cosine():
    graph, weights, batches = tokens()
    chosen = branches(graph)
    scores = [each.score for each in similarity(graph, weights, chosen, batches, backend="numpy")]
    values = [v for part in chosen for v in (part.before, part.after)]
    cosines: dict[int, list[float]] = {}
    for batch in batches:
        found = architrave.interpret(replace(graph, outputs=tuple(values)), batch, weights).outputs
        for i in range(len(chosen)):
            x, y = found[2 * i], found[2 * i + 1]
            cos = (x * y).sum(-1) / (np.linalg.norm(x, axis=-1) * np.linalg.norm(y, axis=-1))
            cosines.setdefault(i, []).extend(cos.ravel().tolist())
    np.testing.assert_allclose(scores, [1 - np.mean(c) for c in cosines.values()], rtol=1e-4)


def test_what_an_attention_of_llama_2_13b_costs():
    graph = architrave.load("llama", width=5120, depth=40, heads=40, kv_heads=40, hidden=13824)
    found = parts(graph, ["attention"])
    assert len(found) == 40
    assert {p.parameters for p in found} == {4 * 5120**2 + 5120}
    after = dropped(graph, found[20:])
    assert parameters(graph) - parameters(after) == 20 * 104_862_720


def test_dropping_half_of_attention_halves_the_cache():
    graph = architrave.loads(CACHED)
    found = parts(graph, ["attention"])
    assert len(found) == 4
    after = dropped(graph, [found[0], found[2]])
    assert (state(graph), state(after)) == (8 * 48, 4 * 48)
    assert len(after.updates) == 4
    assert {w.op.path.split(".")[1] for w in after.weights if w.op.path.startswith("attention")} == {"1", "3"}
    # The position is an input as long as any cache is left.
    assert [v.hint for v in dropped(graph, found).inputs] == ["token"]
    assert [v.hint for v in after.inputs] == ["token", "place"]


def test_attention_and_mlp_are_ranked_jointly():
    graph, weights, batches = tokens()
    found = llm_drop(graph, weights, batches, 2, ("attention", "mlp"), backend="numpy")
    ordered = sorted(found.scored, key=lambda each: each.score)
    assert [p.name for p in found.dropped] == [each.part.name for each in ordered[:2]]
    assert [each.part.kind for each in found.scored] == ["attention", "mlp"] * 2


@pytest.mark.parametrize("name", ["GPT2Small", "Llama", "ViTTi16", "BERTBase", "ResNet18"])
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_what_is_left_runs(name, backend):
    graph = architrave.load(name, **SMALL[name])
    kind = "conv" if name == "ResNet18" else "attention"
    made = apply(graph, f"inference,drop{{branches=op:{kind}}}")
    assert not parts(made.graph, [kind])
    assert len(made.graph.weights) < len(graph.weights)
    weights = architrave.init(made.graph)
    inputs = [rng_like(v) for v in made.graph.inputs]
    wanted = architrave.interpret(made.graph, inputs, weights).outputs[0]
    found = architrave.compile(made.graph, backend)(weights, *inputs)
    np.testing.assert_allclose(np.asarray(found[0] if isinstance(found, tuple) else found), wanted, atol=1e-4)


def rng_like(value: Value) -> Any:
    """Numbers for an input: 2 for each size that is open."""
    shape = [size if isinstance(size, int) else 2 for size in value.shape]
    rng = np.random.default_rng(0)
    return rng.integers(0, 2, shape) if value.dtype.is_integer else rng.normal(size=shape).astype(np.float32)


def test_whole_layers_go():
    graph, weights, batches = tokens()
    found = llm_drop(graph, weights, batches, 1, ("block",), backend="numpy")
    (gone,) = found.dropped
    assert gone.name in ("layer.0", "layer.1")
    assert not [path for path in found.weights if path.startswith(gone.name)]
    np.testing.assert_array_equal(
        *(
            architrave.interpret(g, batches[0], found.weights).outputs[0]
            for g in (found.graph, apply(graph, f"drop{{blocks={gone.name}}}").graph)
        )
    )


def test_what_is_refused():
    graph, weights, batches = tokens()
    with pytest.raises(
        ArchitraveError, match=r"E941.*3 parts cannot be left out: `Tokens` has 2 of the kind attention"
    ):
        llm_drop(graph, weights, batches, 3)
    with pytest.raises(ArchitraveError, match=r"E940.*there is no kind of parts `heads`"):
        llm_drop(graph, weights, batches, 1, ("heads",))  # type: ignore[arg-type]
    with pytest.raises(ArchitraveError, match="E912"):
        llm_drop(graph, weights, [], 1)
    with pytest.raises(ArchitraveError, match=r"E911.*`layer.0.attention` gives what is not a number"):
        llm_drop(graph, {**weights, "layer.0.norm1.weight": np.full(16, np.nan)}, batches, 1, backend="numpy")
    with pytest.raises(ArchitraveError, match=r"E940.*none of the parts of `Tokens` is chosen"):
        apply(graph, "drop")
