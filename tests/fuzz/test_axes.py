"""Random well-typed graphs: permuting their dimensions permutes their results, and cutting them is what zeros are."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given, settings

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Value
from architrave.ir.interpret import Result, interpret
from architrave.ir.nested import innermost_first
from architrave.ir.ops.leaves import path_of
from architrave.ir.ops.random import RunKey
from tests.fuzz.agreement import Agreement, compare
from tests.fuzz.graphs import Drawn, drawn
from tests.ir.axes.laws import Choice, cuts, free, permutations

TOLERANCE = 1e-9
EXAMPLES = 60
DIMENSIONS = 3
"""How many of the dimensions of one graph are tried."""


def is_random(graph: Graph) -> bool:
    """Whether it draws numbers: these are others in another order."""
    return any(isinstance(node.op, RunKey) for inner in innermost_first(graph) for node in inner.nodes)


def leaves(case: Drawn) -> dict[Value, Array]:
    graph = case.graph
    return dict(zip(graph.inputs, case.inputs, strict=True)) | {w: case.weights[path_of(w)] for w in graph.weights}


def on(case: Drawn, arrays: Mapping[Value, Array]) -> Drawn:
    """The case on other numbers."""
    weights = {path_of(w): arrays[w] for w in case.graph.weights}
    return Drawn(case.graph, weights, [arrays[v] for v in case.graph.inputs], case.training)


def results(graph: Graph, result: Result) -> dict[Value, Array]:
    """By what stands for them in a graph: outputs, and states for their new values."""
    outputs = dict(zip(graph.outputs, result.outputs, strict=True))
    return outputs | {old: result.updates[path_of(old)] for old, _ in graph.updates if path_of(old) in result.updates}


def check(case: Drawn, choice: Choice, graph: Graph, like: Mapping[Value, Array]) -> None:
    """A graph on the chosen units gives what is chosen of what the drawn one gives on numbers `like` these."""
    agreement = Agreement(on(case, like))
    chosen = on(case, choice.taken(leaves(case)))
    wanted = choice.taken(results(case.graph, agreement.expected))
    found = results(graph, interpret(graph, chosen.inputs, chosen.weights, case.training))
    names = [f"result {i}" for i in range(len(wanted))]

    def noise() -> dict[str, float]:
        return dict.fromkeys(names, max(agreement.forward_noise().values(), default=0.0))

    try:
        pairs = (dict(zip(names, values, strict=True)) for values in (found.values(), wanted.values()))
        compare(*pairs, TOLERANCE, 0.0, noise)
    except AssertionError as problem:
        raise AssertionError(f"{problem}\n{choice.units}\n{case!r}\n{graph}") from problem


@given(drawn())
@settings(max_examples=EXAMPLES)
def test_permuted_random_graphs(case: Drawn) -> None:
    groups = free(case.graph)
    for units in [] if is_random(case.graph) else [*permutations(groups)][:DIMENSIONS]:
        check(case, Choice(groups, units), case.graph, leaves(case))


@given(drawn())
@settings(max_examples=EXAMPLES)
def test_cut_random_graphs(case: Drawn) -> None:
    groups = free(case.graph)
    for units in [] if is_random(case.graph) else [*cuts(groups)][:DIMENSIONS]:
        choice = Choice(groups, units)
        check(case, choice, choice.graph(), choice.masked(leaves(case)))
