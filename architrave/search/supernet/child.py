"""A member cut out of a supernet: a plain network with its weights."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from architrave import weights as checkpoints
from architrave.backends.arch import write
from architrave.files import write_text
from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.ops.leaves import path_of
from architrave.record.running import reestimate
from architrave.stdlib.instances import applied


class Supernet(Protocol):
    """A network that holds all members of a space. Which one it is depends on some of its weights."""

    @property
    def graph(self) -> Graph:
        """The network."""
        ...

    def setting(self, member: Mapping[str, str]) -> dict[str, Array]:
        """The weights with which it is a member, by path."""
        ...

    def member(self, member: Mapping[str, str]) -> Graph:
        """A member by itself, with the weights that it reads."""
        ...


@dataclass(frozen=True)
class Child:
    """A member by itself: its graph, and its weights by path."""

    graph: Graph
    weights: Mapping[str, Array]

    def text(self) -> str:
        """The member as a `.arch` file, in blocks of the standard library where these build it."""
        return write(self.graph, applied)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `path`, a `.arch` file, and its weights beside it, as `.safetensors`."""
        write_text(Path(path), self.text())
        checkpoints.save(Path(path).with_suffix(".safetensors"), self.weights)


def child(
    supernet: Supernet,
    weights: Mapping[str, Any],
    member: Mapping[str, str],
    batches: Iterable[Sequence[Any]] | None = None,
    *,
    backend: str = "numpy",
) -> Child:
    """A member of a supernet with its weights, as they are in the supernet.

    With `batches` of inputs, batch statistics are taken anew from them. Raises E952 for what is no member, E912 where
    there are no batches.
    """
    graph = supernet.member(member)
    held = {path_of(w): np.asarray(weights[path_of(w)]) for w in graph.weights}
    return Child(graph, held if batches is None else reestimate(graph, held, batches, backend=backend))
