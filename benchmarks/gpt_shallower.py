"""What leaving out parts of a GPT does to its perplexity: those that llm-drop takes, the last and the first.

    python benchmarks/gpt_shallower.py [WEIGHTS]

The GPT of examples/text/gpt.arch, 64 wide and 6 layers deep, learns the Psalms in 500 steps, a minute on a CPU, or
takes WEIGHTS, which are written where there are none. The perplexity is that of the tenth of the text that is held
out; parts are scored on 64 windows of the rest, and nothing is trained afterwards. OMP_NUM_THREADS=1 keeps it to one
thread.
"""

from __future__ import annotations

import math
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

import architrave
from architrave.ir.cost import parameters
from architrave.ir.graph import Graph
from architrave.ir.ops.leaves import path_of
from architrave.passes import apply
from architrave.passes.structure.drop import dropped
from architrave.passes.structure.sublayers import Kind
from architrave.prune.depth import llm_drop, parts
from architrave.record.scores import scores
from architrave.train import AdamW, Objective, Recipe, Schedule, Trainer, open_data
from architrave.train.data import Dataset
from architrave.weights import load, save

EXAMPLES = Path(__file__).parents[1] / "examples" / "text"
WIDTH, DEPTH, STEPS, WINDOWS, BATCH = 64, 6, 500, 64, 16
KINDS: tuple[tuple[Kind, ...], ...] = (("attention",), ("mlp",), ("attention", "mlp"), ("block",))


def trained(graph: Graph, data: Dataset) -> dict[str, Any]:
    """The weights after so many steps on PyTorch."""
    recipe = Recipe(AdamW(), Objective("cross_entropy"), decay=0.1)
    schedule = Schedule(3e-3, STEPS, "cosine", warmup=50)
    trainer = Trainer(graph, recipe, schedule, data.target_type(graph), backend="torch")
    for arrays in islice(data.epoch(16, 0, 0), STEPS):
        trainer.train(*arrays)
    return trainer.weights()


def main() -> None:
    graph = architrave.load(EXAMPLES / "gpt.arch", width=WIDTH, depth=DEPTH)
    data, held_out = open_data(str(EXAMPLES / "psalms.txt"), graph, 0.1)
    assert isinstance(data, Dataset)
    assert held_out is not None
    known = len(sys.argv) > 1 and Path(sys.argv[1]).exists()
    weights = load(sys.argv[1], graph) if known else trained(graph, data)
    if len(sys.argv) > 1 and not known:
        save(sys.argv[1], weights)
    graph = apply(graph, "inference,clean").graph
    windows = data.taken(np.linspace(0, len(data) - 1, WINDOWS).astype(int)).arrays[0]
    batches = [(windows[i : i + BATCH],) for i in range(0, WINDOWS, BATCH)]

    def perplexity(network: Graph) -> float:
        held = {path_of(w): weights[path_of(w)] for w in network.weights}
        return math.exp(scores(network, held, held_out)["loss"])

    print(f"all {DEPTH} layers: perplexity {perplexity(graph):.4f}, {parameters(graph):,} parameters\n")
    print(f"{'left out':<34}{'of':<18}{'parameters':>12}{'llm-drop':>10}{'the last':>10}{'the first':>10}")
    for kinds in KINDS:
        for count in (1, 2, 3):
            found, all_parts = llm_drop(graph, weights, batches, count, kinds), parts(graph, kinds)
            others = (dropped(graph, chosen) for chosen in (all_parts[-count:], all_parts[:count]))
            names = ", ".join(part.name.replace("layer.", "") for part in found.dropped)
            print(
                f"{names:<34}{' and '.join(kinds):<18}{parameters(found.graph):>12,}"
                + "".join(f"{perplexity(each):>10.4f}" for each in (found.graph, *others)),
                flush=True,
            )


if __name__ == "__main__":
    main()
