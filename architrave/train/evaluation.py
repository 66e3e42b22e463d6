"""What a network has learnt: its loss and its accuracy on examples, in inference mode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from architrave.backends.load import Program, compile
from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.mode import specialize
from architrave.ir.types import TensorType
from architrave.train.data import Dataset
from architrave.train.objective import Objective


class Evaluation:
    """The network in inference mode, with the loss as a further output."""

    def __init__(self, network: Graph, objective: Objective, target: TensorType | None, backend: str) -> None:
        attached = objective.attached(network, target)
        outputs = (*attached.outputs, *network.outputs[: 1 if objective.loss else 0])
        self.graph = specialize(replace(attached, outputs=outputs, updates=()), training=False)
        self.backend = backend

    @cached_property
    def program(self) -> Program:
        """The compiled program: the loss, and the network's first output."""
        return compile(self.graph, self.backend)

    def run(self, weights: Mapping[str, Any], data: Dataset, size: int = 256) -> dict[str, float]:
        """The mean loss over all examples, and the accuracy where the targets are classes of the last axis."""
        loss, right, counted = 0.0, 0, 0
        for arrays in data.parts(size):
            found = self.program.run(weights, *arrays).outputs
            loss += float(found[0]) * len(arrays[0])
            if data.target is not None and is_classification(found[-1], arrays[-1]):
                right += int(np.count_nonzero(found[1].argmax(-1) == arrays[-1]))
                counted += arrays[-1].size
        result = {"loss": loss / len(data)}
        return {**result, "accuracy": right / counted} if counted else result


def is_classification(output: Array, target: Array) -> bool:
    """Whether targets name classes along the last axis of an output."""
    return target.dtype.kind in "iu" and output.shape[:-1] == target.shape
