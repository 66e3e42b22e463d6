"""Darji, "Investigating Sparsity in Recurrent Neural Networks" (2024)."""

from __future__ import annotations

import math

import networkx as nx
import numpy as np
import pytest

import architrave
from architrave.backends.arch import write
from architrave.ir.source import ArchitraveError
from architrave.passes import apply
from architrave.sparsity.networks.gates import prune_matrices
from architrave.sparsity.networks.recurrent_graphs import (
    UNITS,
    Layered,
    barabasi_albert,
    layered,
    recurrent_network,
    start,
    statistics,
    watts_strogatz,
)
from architrave.testing import assert_backends_agree
from architrave.train import AdamW, Objective, Recipe, Schedule, Trainer
from architrave.train.data import Dataset

CELLS = {"rnn": 1, "(n) => rnn(n, activation = relu)": 1, "gru": 3, "lstm": 4}
RNG = np.random.default_rng(0)
SHAPES = [watts_strogatz(14, 4, 0.4, seed=1), barabasi_albert(12, 3, seed=2), watts_strogatz(6, 2, 0.0)]


def tagger(cell: str):
    return architrave.loads(f"""
from std.linear import linear
from std.recurrent import gru, lstm, rnn

model Tagger()(x: [N, T, 5]) -> [N, 3] {{
    cell = {cell}
    (hs, _) = x -> recurrent: cell(7)
    return mean(hs, axis = 1) -> head: linear(3)
}}
""")


@pytest.mark.parametrize("share", [0.1, 0.55, 0.9])
@pytest.mark.parametrize("matrix", ["weight_ih", "weight_hh"])
@pytest.mark.parametrize("cell", CELLS)
def test_the_zeros_of_chosen_matrices_are_exact_and_others_untouched(cell, matrix, share):
    graph = tagger(cell)
    masked = apply(graph, "mask{only=recurrent*}")
    before = masked.weights(architrave.init(graph))
    after = prune_matrices(masked.graph, before, share, f"*.{matrix}")
    (path,) = (p for p in before if p.endswith(f".{matrix}"))
    assert (after[path] == 0).sum() == math.floor(share * before[path].size)
    assert np.abs(after[path][after[path] != 0]).min() >= np.abs(before[path][after[path] == 0]).max()
    others = before.keys() - {path, f"{path}_mask"}
    assert all(np.array_equal(before[p], after[p]) for p in others)


def test_gates_are_matrices_of_their_own():
    graph = tagger("lstm")
    masked = apply(graph, "mask")
    after = prune_matrices(
        masked.graph, masked.weights(architrave.init(graph)), 0.5, "*.weight_hh", gates=4, among={1, 3}
    )
    (path,) = (p for p in after if p.endswith(".weight_hh"))
    assert [(part == 0).sum() for part in np.split(after[path], 4)] == [0, 24, 0, 24]


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_zeros_stay_in_training(cell):
    graph = tagger(cell)
    masked = apply(graph, "mask")
    weights = prune_matrices(masked.graph, masked.weights(architrave.init(graph)), 0.6, "*.weight_hh")
    x, labels = RNG.standard_normal((8, 4, 5)), RNG.integers(0, 3, 8)
    recipe = Recipe(AdamW(), Objective("cross_entropy"))
    target = Dataset((x,), labels).target_type(masked.graph)
    trainer = Trainer(masked.graph, recipe, Schedule(1e-2, 10), target, backend="numpy", weights=weights)
    for _ in range(2):
        trainer.train(x, labels)
    (path,) = (p for p in weights if p.endswith(".weight_hh"))
    after = trainer.weights()
    assert (np.asarray(after[path])[weights[path] == 0] == 0).all()
    assert not np.array_equal(after[path], weights[path])


