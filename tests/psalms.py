"""A small GPT that has learnt the Psalms, for tests of what a language model loses."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import architrave
from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.passes import apply
from architrave.train import AdamW, Objective, Recipe, Schedule, Trainer, open_data
from architrave.train.data import Dataset

TEXT = Path(__file__).parents[1] / "examples" / "text"


@dataclass(frozen=True)
class Learnt:
    """The network in inference, its weights, and the windows that it learnt from and those held out."""

    graph: Graph
    weights: dict[str, Array]
    data: Dataset
    held_out: Dataset


def learnt(width: int, depth: int, steps: int, held_out: float, backend: str) -> Learnt:
    """A GPT after so many steps, no more than one epoch has, of 16 windows each."""
    graph = architrave.load(TEXT / "gpt.arch", width=width, depth=depth)
    data, rest = open_data(str(TEXT / "psalms.txt"), graph, held_out)
    assert isinstance(data, Dataset)
    assert isinstance(rest, Dataset)
    recipe, schedule = Recipe(AdamW(), Objective("cross_entropy"), decay=0.1), Schedule(3e-3, steps, "cosine", 50)
    trainer = Trainer(graph, recipe, schedule, data.target_type(graph), backend=backend)
    for arrays in islice(data.epoch(16, 0, 0), steps):
        trainer.train(*arrays)
    return Learnt(apply(graph, "inference,clean").graph, trainer.weights(), data, rest)
