"""Graphs as readable `.arch` text: with the blocks and loops that their nodes come from.

`str(graph)` is flat, a statement a node. `write(graph)` gives what a person would write: each block once, under its
name and with its docstring, its weights by their own names, equal blocks in a row as a loop. Both read back to an equal
graph with the same weights.
"""

from __future__ import annotations

from architrave.backends.arch.conflicts import Torn, unwritable
from architrave.backends.arch.library import Library
from architrave.backends.arch.program import Program
from architrave.ir.graph import Graph

__all__ = ["write"]


def write(graph: Graph, library: Library | None = None) -> str:
    """The text of a file whose one model elaborates (with `keep_choices`) to an equal graph.

    With a `library`, such as `architrave.stdlib.instances.applied`, the file imports the blocks of it that build what
    is there; without one it stands alone.

    What a pass has moved out of a block stands in the block around it. Raises E350 for what has no form in text,
    E402 where sub-graphs nest deeper than a program can.
    """
    dissolved = unwritable(graph)
    while True:
        try:
            return Program(graph, dissolved, library).write()
        except Torn as torn:
            if torn.places <= dissolved:
                raise AssertionError("places that stand in the blocks around them are no blocks") from None
            dissolved |= torn.places
