"""Examples on their way through a network whose weights are chosen part after part.

They are kept where they are between two parts of the network, so that the time is that of a few runs, however deep it
is. Each part sees what the parts before it give as they are now, and beside it what they gave in the exact network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Value
from architrave.ir.ops.contraction import Linear
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import error
from architrave.record.recorder import Recorder
from architrave.record.stages import Stage, stages

Arrays = tuple[Array, ...]
Weights = dict[str, Array]


@dataclass(frozen=True)
class Stream:
    """Examples on their way through a network, batch by batch: where they are exactly, and where in the network."""

    exact: list[Arrays]
    changed: list[Arrays]


@dataclass
class Walk:
    """A network whose weights are chosen, its exact twin, and the examples at the part that comes next."""

    weights: Weights
    """Those of the network, as far as they are chosen."""
    original: Mapping[str, Array]
    stream: Stream
    backend: str
    twin: Callable[[Graph], Graph]
    """What a part of the network is in the exact one."""

    def record(self, stage: Stage, values: Sequence[Value], exact: bool) -> list[Arrays]:
        """What values of the part are on each batch; in the exact network, or in the network as it is now."""
        graph = replace(stage.graph, outputs=tuple(stage.values[v] for v in values))
        graph = self.twin(graph) if exact else graph
        recorder = Recorder(graph, {str(i): value for i, value in enumerate(graph.outputs)}, self.backend)
        weights, batches = (self.original, self.stream.exact) if exact else (self.weights, self.stream.changed)
        read = {path_of(w): weights[path_of(w)] for w in graph.weights}
        return [tuple(found.values()) for found in recorder.stream(read, batches)]

    def parts(self, graph: Graph) -> Iterator[Part]:
        """The parts of an inference network, with few contractions each; the examples go on when the next is asked for.

        Whoever asks chooses the weights of a part before that.
        """
        found = stages(graph, [node for node in graph.nodes if isinstance(node.op, Linear | Conv)])
        for i, stage in enumerate(found):
            yield Part(self, stage, i / max(len(found) - 1, 1))
            if i + 1 < len(found):
                exact = self.record(stage, stage.end, exact=True) if self.stream.exact else []
                self.stream = Stream(exact, self.record(stage, stage.end, exact=False))


@dataclass(frozen=True)
class Part:
    """One part of the network when its weights are chosen: `depth` goes from 0 for the first to 1 for the last."""

    walk: Walk
    stage: Stage
    depth: float


def started(
    weights: Mapping[str, Any],
    original: Mapping[str, Any] | None,
    batches: Sequence[Sequence[Any]],
    backend: str,
    twin: Callable[[Graph], Graph] | None = None,
) -> Walk:
    """The walk where it begins. Raises E912 where there are no batches.

    Without a `twin` no exact network goes beside.
    """
    if not batches:
        raise error("E912", "there are no examples to choose weights by", hint="some hundred like what is to come")
    held, exact = ({p: np.asarray(w) for p, w in each.items()} for each in (weights, original or weights))
    given = [tuple(np.asarray(x) for x in batch) for batch in batches]
    stream = Stream([] if twin is None else given, list(given))
    return Walk(held, exact, stream, backend, twin or (lambda part: part))
