"""What became of a network that was pruned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from architrave.ir.arrays import Array, np
from architrave.ir.axes.rest import Coordinates
from architrave.ir.cost import Sizes, multiply_adds_by_place, weight_sizes
from architrave.ir.dims import Size
from architrave.ir.graph import Graph
from architrave.prune.plan import Plan


@dataclass(frozen=True)
class Part:
    """A group of the network before, and which of its units stay. `scores` are those of the first round."""

    name: str
    kind: str
    size: int
    kept: Coordinates
    scores: Array | None = None


@dataclass(frozen=True)
class Layer:
    """A layer before and after: the shape of its first weight, its trained numbers and its multiply-adds.

    A shape is None where the layer is not there.
    """

    name: str
    shapes: tuple[tuple[Size, ...] | None, tuple[Size, ...] | None]
    parameters: tuple[int, int]
    macs: tuple[int, int]


@dataclass(frozen=True)
class Pruned:
    """A smaller network with its weights.

    `network` is what was given, `start` what was cut: another one where that took weights which were made from others.
    `refused` has the groups that stay whole by name, with the reason; `dropped` the parts that were left out. Costs
    are (before, after), with symbols bound by `sizes`. `before`, `cut` and `after` are scores on examples with labels:
    of the network, when units are gone, and after fine-tuning. They are empty without labels or without tuning.
    """

    plan: Plan
    network: Graph
    start: Graph
    graph: Graph
    weights: Mapping[str, Array]
    sizes: Mapping[str, int]
    parts: Sequence[Part]
    refused: Mapping[str, str]
    dropped: Sequence[str] = ()
    layers: Sequence[Layer] = ()
    seconds: tuple[float, float] | None = None
    before: Mapping[str, float] = field(default_factory=dict[str, float])
    cut: Mapping[str, float] = field(default_factory=dict[str, float])
    after: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def hoisted(self) -> bool:
        """Whether weights that are made from others were computed first, so that more could be cut."""
        return self.start is not self.network

    @property
    def parameters(self) -> tuple[int, int]:
        """Trained numbers, before and after."""
        return _both(self.layers, "parameters")

    @property
    def macs(self) -> tuple[int, int]:
        """Multiply-adds of one run, before and after."""
        return _both(self.layers, "macs")

    @property
    def units(self) -> tuple[int, int]:
        """Units of groups that could be cut, before and after."""
        return sum(part.size for part in self.parts), sum(len(part.kept) for part in self.parts)


def compared(before: Graph, after: Graph, sizes: Sizes) -> list[Layer]:
    """The layers of two networks, in the order of the first."""
    first, second = _Layers(before, sizes), _Layers(after, sizes)
    return [
        Layer(
            name,
            (first.shapes.get(name), second.shapes.get(name)),
            (first.parameters.get(name, 0), second.parameters.get(name, 0)),
            (first.macs.get(name, 0), second.macs.get(name, 0)),
        )
        for name in dict.fromkeys([*first.names, *second.names])
    ]


class _Layers:
    """The layers of a network: the places whose names its weights begin with, and those that multiply without any."""

    def __init__(self, graph: Graph, sizes: Sizes) -> None:
        self.shapes: dict[str, tuple[Size, ...]] = {}
        self.parameters: dict[str, int] = {}
        shapes = {path: w.shape for w in graph.weights if (path := getattr(w.op, "path", None))}
        for path, size in weight_sizes(graph).items():
            name = path.rpartition(".")[0]
            self.shapes.setdefault(name, shapes[path])
            self.parameters[name] = self.parameters.get(name, 0) + _known(size)
        self.macs = _own_macs(multiply_adds_by_place(graph, sizes))
        self.names = dict.fromkeys([*self.parameters, *self.macs])


def _own_macs(totals: Mapping[str, Size]) -> dict[str, int]:
    """The multiply-adds at every place, without those below it."""
    own = {path: _known(total) for path, total in totals.items()}
    for path, total in totals.items():
        if path:
            own[path.rpartition(".")[0]] -= _known(total)
    return {path: total for path, total in own.items() if total}


def _known(size: Size) -> int:
    assert isinstance(size, int), "all symbols are bound"
    return size


def _both(layers: Sequence[Layer], name: str) -> tuple[int, int]:
    first, second = np.array([getattr(layer, name) for layer in layers], np.int64).reshape(-1, 2).sum(axis=0).tolist()
    return first, second
