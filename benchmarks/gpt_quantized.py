"""What rounding the weights of a GPT to few bits does to its perplexity, by method.

    python benchmarks/gpt_quantized.py [WEIGHTS]

The GPT of examples/text/gpt.arch, 128 wide and 4 layers deep, learns the Psalms in two epochs, some minutes on a CPU,
or takes WEIGHTS from there. Its weights are rounded in groups of 128 inputs, activations stay; the perplexity is that
of the tenth of the text that is held out, and the examples that methods see are 128 windows of the rest. `own text` are
128 windows that the model has written itself. OMP_NUM_THREADS=1 keeps it to one thread.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import architrave
from architrave.ir.graph import Graph
from architrave.passes import Transformed, apply
from architrave.quantize.adaround import AdaRound
from architrave.quantize.generated import generated
from architrave.quantize.gptq import GPTQ
from architrave.quantize.layerwise import ByHessian, Finish, Method, Nearest, layerwise
from architrave.quantize.norm_tweaking import NormTweaking
from architrave.quantize.smooth import AWQ, migrated
from architrave.record.scores import scores
from architrave.train import AdamW, Objective, Recipe, Schedule, Trainer, open_data
from architrave.train.data import Dataset

EXAMPLES = Path(__file__).parents[1] / "examples" / "text"
WIDTH, DEPTH, GROUP, WINDOWS, BATCH = 128, 4, 128, 128, 32
Weights = dict[str, Any]
Batches = list[tuple[Any, ...]]


def trained(graph: Graph, data: Dataset) -> Weights:
    """The weights after two epochs on PyTorch."""
    steps = 2 * data.steps(16)
    recipe = Recipe(AdamW(), Objective("cross_entropy"), decay=0.1)
    schedule = Schedule(2e-3, steps, "cosine", warmup=50)
    trainer = Trainer(graph, recipe, schedule, data.target_type(graph), backend="torch")
    for epoch in range(2):
        for arrays in data.epoch(16, 0, epoch):
            trainer.train(*arrays)
    return trainer.weights()


@dataclass(frozen=True)
class Rounding:
    """A network with quantizers, and the examples that methods see."""

    graph: Graph
    weights: Weights
    bits: int
    text: Batches
    own: Batches

    @property
    def made(self) -> Transformed:
        return apply(self.graph, f"quantize{{bits={self.bits} act=0 group={GROUP}}}")

    def run(self, method: Method, examples: Batches, finish: Finish | None = None, moved: bool = False) -> Weights:
        """Rounded weights; those that AWQ has scaled before, if `moved`."""
        weights = (
            migrated(self.graph, self.weights, examples, AWQ(self.bits, GROUP), "torch") if moved else self.weights
        )
        made = self.made
        return layerwise(made.graph, made.weights(weights), examples, method, "torch", finish=finish)

    def ways(self) -> dict[str, Callable[[], Weights]]:
        gptq, tweaking = ByHessian(GPTQ(ordered=True)), NormTweaking()
        return {
            "nearest": lambda: self.run(Nearest(), self.text),
            "AWQ": lambda: self.run(Nearest(), self.text, moved=True),
            "AdaRound": lambda: self.run(AdaRound(steps=300, weight=1e-4), self.text),
            "GPTQ, inputs in order": lambda: self.run(ByHessian(), self.text),
            "GPTQ": lambda: self.run(gptq, self.text),
            "GPTQ, norm tweaking": lambda: self.run(gptq, self.text, tweaking),
            "GPTQ, own text": lambda: self.run(gptq, self.own),
            "GPTQ, norm tweaking, own text": lambda: self.run(gptq, self.own, tweaking),
            "AWQ, GPTQ": lambda: self.run(gptq, self.text, moved=True),
        }


def main() -> None:
    graph = architrave.load(EXAMPLES / "gpt.arch", width=WIDTH, depth=DEPTH)
    data, held_out = open_data(str(EXAMPLES / "psalms.txt"), graph, 0.1)
    assert isinstance(data, Dataset)
    assert held_out is not None
    weights = architrave.weights.load(sys.argv[1], graph) if len(sys.argv) > 1 else trained(graph, data)
    graph = apply(graph, "inference,clean").graph
    text = data.taken(np.linspace(0, len(data) - 1, WINDOWS).astype(int)).arrays[0]
    own = generated(graph, weights, WINDOWS, text.shape[1], backend="torch")
    examples = [[(x[i : i + BATCH],) for i in range(0, WINDOWS, BATCH)] for x in (text, own)]
    exact = math.exp(scores(graph, weights, held_out)["loss"])
    print(
        f"float32: perplexity {exact:.4f}\n\n{'bits':>4}  {'method':<34}{'perplexity':>10}{'change':>9}{'seconds':>9}"
    )
    for bits in (4, 3):
        rounding = Rounding(graph, weights, bits, *examples)
        for name, way in rounding.ways().items():
            begin = time.perf_counter()
            held = way()
            spent = time.perf_counter() - begin
            found = math.exp(scores(rounding.made.graph, held, held_out)["loss"])
            print(f"{bits:>4}  {name:<34}{found:>10.4f}{found / exact - 1:>+9.2%}{spent:>9.1f}", flush=True)


if __name__ == "__main__":
    main()
