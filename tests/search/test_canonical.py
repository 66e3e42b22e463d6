"""One hash for isomorphic networks, and different ones for others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from itertools import combinations

import networkx as nx
import numpy as np
import pytest

import architrave
from architrave.models import find, find_in_text
from architrave.search.space.canonical import COMMUTATIVE, Canonical, canonical_hash
from architrave.search.space.costs import Costs
from tests.search.spaces import SPACES, costs

CELLS = costs("NASBench201")
HEADER = "from std import batch_norm, dropout, linear\n"

SAME = {
    "names": ("x -> a: linear(4) -> b: linear(5)", "x -> linear(4) -> linear(5)"),
    "the order of a sum": ("relu(x) + tanh(x)", "tanh(x) + relu(x)"),
    "the order of a sum of layers": ("linear(3)(x) + tanh(x)", "tanh(x) + linear(3)(x)"),
    "how a sum nests": ("relu(x) + (tanh(x) + x)", "(x + relu(x)) + tanh(x)"),
    "what is computed twice": ("relu(x) + relu(x)", "((y) => y + y)(relu(x))"),
    "two layers that change places": ("relu(linear(4)(x)) * linear(4)(x)", "linear(4)(x) * relu(linear(4)(x))"),
    "where random numbers are drawn": ("x -> a: dropout(0.5)", "x -> b: dropout(0.5)"),
    "names of states": ("x -> a: batch_norm -> b: batch_norm", "x -> batch_norm -> batch_norm"),
}
OTHER = {
    "an operator": ("relu(x)", "tanh(x)"),
    "the order of a difference": ("relu(x) - x", "x - relu(x)"),
    "the order of a concatenation": ("concat([x, relu(x)], axis = 1)", "concat([relu(x), x], axis = 1)"),
    "an attribute": ("softmax(x, axis = 0)", "softmax(x, axis = 1)"),
    "the size of a weight": ("x -> linear(4) -> linear(2)", "x -> linear(5) -> linear(2)"),
    "how a weight starts": ("linear(4)(x)", "linear(4, init = zeros)(x)"),
    "a weight that is shared": ("((f) => f(f(x)))(linear(3))", "x -> linear(3) -> linear(3)"),
    "a layer that is used twice": ("((y) => y + y)(linear(3)(x))", "linear(3)(x) + linear(3)(x)"),
    "which of two layers is used twice": (
        "((a, b) => relu(a) * tanh(a) * exp(b))(linear(3)(x), linear(3)(x))",
        "((a, b) => relu(a) * tanh(b) * exp(b))(linear(3)(x), linear(3)(x))",
    ),
    "how states move": ("x -> batch_norm(momentum = 0.1)", "x -> batch_norm(momentum = 0.2)"),
    "the chance of a draw": ("x -> dropout(0.5)", "x -> dropout(0.25)"),
    "two draws in place of one": ("((y) => y + y)(dropout(0.5)(x))", "dropout(0.5)(x) + dropout(0.5)(x)"),
}


def hash_of(expression: str, commutative: frozenset[str] = COMMUTATIVE) -> str:
    return canonical_hash(architrave.loads(f"{HEADER}model M()(x: [4, 3]) = {expression}\n"), None, commutative)


@pytest.mark.parametrize(("a", "b"), SAME.values(), ids=SAME.keys())
def test_what_does_not_count(a: str, b: str) -> None:
    assert hash_of(a) == hash_of(b)


@pytest.mark.parametrize(("a", "b"), OTHER.values(), ids=OTHER.keys())
def test_what_counts(a: str, b: str) -> None:
    assert hash_of(a) != hash_of(b)


def test_channels_without_order() -> None:
    loose = COMMUTATIVE | {"concat"}
    a, b = OTHER["the order of a concatenation"]
    assert hash_of(a, loose) == hash_of(b, loose)


def test_hash_is_the_same_in_every_process() -> None:
    assert hash_of("x -> linear(4) -> relu") == "de0f2ab15ad70d330d7263627f2c34bb"


@pytest.mark.parametrize("name", SPACES)
def test_member_has_the_hash_of_the_network_that_it_is(name: str) -> None:
    found, rng = costs(name), np.random.default_rng(0)
    for member in (found.space.sample(rng) for _ in range(2)):
        assert Canonical(found).hash(member) == canonical_hash(found.member_graph(member))


def test_choices_inside_loops_and_modes() -> None:
    text = """
    from std import linear
    model M()(x: [2, 5, 3]) -> [2, 5, 3] {
        f = choice f { a: relu, b: tanh, c: relu }
        h0 = zeros([2, 3])
        scan x_t in x, axis = 1, carry (h = h0) {
            h = x_t + f(h)
            emit h as hs
        }
        if training { hs = f(hs) }
        return hs
    }
    """
    found = Costs(find_in_text(text))
    hashes = [Canonical(found).hash(member) for member in found.space]
    assert hashes[0] == hashes[2] != hashes[1]
    assert hashes == [canonical_hash(found.member_graph(member)) for member in found.space]


def cell(member: Mapping[str, str]) -> tuple[nx.MultiDiGraph[int], str]:
    """A cell as a graph of operations and of sums, an edge for each summand; and a text that is blind to sharing."""
    graph: nx.MultiDiGraph[int] = nx.MultiDiGraph()
    graph.add_node(0, kind="image")
    sums: list[list[int]] = [[0]]
    texts: list[list[str]] = [["x"]]
    labels = iter(member.values())
    shared: dict[tuple[str, ...], int] = {}
    for j in range(1, 4):
        terms: list[int] = []
        names: list[str] = []
        for i in range(j):
            label = next(labels)
            if label == "skip":
                terms += sums[i]
                names += texts[i]
                continue
            # What has no weights is one however often it is computed.
            key = (label, *map(str, sorted(sums[i])))
            known = None if label.startswith("conv") else shared.get(key)
            node = graph.number_of_nodes() if known is None else known
            if known is None:
                graph.add_node(node, kind=label)
                graph.add_edges_from((term, node) for term in sums[i])
                shared[key] = node
            terms.append(node)
            names.append(f"{label}({'+'.join(sorted(texts[i]))})")
        sums.append(terms)
        texts.append(names)
    graph.add_node(-1, kind="sum")
    graph.add_edges_from((term, -1) for term in sums[3])
    return graph, "+".join(sorted(texts[3]))


def test_hashes_are_those_of_isomorphic_cells() -> None:
    canonical, rng = Canonical(CELLS), np.random.default_rng(1)
    groups: defaultdict[str, list[Mapping[str, str]]] = defaultdict(list)
    for member in CELLS.space:
        groups[cell(member)[1]].append(member)
    assert len(groups) == 11_410
    several = [group for group in groups.values() if len(group) > 1]
    outcomes = []
    for i in rng.permutation(len(several))[:120]:
        for a, b in combinations(several[i][:4], 2):
            same = nx.is_isomorphic(cell(a)[0], cell(b)[0], node_match=lambda n, m: n["kind"] == m["kind"])
            assert same == (canonical.hash(a) == canonical.hash(b)), (a, b)
            outcomes.append(same)
    assert {*outcomes} == {True, False}


def test_unique_members() -> None:
    text = "from std import linear\nmodel M()(x: [N, 3]) = x -> choice a { f: relu, g: tanh, h: relu }"
    found = Costs(find_in_text(text))
    assert [*Canonical(found).unique(found.space).values()] == [{"a": "f"}, {"a": "g"}]


@pytest.mark.slow
def test_whole_of_nas_bench_201() -> None:
    found = Costs(find("nasbench201"), {}, {"N": 1})
    assert len(Canonical(found).unique(found.space)) == 11_640
