"""A GPT that has learnt the Psalms keeps more of it in half of its weights by SparseGPT than by magnitude."""

from __future__ import annotations

import math

import pytest

from architrave.record.scores import scores
from architrave.sparsity.masks.pattern import NM, Pattern, Unstructured
from architrave.sparsity.scores.one_shot import sparsify
from architrave.sparsity.scores.plan import Plan
from tests.psalms import learnt


@pytest.mark.slow
def test_half_of_the_weights() -> None:
    pytest.importorskip("jax")
    gpt = learnt(128, 2, 1068, 0.1, "jax")
    graph, weights, data, held_out = gpt.graph, gpt.weights, gpt.data, gpt.held_out
    exact = math.exp(scores(graph, weights, held_out)["loss"])

    def perplexity(method: str, pattern: Pattern | NM) -> float:
        density = None if isinstance(pattern, NM) else 0.5
        plan = Plan(density, method, pattern, only="!head", examples=128, batch=32)
        return math.exp(sparsify(graph, weights, plan, data, test=held_out).after["loss"])

    for pattern, most in ((Unstructured(), 1.05), (NM(2, 4), 1.1)):
        by_magnitude, by_wanda, by_hessian = (perplexity(name, pattern) for name in ("magnitude", "wanda", "sparsegpt"))
        assert exact < by_hessian < min(by_magnitude, by_wanda)
        assert by_hessian < most * exact
