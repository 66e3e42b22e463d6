"""A GPT that has learnt the Psalms keeps nearly all of it in weights of 4 bits, with GPTQ more than by the nearest."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import architrave
from architrave.passes import apply
from architrave.quantize.gptq import GPTQ
from architrave.quantize.layerwise import ByHessian, layerwise
from architrave.quantize.norm_tweaking import NormTweaking
from architrave.record.scores import scores
from architrave.train import AdamW, Objective, Recipe, Schedule, Trainer, open_data
from architrave.train.data import Dataset

TEXT = Path(__file__).parents[2] / "examples" / "text"


@pytest.mark.slow
def test_few_bits_in_groups_of_128() -> None:
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
