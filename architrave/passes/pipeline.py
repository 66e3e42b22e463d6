"""Passes one after the other: from text, to text, and over a graph."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from architrave.ir.graph import Graph
from architrave.ir.source import error
from architrave.ir.verify import verify
from architrave.passes.base import Keeps, Pass, Prepare, Rewritten, find_pass
from architrave.passes.journal import Journal
from architrave.passes.options import with_options

if TYPE_CHECKING:
    from architrave.ir.arrays import Array

RECIPES = {
    "clean": "constants,simplify,duplicates,dead",
    "deploy": "inference,clean,mpbn,invariant,reparam,hoist,clean",
}
"""Pipelines that have a name of their own, for use inside others."""

_STEP = re.compile(r"\s*([A-Za-z][\w-]*)\s*(?:\{([^{}]*)\})?\s*")


@dataclass(frozen=True)
class Transformed:
    """What became of a network: its graph, what that keeps of the function, and how its weights come from the old."""

    graph: Graph
    keeps: Keeps
    journal: Journal
    prepares: tuple[Prepare, ...] = ()

    def weights(self, old: Mapping[str, Any], dtype: Any = None) -> dict[str, Array]:
        """The new weights by path, computed in float64 from the old ones; each has the dtype that those had.

        `dtype` is another one for them. Raises E512 and E513 for weights that are missing or misshapen, E807 for NaN.
        """
        from architrave.passes.prepared import prepared

        return prepared(self, old, dtype)


@dataclass(frozen=True)
class Pipeline:
    """Passes in their order. Its text, `inference,merge{only=layer3.*},hoist`, parses back to an equal pipeline."""

    passes: tuple[Pass, ...]

    @classmethod
    def parse(cls, text: str) -> Pipeline:
        """Read a pipeline. Raises E800 to E803 and E805 for what is wrong with it."""
        passes: list[Pass] = []
        position = 0
        while position < len(text) or not passes:
            found = _STEP.match(text, position)
            if found is None:
                raise _malformed("a pass", text, position)
            if text[found.end() : found.end() + 1] not in ("", ","):
                closing = text[found.end()] == "{"
                raise _malformed("`}` after the options, once," if closing else "a comma", text, found.end())
            passes += _step(found[1], found[2])
            position = found.end() + 1
            if position == len(text) and text.endswith(","):
                raise _malformed("a pass", text, position)
        return cls(tuple(passes))

    @property
    def keeps(self) -> Keeps:
        """What the whole pipeline keeps: what the least faithful of its passes does."""
        return max((each.keeps for each in self.passes), default=Keeps.EXACT)

    def run(self, graph: Graph, progress: Callable[[str], object] = lambda step: None) -> Transformed:
        """Apply every pass, and verify the graph before the first and after each. `progress` hears of each pass."""
        journal = Journal()
        prepares: list[Prepare] = []
        verify(graph)
        for each in self.passes:
            progress(str(each))
            with journal.during(str(each)):
                each.require(graph)
                made = each.apply(graph, journal)
                made = made if isinstance(made, Rewritten) else Rewritten(made)
            graph = verify(made.graph)
            if made.prepare is not None:
                verify(made.prepare.graph)
                prepares.append(made.prepare)
        return Transformed(graph, self.keeps, journal, tuple(prepares))

    def __str__(self) -> str:
        return ",".join(map(str, self.passes))


def apply(graph: Graph, passes: str | Pipeline | Pass) -> Transformed:
    """Transform a network: `apply(graph, "inference,reparam,hoist")`. Raises what the passes and their text raise."""
    pipeline = Pipeline.parse(passes) if isinstance(passes, str) else passes
    pipeline = Pipeline((pipeline,)) if isinstance(pipeline, Pass) else pipeline
    return pipeline.run(graph)


def _malformed(wanted: str, text: str, position: int) -> Exception:
    where = f"at `{text[position : position + 40]}`" if position < len(text) else "at the end"
    hint = "a pipeline reads `inference,reparam{only=layer1.*},hoist`"
    return error("E801", f"{wanted} is expected {where}", hint=hint)


def _step(name: str, options: str | None) -> tuple[Pass, ...]:
    """One pass, or those of a recipe."""
    if name not in RECIPES:
        return (with_options(find_pass(name, RECIPES), _options(name, options or "")),)
    if options:
        hint = f"it stands for `{RECIPES[name]}`: give options to one of these"
        raise error("E802", f"`{name}` is a recipe, which has no options", hint=hint)
    return Pipeline.parse(RECIPES[name]).passes


def _options(name: str, text: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for part in text.split():
        key, equals, value = part.partition("=")
        if not equals or not key or not value:
            raise error("E801", f"`{part}` is no option", hint=f"options read `{name}{{key=value other=value}}`")
        if key in options:
            raise error("E801", f"`{name}` is given `{key}` twice")
        options[key] = value
    return options
