"""Supernets that are trained block by block and without labels: ensembles of paths learn from the means of their twins.

Li and others, "BossNAS: Exploring Hybrid CNN-transformers with Block-wisely Self-supervised Neural Architecture Search"
(2021). Blocks get what the ones before give, and no gradient flows back between them. In each, several paths learn to
predict the mean of what their twins give, whose weights are moving averages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from architrave.ir import build
from architrave.ir.arrays import known
from architrave.ir.graph import Graph, Node, Value, make
from architrave.ir.initial import initial
from architrave.ir.mode import specialize
from architrave.ir.ops.leaves import Initial, Param, State, path_of
from architrave.ir.place import Block, Place, marked
from architrave.ir.prefix import prefixed
from architrave.ir.rewrite import kept
from architrave.ir.source import error
from architrave.ir.types import TensorType

TWIN = "twin"
"""What the paths of the moving averages begin with."""


@dataclass(frozen=True)
class Blocks:
    """Where a network is cut: `places` give what the blocks of the supernet end with.

    What a block gives is averaged over positions and mapped to `size` numbers, by which paths are compared.
    """

    places: Sequence[str]
    size: int = 16
    decay: float = 0.99


@dataclass
class Ensemble:
    """Several paths of a supernet in one graph, with their twins. Paths with the same weights share them.

    Weights are the same where path and type are. Where paths change shapes, `types` are those that weights have at
    their paths, and every other weight is below `sized_SHAPE`; without them, a path has one type.
    """

    networks: Sequence[Graph]
    blocks: Blocks
    types: Mapping[str, TensorType] = field(default_factory=dict[str, TensorType])
    weights: dict[str, Value] = field(default_factory=dict[str, Value])
    updates: dict[Value, Value] = field(default_factory=dict[Value, Value])

    @cached_property
    def graph(self) -> Graph:
        """The sum of all losses, in training; the twins follow."""
        total: Value | None = None
        for loss in (loss for block in self.losses for loss in block):
            total = loss if total is None else total + loss
        assert total is not None, "there is a block"
        return self._of([total / len(self.networks)])

    @cached_property
    def distances(self) -> Graph:
        """For each path its loss, summed over blocks: how far it is from the centre of the ensemble."""
        paths = [[block[i] for block in self.losses] for i in range(len(self.networks))]
        sums: list[Value] = []
        for first, *rest in paths:
            for loss in rest:
                first = first + loss
            sums.append(first)
        return replace(self._of(sums), updates=())

    @cached_property
    def features(self) -> Graph:
        """What the blocks of each path give, one path after the other, in training."""
        return replace(self._of([v for path in self._path_features for v in path]), updates=())

    def block(self, number: int) -> Graph:
        """The loss of one block alone."""
        first, *rest = self.losses[number]
        for loss in rest:
            first = first + loss
        return replace(self._of([first]), updates=())

    @cached_property
    def losses(self) -> list[list[Value]]:
        """The losses of each block, one for each path."""
        found: list[list[Value]] = []
        for k, features in enumerate(zip(*self._path_features, strict=True)):
            twins = [self._twin_features[i][k] for i in range(len(self.networks))]
            with marked(place=self._root):
                centre = self._unit(self._projected(k, twins[0], TWIN))
                for other in twins[1:]:
                    centre = centre + self._unit(self._projected(k, other, TWIN))
                centre = build.stop_gradient(centre / len(twins))
                found.append([self._loss(k, x, centre) for x in features])
        return found

    @cached_property
    def _path_features(self) -> list[list[Value]]:
        return [self._features(i, "") for i in range(len(self.networks))]

    @cached_property
    def _twin_features(self) -> list[list[Value]]:
        return [self._features(i, TWIN) for i in range(len(self.networks))]

    @cached_property
    def _root(self) -> Place:
        return Place("", Block("model", "Ensemble", "Paths of a supernet that learn from the mean of their twins."))

    @cached_property
    def _inputs(self) -> list[Value]:
        return [build.input(v.hint or "x", v.type) for v in self.networks[0].inputs]

    def _of(self, outputs: Sequence[Value]) -> Graph:
        """The graph of some outputs; the twins move towards their networks."""
        read = Graph("Ensemble", tuple(self._inputs), tuple(outputs))
        mine = [w for w in self.weights.values() if w.node in set(read.nodes)]
        names = {path_of(w): w for w in mine}
        moves = {
            twin: self.blocks.decay * twin + (1 - self.blocks.decay) * names[path.removeprefix(f"{TWIN}.")]
            for path, twin in names.items()
            if path.startswith(f"{TWIN}.") and path.removeprefix(f"{TWIN}.") in names
        }
        updates = {**{old: new for old, new in self.updates.items() if old in mine}, **moves}
        return replace(read, weights=tuple(mine), updates=tuple(updates.items()), place=self._root)

    def _features(self, i: int, twin: str) -> list[Value]:
        """What each block of a path gives, of what the one before gives, through which no gradient flows."""
        segment = f"{twin or 'path'}{i}"
        network = prefixed(specialize(self.networks[i], training=True), segment, self._root, self._inputs)
        ends = [end_of(network, f"{segment}.{place}") for place in self.blocks.places]
        new: dict[Value, Value] = {}
        found: dict[Value, Value] = {}
        for node in network.nodes:
            if isinstance(node.op, Param | State):
                new[node.outputs[0]] = self._weight(node, node.op, segment, twin)
                continue
            new.update(zip(node.outputs, kept(node, tuple(new[v] for v in node.operands)), strict=True))
            for end in (v for v in node.outputs if v in ends):
                found[end] = new[end]
                new[end] = build.stop_gradient(new[end])
        if not twin:
            for old, value in network.updates:
                self.updates.setdefault(new[old], new[value])
        return [found[end] for end in ends]

    def _weight(self, node: Node, op: Param | State, segment: str, twin: str) -> Value:
        path = shared_path(op.path.removeprefix(f"{segment}."), op.type, self.types)
        return self._held(path, op.type, op.initial, twin, isinstance(op, Param))

    def _held(self, path: str, type: TensorType, first: Initial | Graph, twin: str, learns: bool = True) -> Value:
        key = f"{twin}.{path}" if twin else path
        if key not in self.weights:
            op = Param(key, type, first) if learns and not twin else State(key, type, first)
            with marked(place=self._root):
                self.weights[key] = make(op, ()).outputs[0]
        if self.weights[key].type != type:
            both = f"{self.weights[key].type} and {type}"
            raise error(
                "E977", f"`{path}` is {both} in two paths", hint="give the types that weights have at their paths"
            )
        return self.weights[key]

    def _projected(self, k: int, x: Value, twin: str) -> Value:
        """What a block gives [N, C, *S], averaged over positions and mapped to [N, size]."""
        pooled = build.mean(x, list(range(2, x.rank))) if x.rank > 2 else x
        width = known(pooled.shape[-1])
        type = TensorType(x.dtype, (self.blocks.size, width))
        found: Value = build.linear(pooled, self._held(f"project.{k}.{width}", type, initial("xavier_uniform"), twin))
        return found

    def _loss(self, k: int, x: Value, centre: Value) -> Value:
        """How far a path's prediction is from the centre: the mean over examples."""
        y = self._projected(k, x, "")
        type = TensorType(x.dtype, (self.blocks.size, self.blocks.size))
        y = build.linear(y, self._held(f"predict.{k}", type, initial("xavier_uniform"), ""))
        difference = self._unit(y) - centre
        found: Value = build.mean(build.sum(difference * difference, [-1]))
        return found

    def _unit(self, x: Value) -> Value:
        found: Value = x * build.rsqrt(build.sum(x * x, [-1], keep=True) + 1e-12)
        return found


def shared_path(path: str, type: TensorType, types: Mapping[str, TensorType]) -> str:
    """Where the weight at a path of a network is among those that paths share: see `Ensemble`."""
    if not types or types.get(path) == type:
        return path
    return f"{'_'.join(map(str, ('sized', *type.shape)))}.{path}"


def end_of(network: Graph, path: str) -> Value:
    """The one value that what is at and below a path gives to what follows. Raises E978."""
    graph = replace(network, updates=())
    inside = {node for node in graph.nodes if f"{node.place or ''}.".startswith(f"{path}.") and node.operands}
    given = [v for n in inside for v in n.outputs if any(v in u.operands for u in graph.users[n] if u not in inside)]
    if len(given) != 1:
        what = (
            f"`{path}` of `{network.name}` gives {len(given)} values to what follows: no block of a supernet ends there"
        )
        raise error("E978", what, hint="name places, such as `layer.3`, that give one")
    return given[0]
