"""Names of instances and weights: the paths that are the keys of checkpoints."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from architrave.dsl import syntax
from architrave.dsl.elaborate.core import Frame, evaluate
from architrave.dsl.elaborate.values import Instance, describe
from architrave.dsl.parser import parse
from architrave.ir.place import Place
from architrave.ir.source import Note, Source, Span, error

_HOLE = re.compile(r"\{([^{}]*)\}")


def claim(instance: Instance, segment: str, span: Span, frame: Frame) -> None:
    """Give an instance its name, `segment`, among those of the block that is being applied. Raises E203."""
    frame.build.claimed.append(instance)
    instance.segment = segment
    instance.path = _join(frame.place.path, segment)
    if segment:
        claim_name(segment, span, frame, hint=f"in a loop, name each turn by its number: `{segment}[i]: ...`")


def claim_name(segment: str, span: Span, frame: Frame, hint: str | None = None) -> None:
    """Reserve a name in the block that is being applied. Raises E203 where it is taken.

    `hint` is for a name that is given in one place, again and again.
    """
    earlier = frame.names.used.get(segment)
    if earlier is None:
        frame.names.used[segment] = span
    elif (earlier.source, earlier.start) == (span.source, span.start):
        raise error("E203", f"the name `{segment}` is given here a second time in this block", span, hint=hint)
    else:
        notes = [Note("it was given here", earlier)]
        raise error("E203", f"the name `{segment}` is taken in this block", span, notes=notes)


def claim_counted(instance: Instance, frame: Frame) -> None:
    """Name an instance by its block and a counter: `conv2d_0`."""
    base = instance.block.tree.name.text
    number = frame.names.counters.get(base, 0)
    while f"{base}_{number}" in frame.names.used:
        number += 1
    frame.names.counters[base] = number + 1
    claim(instance, f"{base}_{number}", instance.span, frame)


def path_segment(path: syntax.Path, frame: Frame) -> str:
    """The text of a stage's name: `layer[i]` gives `layer.0`, `"layer{i + 1}"` its text."""
    parts: list[str] = []
    for part in path.parts:
        match part:
            case syntax.Identifier(text):
                parts.append(text)
            case syntax.String():
                parts.append(_filled(part, frame))
            case _:
                parts.append(_index(evaluate(part, frame), part.span))
    return ".".join(parts)


def _index(value: Any, span: Span) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return str(value)
    if isinstance(value, str) and value.isidentifier():
        return value
    raise error("E204", f"a name is numbered by an integer of at least 0, not {describe(value)}", span)


def _filled(text: syntax.String, frame: Frame) -> str:
    """A string with `{expression}`s filled in. Only names, integers and `+ - *` of them may stand there."""
    frame.build.handle(text.value, text.span)

    def fill(match: re.Match[str]) -> str:
        span = text.span.within(match.start(1) + 1, match.end(1) + 1)
        return _index(evaluate(_parsed(match[1]), frame), span)

    result = _HOLE.sub(fill, text.value)
    if re.search(r"[^\w.]|^\.|\.$|\.\.", result):
        raise error("E204", f"`{result[:80]}` is not a name: words and numbers, joined by dots", text.span)
    return result


@cache
def _parsed(text: str) -> syntax.Expression:
    (declaration,) = parse(Source("<name>", f"const hole = {text}")).declarations
    assert isinstance(declaration, syntax.Const)
    return declaration.value


def _join(above: str, segment: str) -> str:
    return f"{above}.{segment}" if above and segment else above or segment


def weight_path(place: Place, name: str) -> str:
    """The key of a weight that is declared in the block at `place`."""
    return _join(place.path, name)
