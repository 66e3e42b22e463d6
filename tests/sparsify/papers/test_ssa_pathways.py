"""Hussain and others, "The Information Pathways Hypothesis: Transformers are Dynamic Self-Ensembles" (2023)."""

from __future__ import annotations

import numpy as np
import pytest

import architrave
from architrave.ir import build
from architrave.ir.cost import multiply_adds
from architrave.ir.mode import specialize
from architrave.ir.nested import innermost_first
from architrave.ir.source import ArchitraveError
from architrave.passes import apply
from architrave.testing import assert_backends_agree

TEXT = """
from std.attention import self_attention
from std.pathways import pathway_attention

model Net(part: int = 4, spread = none, causal: bool = false)(x: [N, 8, 12]) -> [N, 8, 12] {
    return x -> attention: pathway_attention(3, part, spread, causal)
}

model Dense(causal: bool = false)(x: [N, 8, 12]) -> [N, 8, 12] = x -> attention: self_attention(3, causal = causal)

from std.pathways import shuffled_nearby
from std.random import permutation

model Chosen()(x: [N]) {
    return (permutation(16)[:4], shuffled_nearby(16, 2.0), x)
}
"""
X = np.random.default_rng(0).standard_normal((2, 8, 12))


def network(name: str = "Net", **arguments: object):
    return architrave.loads(TEXT, name, **arguments)


def trained(graph, seed: int = 0) -> np.ndarray:
    return architrave.interpret(graph, [X], architrave.init(graph), training=True, key=(seed, 0)).outputs[0]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("spread", [None, 3.0])
def test_all_positions_are_dense_attention(spread, causal):
    graph, dense = network(part=1, spread=spread, causal=causal), network("Dense", causal=causal)
    assert np.abs(trained(graph) - trained(dense)).max() < 1e-6


@pytest.mark.parametrize("spread", [None, 3.0])
def test_scores_are_n_times_k(spread):
    for part in (1, 2, 4):
        graph = specialize(network(part=part, spread=spread), training=True)
        (attention,) = (node for node in graph.nodes if node.op.name == "attention")
        q, k = attention.operands[:2]
        windows = 1 if spread is None else part
        assert windows * q.shape[-2] * k.shape[-2] == 8 * (8 // part)
        whole = specialize(network("Dense"), training=True)
        projections = 4 * 8 * 12 * 12
        sizes = {"N": 1}
        assert part * (multiply_adds(graph, sizes) - projections) == multiply_adds(whole, sizes) - projections


@pytest.mark.parametrize("spread", [None, 3.0])
def test_inference_draws_no_random_numbers(spread):
    graph = specialize(network(spread=spread), training=False)
    names = {node.op.name for inner in innermost_first(graph) for node in inner.nodes}
    assert not {name for name in names if name.startswith("random") or name == "run_key"}
    assert graph == specialize(network("Dense"), training=False)


@pytest.mark.parametrize("spread", [None, 3.0])
def test_each_step_draws_anew(spread):
    graph = network(spread=spread)
    assert np.array_equal(trained(graph, 1), trained(graph, 1))
    assert not np.array_equal(trained(graph, 1), trained(graph, 2))


def test_the_same_seed_draws_the_same_positions_on_all_backends():
    graph = network("Chosen")
    runs = [architrave.compile(graph, backend=b).run({}, np.zeros(1), key=(7, 0)) for b in ("numpy", "torch", "jax")]
    drawn = [[np.asarray(part).tolist() for part in run.outputs] for run in runs]
    assert drawn[0] == drawn[1] == drawn[2]
    uniform, nearby, _ = drawn[0]
    assert len(set(uniform)) == 4
    assert sorted(nearby) == list(range(16))
    assert np.abs(np.array(nearby) - np.arange(16)).mean() < 4


@pytest.mark.parametrize("spread", [None, 3.0])
def test_a_causal_query_sees_nothing_behind_it(spread):
    graph = network(part=2, spread=spread, causal=True)
    weights = architrave.init(graph)
    later = X.copy()
    later[:, 5:] += 1.0
    one, other = (architrave.interpret(graph, [x], weights, training=True, key=(3, 0)).outputs[0] for x in (X, later))
    assert np.array_equal(one[:, :5], other[:, :5])


def test_an_ensemble_is_the_mean_of_runs_that_differ():
    graph = network(part=2)
    weights = architrave.init(graph)
    made = apply(graph, "ensemble{passes=3}").graph
    runs = [node.outputs[0] for node in made.nodes if node.op.name == "linear" and "out_proj" in str(node.place)]
    found = architrave.interpret(build.graph("runs", made.inputs, [*runs, *made.outputs]), [X], weights).outputs
    assert len(runs) == 3
    assert len({x.tobytes() for x in found[:3]}) == 3
    np.testing.assert_allclose(found[3], np.mean(found[:3], axis=0), rtol=1e-12)
    np.testing.assert_array_equal(found[0], trained(graph))
    assert made.weights == graph.weights


def test_what_draws_nothing_is_no_ensemble():
    graph = network("Dense")
    made = apply(graph, "ensemble")
    assert made.graph is graph
    assert made.journal.declined
    with pytest.raises(ArchitraveError, match="E803"):
        apply(graph, "ensemble{passes=0}")


def test_the_backends_agree_in_training():
    graph = network(part=2, spread=1.5, causal=True)
    assert_backends_agree(graph, sizes={"N": 1}, modes=["training"], dtypes=["float64"])
