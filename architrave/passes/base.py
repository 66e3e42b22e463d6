"""What a pass is, and the registry of all of them.

A pass is a frozen dataclass: its fields are its options, its docstring what `architrave passes` shows. Defining the
class registers it; a package of another author's registers its own through the entry point group `architrave.passes`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from importlib import metadata
from typing import TYPE_CHECKING, Any, ClassVar, dataclass_transform

from architrave.ir.graph import Graph, Node
from architrave.ir.nested import innermost_first
from architrave.ir.ops.control import Mode
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import ArchitraveError, Diagnostic, error, nearest

if TYPE_CHECKING:
    from architrave.passes.journal import Journal

GROUP = "architrave.passes"
"""The entry-point group in which other packages add passes: the value is a `Pass` class, under the name it has."""

PASSES: dict[str, type[Pass]] = {}
"""Every pass by its name in a pipeline, in the order of definition."""


class Keeps(IntEnum):
    """What a pass keeps of the function that a network computes. Of several passes the last of these holds."""

    EXACT = 0
    BOUNDED = 1
    LOSSY = 2

    @property
    def meaning(self) -> str:
        """What it promises, in words."""
        return _MEANINGS[self]

    def __str__(self) -> str:
        return self.name.lower()


_MEANINGS = {
    Keeps.EXACT: "the same function in real arithmetic",
    Keeps.BOUNDED: "another function, whose distance is bounded",
    Keeps.LOSSY: "another function: data or training decide whether it serves",
}


@dataclass(frozen=True)
class Prepare:
    """How new weights come from old ones: a graph without inputs, whose outputs are the weights at `paths`."""

    graph: Graph
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Rewritten:
    """What a pass makes of a graph. `prepare` is there where the new graph has other weights than the old one."""

    graph: Graph
    prepare: Prepare | None = None


def option(default: Any, doc: str) -> Any:
    """A field of a pass: its default, and what it decides."""
    return dataclasses.field(default=default, metadata={"doc": doc})


@dataclass_transform(frozen_default=True, field_specifiers=(option,))
class Pass:
    """Base of all passes. Subclasses become frozen dataclasses and register under their name in kebab case."""

    name: ClassVar[str]
    keeps: ClassVar[Keeps] = Keeps.EXACT
    for_inference: ClassVar[bool] = False
    """Whether it takes graphs of inference alone: without modes, and without updates of states."""

    def __init_subclass__(cls, *, register: bool = True) -> None:
        super().__init_subclass__()
        dataclass(frozen=True)(cls)
        if not register:
            return
        cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", cls.__name__).lower()
        PASSES[cls.name] = cls

    def apply(self, graph: Graph, journal: Journal) -> Graph | Rewritten:
        """The new graph; the journal is told what changed, and what did not and why."""
        raise NotImplementedError(f"the pass {type(self).__name__} does not say what it does: define `apply`")

    def require(self, graph: Graph) -> None:
        """Raise an error that points to what makes the graph unfit for this pass. E804 for a graph of training."""
        if self.for_inference:
            _require_inference(self.name, graph)

    @classmethod
    def summary(cls) -> str:
        """The first line of the docstring."""
        return (cls.__doc__ or "").strip().split("\n")[0]

    @classmethod
    def documented(cls) -> Mapping[str, str]:
        """What each option decides, by its name."""
        return {f.name: f.metadata.get("doc", "") for f in dataclasses.fields(cls)}  # type: ignore[arg-type]

    def __str__(self) -> str:
        from architrave.passes.options import options_text

        return self.name + options_text(self)


def find_pass(name: str, others: Iterable[str] = ()) -> type[Pass]:
    """The pass called `name`, one of another package's included.

    Raises E800 with the nearest name, where `others` may be meant, too; or for a package that cannot be loaded.
    """
    _define_ours()
    for point in metadata.entry_points(group=GROUP, name=name) if name not in PASSES else ():
        _load(point)
    found = PASSES.get(name)
    if found is None:
        hint = nearest(name, (*known_passes(), *others)) or "`architrave passes` lists all of them"
        raise error("E800", f"there is no pass `{name}`", hint=hint)
    return found


def known_passes() -> Mapping[str, type[Pass]]:
    """Every pass by name: ours, and those that installed packages register. Raises E800 where one cannot be loaded."""
    _define_ours()
    for point in metadata.entry_points(group=GROUP):
        if point.name not in PASSES:
            _load(point)
    return PASSES


def _define_ours() -> None:
    import architrave.passes.all  # noqa: F401  # pyright: ignore[reportUnusedImport]  # fills the registry


def _load(point: metadata.EntryPoint) -> None:
    try:
        point.load()
    except Exception as problem:  # another's code raises what it likes
        reason = f"{type(problem).__name__}: {str(problem).split(chr(10))[0][:200]}"
        what = f"the pass `{point.name}` of an installed package cannot be loaded ({reason})"
        raise error("E800", what, hint=f"it is registered as `{point.value}`: update or remove that package") from None


def _require_inference(name: str, graph: Graph) -> None:
    hint = f"put the pass `inference` before it: `inference,{name}`"
    if graph.updates:
        state, _ = graph.updates[0]
        raise _unfit(
            f"`{name}` takes a network as it is in inference, and this one updates `{path_of(state)}`", state.node, hint
        )
    modes = (node for inner in innermost_first(graph) for node in inner.nodes if isinstance(node.op, Mode))
    if (mode := next(modes, None)) is not None:
        raise _unfit(f"`{name}` takes a network as it is in inference, and this part differs in training", mode, hint)


def _unfit(what: str, node: Node, hint: str) -> ArchitraveError:
    trail = node.place.trail() if node.place is not None else ()
    return ArchitraveError([Diagnostic("E804", what, node.span, trail=trail, hint=hint)])
