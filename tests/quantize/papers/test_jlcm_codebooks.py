"""Yvinec et al., "Network Memory Footprint Compression Through Jointly Learnable Codebooks and Mappings" (2023)."""

from __future__ import annotations

import numpy as np
import pytest

import architrave
from architrave.ir.source import ArchitraveError
from architrave.passes import apply
from architrave.passes.quantize.weights.codebook import lookups
from architrave.quantize.codebook import JointTuning, clustered, codes_of, decoded, kmeans, ordered
from architrave.quantize.reorder import reordered
from tests.quantize.networks import convs, error, tokens

BACKENDS = ("numpy", "torch", "jax")


@pytest.mark.parametrize("network", [convs, tokens])
@pytest.mark.parametrize("options", ["", "entries=4 groups=2", "entries=8 width=2", "entries=100 only=head"])
def test_weights_are_looked_up_bit_for_bit(network, options):
    graph, weights, batches = network()
    made = apply(graph, f"codebook{{{options}}}")
    held = clustered(made.graph, made.weights(weights), weights, rounds=5)
    found = [lookup for lookup, _ in lookups(made.graph)]
    assert found
    plain = {**weights, **{lookup.table.removesuffix("_table"): decoded(lookup, held) for lookup in found}}
    for backend in BACKENDS if network is tokens and not options else BACKENDS[:1]:
        rounded, exact = architrave.compile(made.graph, backend), architrave.compile(graph, backend)
        np.testing.assert_array_equal(rounded(held, *batches[0]), exact(plain, *batches[0]), err_msg=backend)
    for lookup in found:
        table, codes = held[lookup.table], codes_of(lookup, held)
        assert codes.max() < lookup.entries == table.shape[1]
        stored = held[lookup.codes].nbytes * 8 + table.nbytes * 8
        assert lookup.bits_per_weight * np.prod(lookup.shape) == pytest.approx(stored)
        overhead = 32 * table.size / np.prod(lookup.shape)
        if lookup.bits == np.log2(lookup.entries):
            assert lookup.bits_per_weight == pytest.approx(np.log2(lookup.entries) / lookup.width + overhead)


@pytest.mark.parametrize("network", [convs, tokens])
def test_neurons_change_places_and_the_network_stays(network):
    graph, weights, batches = network()
    rng = np.random.default_rng(0)
    for path, w in weights.items():
        if path.endswith("weight"):
            weights[path] = w * np.exp(rng.normal(size=(len(w), *(1,) * (w.ndim - 1)))).astype(np.float32)
    weights = {path: w.astype(np.float64) for path, w in weights.items()}
    new = reordered(graph, weights)
    program = architrave.compile(graph, "numpy")
    for x in batches:
        x = tuple(a.astype(np.float64) if a.dtype.kind == "f" else a for a in x)
        np.testing.assert_allclose(program(new, *x), program(weights, *x), atol=1e-6)
    assert any(not np.array_equal(new[path], weights[path]) for path in weights)
    errors = []
    for held in (weights, new):
        made = apply(graph, "codebook{entries=4 groups=4}")
        start = made.weights({path: w.astype(np.float32) for path, w in held.items()})
        ready = clustered(made.graph, start, held)
        found = [lookup for lookup, _ in lookups(made.graph)]
        errors.append(sum(np.square(decoded(u, ready) - held[u.table.removesuffix("_table")]).sum() for u in found))
    assert errors[1] < errors[0]


def test_one_step_moves_a_code_by_one_at_most_and_no_error_grows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 24)) @ rng.normal(size=(24, 24))
    weight, curvature = rng.normal(size=(8, 24)), (x.T @ x / 300)[None]
    pairs = [kmeans(part.reshape(-1, 1), 8) for part in np.split(weight, 2)]
    table, codes = np.stack([t[:, 0] for t, _ in pairs]), np.stack([c for _, c in pairs])

    def missing(table, codes):
        change = np.take_along_axis(table, codes, 1).reshape(weight.shape) - weight
        return np.einsum("oi,ij,oj->", change, curvature[0], change)

    errors, moved = [missing(table, codes)], 0
    before = ordered(table, codes)
    for now in JointTuning(sweeps=20).path(weight, table, codes, curvature):
        moves = np.abs(now[1] - before[1])
        assert moves.max() <= 1
        moved += moves.sum()
        errors.append(missing(*now))
        before = now
    assert moved > 0
    assert np.all(np.diff(errors) <= 1e-9 * errors[0])
    assert errors[-1] < 0.9 * errors[0]


@pytest.mark.parametrize("network", [convs, tokens])
@pytest.mark.parametrize("groups", [1, 2])
def test_tuning_brings_the_network_nearer(network, groups):
    graph, weights, batches = network()
    made = apply(graph, f"codebook{{entries=4 groups={groups}}}")
    held = clustered(made.graph, made.weights(weights), weights)
    tuned = JointTuning().run(made.graph, held, weights, batches)
    assert error(made.graph, tuned, graph, weights, batches) < error(made.graph, held, graph, weights, batches)


def test_clusters_are_no_worse_than_even_steps():
    graph, weights, batches = convs()
    made = apply(graph, "codebook{entries=16}")
    start = made.weights(weights)
    held = clustered(made.graph, start, weights)
    for lookup, _ in lookups(made.graph):
        exact = weights[lookup.table.removesuffix("_table")]
        far = [np.square(decoded(lookup, each) - exact).sum() for each in (held, start)]
        assert far[0] < far[1]
    assert error(made.graph, held, graph, weights, batches) < error(made.graph, start, graph, weights, batches)


@pytest.mark.parametrize("options", ["entries=1", "entries=257", "width=0", "groups=0"])
def test_tables_that_cannot_be_had(options):
    with pytest.raises(ArchitraveError) as caught:
        apply(convs()[0], f"codebook{{{options}}}")
    assert caught.value.diagnostics[0].code == "E803"


def test_what_stays_says_why():
    graph, _, _ = convs()
    made = apply(graph, "codebook{entries=256}")
    assert any("fewer weights than a table" in str(entry) for entry in made.journal.declined)
