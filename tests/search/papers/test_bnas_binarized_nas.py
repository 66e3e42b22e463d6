"""Binarized neural architecture search: Chen, Zhuo, Zhang and others (2020)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.graph import Graph, Node
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import ArchitraveError
from architrave.ir.type_parser import parse_type
from architrave.models import find_in_text
from architrave.passes.search.narrowed import narrowed
from architrave.passes.search.weighed import weighed
from architrave.search.supernet.child import child
from architrave.search.supernet.differentiable import Differentiable
from architrave.search.supernet.halving import Judge, Scores, halved, measured, worst_half
from architrave.train import SGD, Adam, Objective, Recipe, Schedule
from tests.search.supernets import assert_equal_to_its_members

TEXT = """
from std.binary import binary_conv
from std.binary_signs import clipped
from std.conv import conv2d, global_avg_pool
from std.binary import filter_mean
from std.linear import linear
from std.norm import batch_norm
from std.search import partial_channels

const one_bit = [clipped, clipped, filter_mean, none]

block bits(kernel: int, dilation: int = 1)(x: [N, C, H, W]) -> [N, C, H, W] {
    return x -> conv: binary_conv(C, kernel, dilation = dilation, method = one_bit) -> norm: batch_norm
}

block Cell(kept: list)(before: [N, C, H, W], x: [N, C, H, W]) -> [N, C, H, W] {
    states = [before, x]
    for node in 0..4 {
        y = 0.0 * x
        for from_state in 0..node + 2 {
            e = node * (node + 3) // 2 + from_state
            if kept[e] {
                operation = choice op[e] { three: bits(3), five: bits(5), one: bits(1), wide: bits(3, 2) }
                y = y + (states[from_state] -> edge[e]: partial_channels(2, operation))
            }
        }
        states = states + [y]
    }
    return (states[2] + states[3] + states[4] + states[5]) -> norm: batch_norm
}

