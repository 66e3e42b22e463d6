"""A GPT that has learnt the Psalms: what llm-drop leaves out costs less perplexity than what comes first."""

from __future__ import annotations

import math

import numpy as np
import pytest

from architrave.ir.graph import Graph
from architrave.ir.ops.leaves import path_of
from architrave.passes.structure.drop import dropped
from architrave.prune.depth import llm_drop, parts
from architrave.record.scores import scores
from tests.psalms import learnt


@pytest.mark.slow
def test_a_gpt_without_some_of_its_branches() -> None:
    pytest.importorskip("torch")
    gpt = learnt(48, 4, 300, 0.05, "torch")
    graph, weights, data, held_out = gpt.graph, gpt.weights, gpt.data, gpt.held_out
    windows = data.taken(np.linspace(0, len(data) - 1, 32).astype(int)).arrays[0]

    def perplexity(network: Graph) -> float:
        held = {path_of(w): weights[path_of(w)] for w in network.weights}
        return math.exp(scores(network, held, held_out)["loss"])

    exact = perplexity(graph)
    for kinds in (("attention",), ("attention", "mlp")):
        found = llm_drop(graph, weights, [(windows,)], 2, kinds)
        assert perplexity(found.graph) < perplexity(dropped(graph, parts(graph, kinds)[:2]))
        assert perplexity(found.graph) < 1.25 * exact
