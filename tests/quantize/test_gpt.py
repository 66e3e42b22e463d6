"""A GPT that has learnt the Psalms keeps nearly all of it in weights of 4 bits, with GPTQ more than by the nearest."""

from __future__ import annotations

import math

import numpy as np
import pytest

from architrave.passes import apply
from architrave.quantize.gptq import GPTQ
from architrave.quantize.layerwise import ByHessian, layerwise
from architrave.quantize.norm_tweaking import NormTweaking
from architrave.record.scores import scores
from tests.psalms import learnt


@pytest.mark.slow
def test_few_bits_in_groups_of_128() -> None:
    pytest.importorskip("jax")
    gpt = learnt(128, 2, 1068, 0.1, "jax")
    graph, weights, data, held_out = gpt.graph, gpt.weights, gpt.data, gpt.held_out
    windows = data.taken(np.linspace(0, len(data) - 1, 128).astype(int)).arrays[0]
    batches = [(windows[i : i + 32],) for i in range(0, 128, 32)]
    exact = math.exp(scores(graph, weights, held_out)["loss"])
    found: dict[int, list[float]] = {}
    for bits in (4, 3):
        made = apply(graph, f"quantize{{bits={bits} act=0 group=128}}")
        start, gptq = made.weights(weights), ByHessian(GPTQ(ordered=True))
        rounded = layerwise(made.graph, start, batches, gptq)
        tweaked = layerwise(made.graph, start, batches, gptq, finish=NormTweaking(backend="jax"))
        found[bits] = [math.exp(scores(made.graph, w, held_out)["loss"]) for w in (start, rounded, tweaked)]
    nearest, by_gptq, _ = found[4]
    assert by_gptq < nearest
    assert by_gptq < 1.03 * exact
    # With 4 bits there is too little to make up for to be told from chance.
    nearest, by_gptq, by_both = found[3]
    assert by_both < by_gptq < nearest
