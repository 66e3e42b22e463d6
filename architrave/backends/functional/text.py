"""The texts of functions, and definitions in the order in which they are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from architrave.backends.definitions import Definition
from architrave.backends.docstrings import docstring
from architrave.backends.hierarchy import Region
from architrave.backends.layout import wrapped
from architrave.backends.merge import Merged, Template


def by_level(definitions: Mapping[Region, Definition]) -> list[list[Definition]]:
    """The definitions, those that others use before them."""
    levels: dict[int, dict[Definition, None]] = {}
    for definition in definitions.values():
        levels.setdefault(definition.level, {})[definition] = None
    return [sorted(levels[level], key=lambda d: d.index) for level in sorted(levels)]


def static(definition: Definition) -> dict[str, object]:
    """The static arguments of the block that a definition is of."""
    place = definition.region.place
    return dict(place.block.arguments) if place is not None and place.block is not None else {}


def unmerged(text: Template) -> Merged:
    """One text by itself."""
    return Merged(lambda _: text.filled(text.numbers), (), ((),))


def function(name: str, parameters: Sequence[str], doc: str | None, body: Sequence[str]) -> str:
    """The text of a function."""
    lines = [f"def {name}({', '.join(parameters)}):"]
    if doc:
        lines.append(docstring(doc, "    "))
    return "\n".join([*lines, *(part for line in body for part in wrapped(f"    {line}" if line else ""))])
