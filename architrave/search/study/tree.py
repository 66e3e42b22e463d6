"""A network as the tree of its places, and edits of its layers that keep its function.

Cai, Yang, Zhang, Han and Yu, "Path-Level Network Transformation for Efficient Architecture Search" (2018). A layer that
is branched is the node above its branches, which are layers that can be edited again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.axes.groups import groups
from architrave.ir.graph import Graph, Node
from architrave.ir.ops.contraction import Linear
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.join import Concat
from architrave.passes import Select, apply
from architrave.passes.static import is_weight
from architrave.passes.structure.grow_wider import refusals

BRANCH = "branch"
FEATURES = 9
"""What is seen of each node of a tree."""
EDITS = ("replicate", "divide", "split", "deepen", "widen")
"""What may be done to a layer.

Two copies of it whose sum is halved; two parts with some of its filters each; two parts of what it gives, with a layer
behind each that starts as the identity; such a layer behind it; half as many filters more, which are copies that share.
"""

_NAME = re.compile(r"[\w.-]+")


@dataclass(frozen=True)
class Edited:
    """A network with its weights, and the passes that made it: one text for each edit, or for all before it learnt."""

    graph: Graph
    weights: Mapping[str, Array]
    edits: tuple[str, ...] = ()

    def edit(self, place: str, name: str) -> Edited:
        """The same function after one edit of the layer at a place. Raises what the passes do."""
        node = layers(self.graph)[place]
        text = passes(name, place, node.op.name, len(self.edits))
        made = apply(self.graph, text)
        return Edited(made.graph, made.weights(self.weights), (*self.edits, text))

    def settled(self) -> Edited:
        """The same, from which further edits start: it has learnt since those before."""
        return replace(self, edits=(",".join(self.edits),) if self.edits else ())


def passes(name: str, place: str, op: str, seed: int) -> str:
    """An edit of the layer at a place as a pipeline, such as `architrave apply` takes."""
    here = f"only={place}&op:{op}&!{place}.*"
    match name:
        case "replicate":
            return f"branch{{{here} merge=add}}"
        case "divide":
            return f"branch{{{here} merge=concat}}"
        case "split":
            parts = f"only={place}&op:slice&!{place}.*"
            return f"branch{{{here} merge=concat edges=values}},deepen{{{parts} bare=true}}"
        case "deepen":
            return f"deepen{{{here} bare=true}}"
        case _:
            return f"widen{{only={place}.weight:0* factor=1.5 spread=0.5 seed={seed}}},hoist"


def layers(graph: Graph, only: Select | None = None) -> dict[str, Node]:
    """The convolutions and linear layers that have a place to themselves, by place, of those that `only` chooses.

    Without those whose place has a name that no selector can spell.
    """
    found: dict[str, list[Node]] = {}
    for node in graph.nodes:
        path = node.place.path if node.place is not None else ""
        weighted = isinstance(node.op, Conv | Linear) and all(map(is_weight, node.operands[1:]))
        if weighted and _NAME.fullmatch(path) and (only is None or only.matches(node)):
            found.setdefault(path, []).append(node)
    return {path: nodes[0] for path, nodes in found.items() if len(nodes) == 1}


@dataclass(frozen=True)
class Tree:
    """The layers of a network, and the places above them up to the network itself.

    `depth` is how often a layer may be branched, and its branches again.
    """

    graph: Graph
    only: Select
    depth: int

    @cached_property
    def layers(self) -> dict[str, Node]:
        """Those that may be edited, by place."""
        return layers(self.graph, self.only)

    @cached_property
    def places(self) -> list[str]:
        """All nodes of the tree; the first is the network itself."""
        found: dict[str, None] = {"": None}
        for path in self.layers:
            while path not in found:
                found[path] = None
                path = above(path)
        return [*found]

    @property
    def below(self) -> Array:
        """1 from each node to its children: float64 [nodes, nodes]."""
        found = np.zeros((len(self.places), len(self.places)))
        for i, path in enumerate(self.places[1:], 1):
            found[self.places.index(above(path)), i] = 1
        return found

    @property
    def seen(self) -> Array:
        """What is at each node: float64 [nodes, FEATURES]."""
        order = {path: i for i, path in enumerate(self.layers)}
        joined = {str(node.place) for node in self.graph.nodes if isinstance(node.op, Concat)}
        rows = [[*self._layer(path), path in joined, order.get(path, 0) / max(1, len(order))] for path in self.places]
        return np.array(rows, float)

    @property
    def open(self) -> Array:
        """What may be done where: bool [nodes, edits]."""
        return np.array([[name in allowed for name in EDITS] for allowed in map(self._edits, self.places)])

    def _layer(self, path: str) -> list[float]:
        """Whether there is a layer, a convolution, one in groups; its channels and kernel; how often it is branched."""
        branches = path.split(".").count(BRANCH)
        if path not in self.layers:
            return [0, 0, 0, 0, 0, 0, branches]
        node = self.layers[path]
        out, given, *kernel = (size if isinstance(size, int) else 1 for size in node.operands[1].shape)
        sizes = [math.log10(out), math.log10(given), math.log10(math.prod(kernel))]
        return [1, isinstance(node.op, Conv), isinstance(node.op, Conv) and node.op.groups != 1, *sizes, branches]

    def _edits(self, path: str) -> list[str]:
        if path not in self.layers:
            return []
        node = self.layers[path]
        channels = node.operands[1].shape[0]
        may_branch = path.split(".").count(BRANCH) < self.depth
        in_groups = isinstance(node.op, Conv) and node.op.groups != 1
        parts = may_branch and isinstance(channels, int) and channels > 1 and not in_groups
        allowed = {
            "replicate": may_branch,
            "divide": parts,
            "split": parts,
            "deepen": True,
            "widen": path in self._growing,
        }
        return [name for name in EDITS if allowed[name]]

    @cached_property
    def _growing(self) -> set[str]:
        """The layers after whose filters a dimension is called that can grow."""
        found = groups(self.graph)
        refused = refusals(found)
        names = [group.name.partition(".weight:0") for group in found if group not in refused]
        return {path for path, filters, _ in names if filters}


def above(path: str) -> str:
    """The node above one: what was branched is above its branches."""
    parent = path.rpartition(".")[0]
    return parent.removesuffix(f".{BRANCH}") if parent.endswith(f".{BRANCH}") else parent
