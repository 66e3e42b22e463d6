"""Supernets without weights of their own: a hypernetwork gives each member its weights.

Brock, Lim, Ritchie and Weston, "SMASH: One-Shot Model Architecture Search through HyperNetworks" (2018).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from architrave.backends.load import compile
from architrave.ir.arrays import Array, known
from architrave.ir.axes.axis import Axes
from architrave.ir.dims import product
from architrave.ir.graph import Graph, Value, make
from architrave.ir.ops.leaves import Param, path_of
from architrave.ir.place import marked
from architrave.ir.prefix import prefixed
from architrave.ir.storage import constant_of
from architrave.ir.types import DType
from architrave.models import find_in_text
from architrave.passes.search.generated import generated, weight_of
from architrave.search.space.members import Member
from architrave.search.supernet.slices import Slices, axes_by_path

PREFIX = "hypernetwork"
"""What the paths of its weights begin with."""


@dataclass
class Generated(Slices):
    """Members whose kernels a hypernetwork gives; what has other shapes, such as norms, is in slices of the largest.

    It is told which member it is by a one for the label of each decision. It learns as all weights of the largest do.
    """

    width: int = 32
    depth: int = 2

    @cached_property
    def slots(self) -> dict[str, int]:
        """The generated weights by path: those with more than two axes."""
        kernels = [path_of(w) for w in self.plain.weights if isinstance(w.op, Param) and w.rank > 2]
        return {path: slot for slot, path in enumerate(kernels)}

    @cached_property
    def plain(self) -> Graph:
        """The largest member with weights of its own."""
        return self.costs.graph(self.largest)

    @cached_property
    def graph(self) -> Graph:
        """The largest member, and the hypernetwork that gives its weights."""
        return self._generated(self.plain, self.largest)

    def network(self, member: Member) -> Graph:
        """A member together with the hypernetwork."""
        return self._generated(self.fixed(member), member)

    def fixed(self, member: Member) -> Graph:
        """A member with weights of its own, as it is where the hypernetwork has given them."""
        return super().network(member)

    def code(self, member: Member) -> Array:
        """What the hypernetwork is told of a member: float64 [labels of all decisions]."""
        labels = self.costs.space.labels.items()
        return np.array([float(member.get(path) == label) for path, its in labels for label in its])

    def frozen(self, member: Member, weights: Mapping[str, Any], backend: str = "numpy") -> dict[str, Array]:
        """The weights of `fixed(member)`, of those of the largest: what the hypernetwork gives, once and for all."""
        network = self.fixed(member)
        given = [w for w in network.weights if path_of(w) in self.slots]
        rows, inner = self._rows(network, member)
        outputs = tuple(weight_of(rows, self.slots[path_of(w)], w.shape) for w in given)
        program = compile(Graph("Weights", (), outputs, inner), backend)
        found = program.run({path_of(w): weights[path_of(w)] for w in inner}).outputs
        known = {**self.weights(member, weights), **dict(zip(map(path_of, given), found, strict=True))}
        return {path: known[path] for path in map(path_of, network.weights)}

    @cached_property
    def _axes(self) -> dict[str, Axes]:
        return {**axes_by_path(prefixed(self._hypernetwork, PREFIX)), **self._not_generated(self.plain)}

    def _axes_of(self, member: Member) -> dict[str, Axes]:
        own = {path: axes for path, axes in self._axes.items() if path.startswith(f"{PREFIX}.")}
        return {**own, **self._not_generated(self.fixed(member))}

    def _not_generated(self, network: Graph) -> dict[str, Axes]:
        return {path: axes for path, axes in axes_by_path(network).items() if path not in self.slots}

    def _generated(self, network: Graph, member: Member) -> Graph:
        rows, weights = self._rows(network, member)
        return generated(network, rows, self.slots, weights)

    def _rows(self, network: Graph, member: Member) -> tuple[Value, tuple[Value, ...]]:
        """What the hypernetwork gives for a member, and its weights."""
        code = self.code(member)
        with marked(place=network.place):
            given = make(constant_of(code, DType.FLOAT, code.shape), ()).outputs[0]
        inner = prefixed(self._hypernetwork, PREFIX, network.place, [given])
        return inner.outputs[0], inner.weights

    @cached_property
    def _hypernetwork(self) -> Graph:
        shapes = {path_of(w): w.shape for w in self.plain.weights}
        count = max(known(product(shapes[path])) for path in self.slots)
        sizes = f"{len(self.slots)}, {count}, {self.width}, {self.depth}"
        labels = sum(map(len, self.costs.space.labels.values()))
        text = f"""from std.hypernetwork import slot_hypernetwork
model Hypernetwork()(code: [{labels}]) = code -> "": slot_hypernetwork({sizes})
"""
        return find_in_text(text).elaborate({}).graph
