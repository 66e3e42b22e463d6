"""The decisions of a search space: which choices there are, where, and how many members they span."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from architrave.dsl.elaborate.core import Decision
from architrave.dsl.elaborate.model import elaborate
from architrave.dsl.elaborate.values import BlockType
from architrave.ir.source import error

EXPLORED_LIMIT = 5_000
"""Members that are built to find the choices of a space."""


@dataclass
class Domain:
    """A choice and its labels; `nested` holds the choices that exist only where a label is taken."""

    path: str
    kind: str
    labels: tuple[str, ...]
    nested: dict[str, dict[str, Domain]] = field(default_factory=dict[str, "dict[str, Domain]"])

    def size(self) -> int:
        """The number of ways to decide this choice and those nested in it."""
        return sum(members(self.nested.get(label, {})) for label in self.labels)


def members(domains: Mapping[str, Domain]) -> int:
    """The number of members that independent choices span."""
    total = 1
    for domain in domains.values():
        total *= domain.size()
    return total


def domains(model: BlockType, arguments: Mapping[str, Any] | None = None) -> dict[str, Domain]:
    """The choices of a model by path. A choice that appears only with one label of another is nested in it.

    Each alternative is built once, with every other choice at its first alternative.
    """
    return _explored(model, arguments or {}, {}, {}, [0])


def space_size(model: BlockType, arguments: Mapping[str, Any] | None = None) -> int:
    """The number of members of a search space; 1 where nothing is left to choose."""
    return members(domains(model, arguments))


def _explored(
    model: BlockType,
    arguments: Mapping[str, Any],
    decided: Mapping[str, str],
    known: Mapping[str, Decision],
    count: list[int],
) -> dict[str, Domain]:
    met = _met(model, arguments, decided, count)
    fresh = {path: d for path, d in met.items() if path not in known}
    found: dict[str, Domain] = {}
    everywhere = {**known, **fresh}
    for path, decision in fresh.items():
        domain = Domain(path, decision.kind, decision.labels)
        base = dict(met)
        for label in decision.labels:
            if label == decision.taken:
                continue
            inner = _met(model, arguments, {**decided, path: label}, count)
            gone = [p for p in base if p not in inner]
            if gone:
                _nest(domain, decision.taken, {p: fresh[p] for p in gone if p in fresh})
            if any(p not in everywhere for p in inner):
                domain.nested[label] = _explored(model, arguments, {**decided, path: label}, everywhere, count)
        found[path] = domain
    nested = {p for d in found.values() for inner in d.nested.values() for p in inner}
    return {p: d for p, d in found.items() if p not in nested}


def _nest(domain: Domain, label: str, gone: Mapping[str, Decision]) -> None:
    """Choices that another label makes disappear exist only with this one."""
    inner = domain.nested.setdefault(label, {})
    for path, decision in gone.items():
        inner.setdefault(path, Domain(path, decision.kind, decision.labels))


def _met(
    model: BlockType, arguments: Mapping[str, Any], decided: Mapping[str, str], count: list[int]
) -> dict[str, Decision]:
    count[0] += 1
    if count[0] > EXPLORED_LIMIT:
        raise error(
            "E455",
            f"the choices of `{model.tree.name.text}` need more than {EXPLORED_LIMIT:,} members to find",
            model.tree.name.span,
        )
    return dict(elaborate(model, arguments, decisions=decided).choices)