@pytest.mark.parametrize("shape", SHAPES)
def test_graphs_have_no_cycle_and_layers_are_longest_paths(shape):
    graph = shape.as_networkx()
    assert nx.is_directed_acyclic_graph(graph)
    for i, layer in enumerate(shape.layers):
        for node in layer:
            above = nx.ancestors(graph, node) | {node}
            assert nx.dag_longest_path_length(graph.subgraph(above)) == i
    assert sorted(node for layer in shape.layers for node in layer) == list(range(shape.nodes))


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("shape", SHAPES[:2])
def test_masks_are_the_edges_one_to_one(shape, unit):
    graph, masks = recurrent_network(shape, 3, 2, unit)
    gates = UNITS[unit][1]
    edges = []
    for i, join in enumerate(shape.joins):
        if not join:
            continue
        read = [node for j in join for node in shape.layers[j]]
        blocks = np.split(masks[f"graph.layer.{i}.cell.weight_ih"], gates)
        assert all(np.array_equal(block, blocks[0]) for block in blocks)
        edges += [(read[a], shape.layers[i][b]) for b, a in np.argwhere(blocks[0])]
    assert len(edges) == len(shape.edges)
    assert set(edges) == shape.edges
    weights = start(graph, masks)
    assert all((weights[path][~mask] == 0).all() for path, mask in masks.items())


def test_units_act_along_edges_alone():
    shape = Layered(4, frozenset({(0, 2), (1, 3)}))
    graph, masks = recurrent_network(shape, 2, 1)
    assert shape.layers == ((0, 1), (2, 3))
    weights = start(graph, masks)
    x = RNG.standard_normal((1, 3, 2))
    before = architrave.interpret(graph, [x], weights).outputs[0]
    # Unit 1 acts on unit 3 alone, and that on the output: without both edges nothing of it is left.
    weights["graph.layer.1.cell.weight_ih"][1] = 0
    weights["graph.layer.1.cell.weight_hh"][:] = 0
    cut = architrave.interpret(graph, [x], weights).outputs[0]
    weights["graph.layer.0.cell.weight_ih"][1] = 9.0
    weights["graph.layer.0.cell.weight_hh"][0, 1] = 0
    again = architrave.interpret(graph, [x], weights).outputs[0]
    assert not np.array_equal(before, cut)
    assert np.abs(again - cut)[:, 0].max() == 0


def test_statistics_count():
    path = statistics(layered(nx.path_graph(4)))
    assert (path["nodes"], path["edges"], path["layers"], path["skips"]) == (4, 3, 4, 0)
    assert (path["sources"], path["sinks"], path["diameter"]) == (1, 1, 3)
    assert path["path length"] == pytest.approx(10 / 6)
    assert statistics(layered(nx.complete_graph(4)))["skips"] == 3
    assert statistics(Layered(3, frozenset()))["path length"] == 0


def test_one_seed_gives_one_graph():
    assert watts_strogatz(20, 4, 0.5, 3) == watts_strogatz(20, 4, 0.5, 3)
    assert watts_strogatz(20, 4, 0.5, 3) != watts_strogatz(20, 4, 0.5, 4)


def test_the_backends_agree_and_the_text_reads_back():
    graph, _ = recurrent_network(SHAPES[2], 3, 2)
    assert_backends_agree(
        graph,
        backends=["numpy", "torch"],
        sizes={"N": 1, "T": 2},
        dtypes=["float64"],
        modes=["inference"],
        gradients=False,
    )
    assert architrave.loads(write(graph)) == graph


def test_what_cannot_be_is_refused():
    masked = apply(tagger("gru"), "mask")
    weights = masked.weights(architrave.init(tagger("gru")))
    cases = [
        ("E925", lambda: prune_matrices(masked.graph, weights, 1.2)),
        ("E925", lambda: prune_matrices(masked.graph, weights, 0.5, "nothing")),
        ("E925", lambda: prune_matrices(masked.graph, weights, 0.5, gates=2)),
        ("E924", lambda: prune_matrices(tagger("gru"), weights, 0.5)),
        ("E944", lambda: watts_strogatz(4, 9, 0.1)),
        ("E944", lambda: barabasi_albert(3, 3)),
        ("E944", lambda: recurrent_network(Layered(0, frozenset()), 1, 1)),
        ("E944", lambda: recurrent_network(SHAPES[0], 1, 1, "grru")),
    ]
    for code, attempt in cases:
        with pytest.raises(ArchitraveError, match=code):
            attempt()
