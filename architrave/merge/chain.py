"""The repeated blocks of a network, where networks of one family can be cut."""

from __future__ import annotations

from itertools import pairwise

from architrave.ir.graph import Graph
from architrave.ir.place import Place
from architrave.ir.source import error
from architrave.passes.structure.sublayers import Sublayer, parts_at


def chain(graph: Graph, path: str) -> list[Sublayer]:
    """The blocks `path.0`, `path.1` and so on, each of which takes what the one before gives.

    Raises E932 where there are none, or where anything else passes from one to another.
    """
    found = parts_at(graph, [f"{path}.{i}" for i in range(_count(graph, path))])
    blocks = list(found.values())
    if not blocks:
        what = f"`{graph.name}` has no repeated block `{path}`"
        raise error("E932", what, hint=f"name one of {', '.join(repeated(graph)) or 'those that it has: none'}")
    for i, path_of_block in enumerate(f"{path}.{i}" for i in range(_count(graph, path))):
        if path_of_block not in found:
            what = f"`{path_of_block}` cannot be cut off: it does not take one value and give one"
            raise error("E932", what, hint="values that pass it by, such as skips, belong to no cut")
        if i and blocks[i].before is not blocks[i - 1].after:
            raise error("E932", f"`{path_of_block}` does not take what `{path}.{i - 1}` gives, so nothing is cut there")
    return blocks


def repeated(graph: Graph) -> list[str]:
    """The paths of which there is a block 0 and a block 1, in the order of the network."""
    paths = dict.fromkeys(path for node in graph.nodes for path in _above(node.place))
    numbered = [path.rpartition(".") for path in paths]
    return list(dict.fromkeys(a for (a, _, i), (b, _, j) in pairwise(sorted(numbered)) if (a, i, j) == (b, "0", "1")))


def _count(graph: Graph, path: str) -> int:
    """How many blocks there are, numbered from 0 without a gap."""
    paths = {above for node in graph.nodes for above in _above(node.place)}
    count = 0
    while f"{path}.{count}" in paths:
        count += 1
    return count


def _above(place: Place | None) -> list[str]:
    found: list[str] = []
    while place is not None:
        found.append(place.path)
        place = place.parent
    return found
