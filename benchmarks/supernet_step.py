"""A step of a supernet by one program for all members, by a program for each, and a step of a member by itself.

    python benchmarks/supernet_step.py [BACKEND ...] [--width 8] [--batch 64] [--steps 20]

The space is that of two cells of NAS-Bench-201 on digits: six edges, of which each is one of five. One program computes
all alternatives. A program for a member computes what it takes, but is compiled when the member is first drawn: `new`
are steps of members that were not drawn before, `known` those of members whose programs are kept. All are medians of
CPU time, of one run with OMP_NUM_THREADS=1 and OPENBLAS_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

from architrave.models import find_in_text
from architrave.passes.search.switched import switched
from architrave.search.supernet.draws import Uniform
from architrave.train import AdamW, Objective, Recipe, Schedule, Trainer, open_data
from architrave.train.paths import PathTrainer

SPACE = """
from std.conv import conv2d, global_avg_pool
from std.linear import linear
from std.nasbench201 import Cell, Reduction, conv1x1, conv3x3, pool, zeroize
from std.norm import batch_norm

model Cells(width: int)(image: [N, 1, 8, 8]) -> [N, 10] {
    edges = [choice edge[i] {
        none: zeroize, skip: identity, conv1x1: conv1x1, conv3x3: conv3x3, pool: pool
    } for i in 0..6]
    return image -> stem: conv2d(width, 3, bias = false) -> stem_norm: batch_norm -> first: Cell(edges)
                 -> reduction: Reduction(2 * width) -> second: Cell(edges)
                 -> last_norm: batch_norm -> relu -> global_avg_pool -> head: linear(10)
}
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("backends", nargs="*", default=["numpy", "torch"])
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    for backend in options.backends:
        print(f"{backend}, width {options.width}, batches of {options.batch}:", flush=True)
        for what, took in measured(backend, options.width, options.batch, options.steps).items():
            print(f"  {what:38} {1000 * took:8.1f} ms", flush=True)


def measured(backend: str, width: int, batch: int, steps: int) -> dict[str, float]:
    """The CPU time of a step in each way, in seconds."""
    source = find_in_text(SPACE).elaborate({"width": width}, keep_choices=True).graph
    supernet = switched(source)
    data, _ = open_data("digits", source)
    target, recipe, schedule = data.target_type(source), Recipe(AdamW(), Objective("cross_entropy")), Schedule(1e-2, 99)
    batches = [*data.epoch(batch, 0, 0)]
    batches = [batches[i % (len(batches) - 1)] for i in range(steps)]
    draw = Uniform(supernet.labels, seed=0)

    def paths(compiled: int) -> PathTrainer:
        return PathTrainer(supernet, draw, recipe, schedule, target, backend=backend, compiled=compiled)

    whole, each = paths(0), paths(steps + 1)
    whole.train(*batches[0])
    each.train(*batches[0])
    found = {"one program for all members": median(whole.train, batches)}
    found["a program for each, new"] = median(each.train, batches)
    each.draw = lambda step: draw(1 + step % steps)
    found["a program for each, known"] = median(each.train, batches)
    alone: list[float] = []
    for step in range(3):
        trainer = Trainer(supernet.member(draw(step)), recipe, schedule, target, backend=backend)
        trainer.train(*batches[0])
        alone.append(median(trainer.train, batches))
    found["a member by itself"] = statistics.median(alone)
    return found


def median(train: Callable[..., Any], batches: Iterable[Any]) -> float:
    took: list[float] = []
    for arrays in batches:
        began = time.process_time()
        train(*arrays)
        took.append(time.process_time() - began)
    return statistics.median(took)


if __name__ == "__main__":
    main()
