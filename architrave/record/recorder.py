"""Inner values of a network, batch after batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from architrave.backends.load import Program, compile
from architrave.backends.runner import Session
from architrave.ir.arrays import Array
from architrave.ir.bind import sizes_of
from architrave.ir.graph import Graph, Value
from architrave.ir.mode import specialize
from architrave.ir.source import error


def silent(done: int) -> None:
    """Progress that nobody watches."""


class Recorder:
    """A network in inference mode that gives chosen inner values, by the names that they are chosen under.

    It is compiled once, for any backend and any sizes of symbolic dimensions; its weights may differ from call to call.

        recorder = Recorder(graph, {"scores": value}, "numpy")
        for found in recorder.stream(weights, batches):
            found["scores"]
    """

    def __init__(self, graph: Graph, values: Mapping[str, Value], backend: str = "torch") -> None:
        """`values` are of `graph` itself. Raises E910 for one that is not, or is inside a loop or a branch."""
        nodes = set(graph.nodes)
        stranger = next((name for name, value in values.items() if value.node not in nodes), None)
        if stranger is not None:
            hint = "values inside loops and branches are many, or none, in one run"
            raise error("E910", f"`{stranger}` is no value of `{graph.name}` itself", hint=hint)
        self.names = tuple(values)
        self.graph = specialize(replace(graph, outputs=tuple(values.values()), updates=()), training=False)
        self.backend = backend
        self.program: Program = compile(self.graph, backend)

    def run(self, weights: Mapping[str, Any], inputs: Sequence[Any]) -> dict[str, Array]:
        """The values on one batch, in the shapes and dtypes that the graph says. Errors are those of a program's."""
        return dict(zip(self.names, self.program.run(weights, *inputs).outputs, strict=True))

    def stream(
        self, weights: Mapping[str, Any], batches: Iterable[Sequence[Any]], progress: Callable[[int], object] = silent
    ) -> Iterator[dict[str, Array]]:
        """The values on each batch, one batch in memory at a time. `progress` hears how many examples were seen."""
        session: Session | None = None
        for inputs in batches:
            arrays = [np.asarray(x) for x in inputs]
            session = session or self.program.session(weights, *arrays, training=False)
            outputs = session.run(self._converted(session, arrays), (0, 0))
            yield dict(zip(self.names, outputs, strict=True))
            progress(len(arrays[0]) if arrays and arrays[0].ndim else 1)

    def _converted(self, session: Session, arrays: Sequence[Array]) -> list[Array]:
        """The arrays in the dtypes of the session, which the first batch has set. Raises E510, E511."""
        sizes_of(self.graph, [x.shape for x in arrays])
        return [x.astype(like.dtype, copy=False) for x, like in zip(arrays, session.execution.inputs, strict=True)]
