"""Do the children of a supernet rank without retraining as they do with it? A space of slices on digits.

    python benchmarks/digits_supernet.py [CHILDREN] [EPOCHS]

The supernet learns by the sandwich rule with in-place distillation, as in BigNAS. Its children, by default 20, are cut
out, take their batch statistics from the digits that were learned from, and are judged on the fifth that is held out.
Beside that each learns by itself from other first weights, for as many epochs; the agreement is Kendall's tau: with 20
children and 30 epochs it was 0.85.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

import architrave
from architrave.distil import Logits
from architrave.models import find_in_text
from architrave.search.space.costs import Costs
from architrave.search.supernet.nested import Sandwich, SliceTrainer
from architrave.search.supernet.slices import Slices
from architrave.train import AdamW, Objective, Recipe, Schedule, Trainer, open_data
from architrave.train.data import Dataset
from architrave.train.evaluation import Evaluation

SPACE = """
from std.conv import conv2d, global_avg_pool
from std.linear import linear
from std.norm import batch_norm

block Unit(width: int, kernel: int)(x: [N, C, H, W]) -> [N, C, H, W] {
    y = x -> up: conv2d(width, 1, bias = false) -> norm1: batch_norm -> relu
          -> mix: conv2d(width, kernel, groups = width, bias = false) -> norm2: batch_norm -> relu
          -> down: conv2d(C, 1, bias = false) -> norm3: batch_norm
    return x + y
}

model Digits(classes: int = 10)(image: [N, 1, 8, 8]) -> [N, classes] {
    width = choice width { w2: 2, w3: 3, w4: 4, w6: 6, w8: 8, w12: 12 }
    depth = choice depth { d1: 1, d2: 2, d3: 3 }
    ratio = choice ratio { r1: 1, r2: 2 }
    x = image -> stem: conv2d(width, 3, stride = 2, bias = false) -> stem_norm: batch_norm -> relu
    for i in 0..depth {
        kernel = choice kernel[i] { k1: 1, k3: 3 }
        x = x -> layer[i]: Unit(ratio * width, kernel)
    }
    return x -> global_avg_pool -> head: linear(classes)
}
"""
BATCH, RATE, SEED = 64, 1e-2, 0


def main() -> None:
    children = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 30
    slices = Slices(Costs(find_in_text(SPACE), {}, {"N": 1}))
    train, test = open_data("digits", slices.graph)
    assert isinstance(train, Dataset)
    assert test is not None
    target = train.target_type(slices.graph)
    recipe = Recipe(AdamW(), Objective("cross_entropy"), decay=1e-2)
    schedule = Schedule(RATE, epochs * train.steps(BATCH), "cosine")

    began = time.perf_counter()
    first = architrave.init(slices.graph, SEED)
    supernet = SliceTrainer(
        slices, first, recipe, schedule, target, Sandwich(2), taught=Logits(1.0), backend="torch", compiled=1024
    )
    for epoch in range(epochs):
        for arrays in train.epoch(BATCH, SEED, epoch):
            supernet.train(*arrays)
    print(f"{slices.costs.space.size} members learned together in {time.perf_counter() - began:.0f} s")

    weights, rng = supernet.weights(), np.random.default_rng(SEED)
    found: dict[str, dict[str, str]] = {}
    while len(found) < children:
        member = slices.costs.space.sample(rng)
        found[" ".join(member.values())] = member
    rows: list[tuple[float, float]] = []
    for name, member in found.items():
        batches = [arrays[:1] for arrays in train.parts(256)]
        child = slices.child(member, weights, batches, backend="torch")
        judged = Evaluation(child.graph, recipe.objective, target, "torch")
        alone = Trainer(child.graph, recipe, schedule, target, backend="torch", seed=SEED + 1)
        for epoch in range(epochs):
            for arrays in train.epoch(BATCH, SEED + 1, epoch):
                alone.train(*arrays)
        pair = [judged.run(w, test)["accuracy"] for w in (child.weights, alone.weights())]
        rows.append((pair[0], pair[1]))
        params = slices.costs.of(member)["params"]
        print(f"{name:24} {params:6,} parameters: {pair[0]:.2%} as cut out, {pair[1]:.2%} retrained", flush=True)
    print(f"Kendall's tau over {len(rows)} children: {tau([a for a, _ in rows], [b for _, b in rows]):.2f}")


def tau(a: list[float], b: list[float]) -> float:
    """Kendall's rank correlation, tau-b, in which ties count for neither side."""
    x, y = (np.sign(np.subtract.outer(values, values)) for values in (a, b))
    total: Any = (x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum())
    return float(total)


if __name__ == "__main__":
    main()
