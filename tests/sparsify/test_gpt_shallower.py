"""A GPT that has learnt the Psalms: what llm-drop leaves out costs less perplexity than what comes first."""

from __future__ import annotations

import math
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import architrave
from architrave.ir.graph import Graph
from architrave.ir.ops.leaves import path_of
from architrave.passes import apply
from architrave.passes.structure.drop import dropped
from architrave.prune.depth import llm_drop, parts
from architrave.record.scores import scores
from architrave.train import AdamW, Objective, Recipe, Schedule, Trainer, open_data
from architrave.train.data import Dataset

TEXT = Path(__file__).parents[2] / "examples" / "text"


@pytest.mark.slow
def test_a_gpt_without_some_of_its_branches() -> None:
    pytest.importorskip("torch")
    graph = architrave.load(TEXT / "gpt.arch", width=48, depth=4)
    data, held_out = open_data(str(TEXT / "psalms.txt"), graph, 0.05)
    assert isinstance(data, Dataset)
    assert held_out is not None
    recipe, schedule = Recipe(AdamW(), Objective("cross_entropy"), decay=0.1), Schedule(3e-3, 300, "cosine", 50)
    trainer = Trainer(graph, recipe, schedule, data.target_type(graph), backend="torch")
    for arrays in islice(data.epoch(16, 0, 0), 300):
        trainer.train(*arrays)
    weights, graph = trainer.weights(), apply(graph, "inference,clean").graph
    windows = data.taken(np.linspace(0, len(data) - 1, 32).astype(int)).arrays[0]

    def perplexity(network: Graph) -> float:
        held = {path_of(w): weights[path_of(w)] for w in network.weights}
        return math.exp(scores(network, held, held_out)["loss"])

    exact = perplexity(graph)
    for kinds in (("attention",), ("attention", "mlp")):
        found = llm_drop(graph, weights, [(windows,)], 2, kinds)
        assert perplexity(found.graph) < perplexity(dropped(graph, parts(graph, kinds)[:2]))
        assert perplexity(found.graph) < 1.25 * exact
