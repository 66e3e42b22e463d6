"""Examples that a language model writes itself: to calibrate by where its own data are not at hand.

Liu and others, "LLM-QAT: Data-Free Quantization Aware Training for Large Language Models" (2023); so calibrates norm
tweaking.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from architrave.backends.load import compile
from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.source import error
from architrave.record.recorder import silent


def generated(
    graph: Graph,
    weights: Mapping[str, Any],
    count: int,
    length: int,
    *,
    seed: int = 0,
    backend: str = "numpy",
    progress: Callable[[int], object] = silent,
) -> Array:
    """Tokens i64 [count, length] that a causal model [N, T] -> [N, T, tokens] draws one after another.

    The first of each is any token, with equal probability; each of the others is drawn by what the model says of it.
    Raises E917 for a network with other inputs than one tensor of integers [N, T], and whatever a run does.
    """
    (x, *others), y = graph.inputs, graph.outputs[0]
    tokens = y.shape[-1]
    if others or not x.dtype.is_integer or x.rank != 2 or y.rank != 3 or not isinstance(tokens, int):
        what = f"`{graph.name}` is no model of [N, T] tokens that gives [N, T, tokens] scores"
        raise error("E917", what, hint="give examples of its data instead")
    rng: Any = np.random.default_rng(seed)
    program = compile(graph, backend)
    text = np.zeros((count, length), np.int64)
    text[:, 0] = rng.integers(0, tokens, count)
    for place in range(1, length):
        # What lies behind a place does not change what the model says there.
        scores = program.run(weights, text).outputs[0][:, place - 1].astype(np.float64)
        # Gumbel noise makes the largest score a draw by the softmax.
        text[:, place] = (scores + rng.gumbel(size=scores.shape)).argmax(-1)
        progress(1)
    return text
