"""A GPT that has learnt the Psalms keeps more of it in half of its weights by SparseGPT than by magnitude."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import architrave
from architrave.passes import apply
from architrave.record.scores import scores
from architrave.sparsity.one_shot import sparsify
from architrave.sparsity.pattern import NM, Pattern, Unstructured
from architrave.sparsity.plan import Plan
from architrave.train import AdamW, Dataset, Objective, Recipe, Schedule, Trainer, open_data

TEXT = Path(__file__).parents[2] / "examples" / "text"


@pytest.mark.slow
def test_half_of_the_weights() -> None:
    pytest.importorskip("jax")
    graph = architrave.load(TEXT / "gpt.arch", width=128, depth=2)
    data, held_out = open_data(str(TEXT / "psalms.txt"), graph, 0.1)
    assert isinstance(data, Dataset)
    assert held_out is not None
    recipe, schedule = Recipe(AdamW(), Objective("cross_entropy"), decay=0.1), Schedule(3e-3, 1068, "cosine", 50)
    trainer = Trainer(graph, recipe, schedule, data.target_type(graph), backend="jax")
    for arrays in data.epoch(16, 0, 0):
        trainer.train(*arrays)
    weights, graph = trainer.weights(), apply(graph, "inference,clean").graph
    exact = math.exp(scores(graph, weights, held_out)["loss"])

    def perplexity(method: str, pattern: Pattern | NM) -> float:
        density = None if isinstance(pattern, NM) else 0.5
        plan = Plan(density, method, pattern, only="!head", examples=128, batch=32)
        return math.exp(sparsify(graph, weights, plan, data, test=held_out).after["loss"])

    for pattern, most in ((Unstructured(), 1.05), (NM(2, 4), 1.1)):
        by_magnitude, by_wanda, by_hessian = (perplexity(name, pattern) for name in ("magnitude", "wanda", "sparsegpt"))
        assert exact < by_hessian < min(by_magnitude, by_wanda)
        assert by_hessian < most * exact
