"""How well a network does on examples with labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from architrave.ir.graph import Graph
from architrave.record.recorder import Recorder, silent
from architrave.train.data import Dataset
from architrave.train.evaluation import is_classification


def scores(
    graph: Graph,
    weights: Mapping[str, Any],
    data: Dataset,
    *,
    batch: int = 32,
    backend: str = "torch",
    progress: Callable[[int], object] = silent,
) -> dict[str, float]:
    """The accuracy and the mean cross-entropy, in nats, of the first output; nothing where the targets are no classes.

    The targets are classes along the last axis of the output.
    """
    target = data.target
    if target is None or target.dtype.kind not in "iu":
        return {}
    right, loss, count = 0, 0.0, 0
    recorder = Recorder(graph, {"y": graph.outputs[0]}, backend)
    batches = [arrays[:-1] for arrays in data.parts(batch)]
    for i, found in enumerate(recorder.stream(weights, batches, progress)):
        wanted, y = target[i * batch : (i + 1) * batch], found["y"].astype(np.float64)
        if not is_classification(y, wanted):
            return {}
        right += int(np.count_nonzero(y.argmax(-1) == wanted))
        shifted = y - y.max(axis=-1, keepdims=True)
        chosen = np.take_along_axis(shifted, wanted[..., None], axis=-1)[..., 0]
        loss += float((np.log(np.exp(shifted).sum(axis=-1)) - chosen).sum())
        count += wanted.size
    return {"accuracy": right / count, "loss": loss / count}