model Bits(kept: list = [true for edge in 0..14])(image: [N, 1, 5, 5]) -> [N, 3] {
    x = image -> stem: conv2d(4, 3)
    return (x, x) -> cell: Cell(kept) -> global_avg_pool -> head: linear(3)
}
"""
RNG: Any = np.random.default_rng(0)
LABELS = np.arange(12) % 3
IMAGES = RNG.normal(size=(12, 1, 5, 5)) + LABELS[:, None, None, None]


def source() -> Graph:
    return find_in_text(TEXT).elaborate({}, keep_choices=True).graph


EDGES = [(start, node) for node in range(4) for start in range(node + 2)]
"""From which state to which node, in the order of their numbers."""


def edge_of(path: str) -> tuple[int, int]:
    return EDGES[int(path.rpartition(".")[2])]


def genotype(scores: Mapping[str, float]) -> list[tuple[int, int]]:
    """Of each node the two edges with the best scores."""
    found: list[tuple[int, int]] = []
    for node in range(4):
        edges = [path for path in scores if edge_of(path)[1] == node]
        found += [edge_of(path) for path in sorted(edges, key=lambda path: -scores[path])[:2]]
    return sorted(found)


def test_a_cell_has_14_edges_of_4_operations() -> None:
    labels = weighed(source()).labels
    assert len(labels) == 14
    assert {len(each) for each in labels.values()} == {4}


def test_a_member_is_the_supernet_with_one_hot_weights() -> None:
    labels = weighed(source()).labels
    member = {path: each[i % 4] for i, (path, each) in enumerate(labels.items())}
    assert_equal_to_its_members(weighed(source()), [member], IMAGES[:4])


def test_search() -> None:
    held: dict[str, np.ndarray] = {}
    counts: list[set[int]] = []

    def stage(graph: Graph) -> tuple[Judge, Scores]:
        """Train the mixture for a few steps, from the weights of the stage before."""
        mixture = weighed(graph)
        counts.append({len(each) for each in mixture.labels.values()})
        rates = Schedule(1e-2, 3), Schedule(1e-1, 3)
        plain, search = Recipe(SGD(), Objective("cross_entropy")), Recipe(Adam(), Objective("cross_entropy"))
        first = {**architrave.init(mixture.graph, 0, "float32")}
        first |= {path: w for path, w in held.items() if path in first and not path.endswith(".alpha")}
        trainer = Differentiable(mixture, plain, rates[0], search, rates[1], parse_type("i64[N]"), weights=first)
        for _ in range(2):
            trainer.train((IMAGES, LABELS), (IMAGES, LABELS))
        now = trainer.weights()
        held.update(now)
        run = trainer.inner.evaluation.program.run

        def judge(member: Mapping[str, str]) -> float:
            setting = {path: w.astype(np.float32) for path, w in mixture.setting(member).items()}
            found = run({**now, **setting}, IMAGES, LABELS)
            return float((found.outputs[1].argmax(-1) == LABELS).mean())

        return judge, mixture.weights(now)

    found = halved(source(), stage, rounds=1)
    assert counts == [{4}, {2}]
    assert [{len(each) for each in labels.values()} for labels in found.stages] == [{4}, {2}, {1}]
    assert sorted(found.member) == sorted(weighed(source()).labels)
    kept = genotype(found.scores)
    assert len(kept) == 8
    assert all(sum(edge[1] == node for edge in kept) == 2 for node in range(4))
    member = {path: label for path, label in found.member.items() if edge_of(path) in kept}
    network = find_in_text(TEXT).elaborate({"kept": [edge in kept for edge in EDGES]}, member)
    assert_binary(network.graph, {path_of(w): held[path_of(w)] for w in network.graph.weights})


def assert_binary(graph: Graph, weights: Mapping[str, np.ndarray]) -> None:
    """Every convolution of the cell multiplies with -1 and 1 alone, times one number for each filter."""
    seen: list[int] = []

    def observe(node: Node, values: Any) -> None:
        if node.op.name == "binarize" and node.operands[0].rank == 4 and node.operands[0].op.name == "param":
            seen.append(node.serial)
            assert set(np.unique(values[0])) <= {-1.0, 1.0}

    architrave.interpret(graph, [IMAGES], weights, observe=observe)
    convolutions = [node for node in graph.nodes if node.op.name == "conv"]
    binary = [node for node in convolutions if node.operands[1].op.name == "binarize"]
    assert [path_of(node.operands[1]) for node in convolutions if node not in binary] == ["stem.weight"]
    assert len(binary) == len(seen) == 8
    for node in binary:
        weight = weights[path_of(node.operands[1].node.operands[0])]
        values = np.sign(weight) * np.abs(weight).mean(axis=(1, 2, 3), keepdims=True)
        assert all(len(np.unique(filter_)) <= 2 for filter_ in values)


def test_halves() -> None:
    scores = {"a": {"x": 0.1, "y": 0.9, "z": 0.5}, "b": {"p": 0.5, "q": 0.5}, "c": {"only": 1.0}}
    assert worst_half(scores) == {"a": ("x",), "b": ("q",), "c": ()}
    decisions = {"a": ("x", "y", "z"), "b": ("p", "q")}
    found = measured(decisions, lambda member: float(member["a"] == "y"), rounds=4)
    assert found["a"] == {"x": 0.0, "y": 1.0, "z": 0.0}
    assert found["b"]["p"] + found["b"]["q"] == pytest.approx(2 / 3)


def test_fewer_alternatives() -> None:
    graph = source()
    path = next(iter(weighed(graph).labels))
    fewer = narrowed(graph, {path: ("one", "wide")})
    assert weighed(fewer).labels[path] == ("three", "five")
    assert not any(f"{path}.one." in path_of(w) for w in fewer.weights)
    one = narrowed(fewer, {path: ("five",)})
    assert path not in weighed(one).labels
    assert child(weighed(graph), architrave.init(weighed(graph).graph), {path: "three"}).graph.weights
    with pytest.raises(ArchitraveError, match=r"E952.*one must stay"):
        narrowed(fewer, {path: ("three", "five")})
    with pytest.raises(ArchitraveError, match=r"E952.*no decision `nothing`"):
        narrowed(fewer, {"nothing": ("three",)})
