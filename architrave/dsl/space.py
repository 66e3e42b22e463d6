"""The decisions of a search space: which choices there are, where, and how many members they span."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from architrave.dsl.elaborate.core import Decision, Labels
from architrave.dsl.elaborate.model import Elaborated, elaborate
from architrave.dsl.elaborate.values import BlockType
from architrave.ir.graph import Graph
from architrave.ir.nested import subgraphs
from architrave.ir.ops.control import Choice
from architrave.ir.source import ArchitraveError, Note, Span, error

EXPLORED_LIMIT = 5_000
"""Members that are built to find the choices of a space."""

STATIC = ("static", "list")
"""Kinds of choices that change the graph itself."""


@dataclass
class Domain:
    """A choice and its labels; `nested` holds the choices that exist only where a label is taken."""

    path: str
    kind: str
    labels: tuple[str, ...]
    nested: dict[str, dict[str, Domain]] = field(default_factory=dict[str, "dict[str, Domain]"])
    span: Span | None = None
    """Where it is first met."""

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
    """The choices of a model by path. A choice that exists only with one label of another is nested in it.

    All alternatives of stages and tensors are built, and their types compared. For each label of a choice of numbers
    the model is built once, with every other such choice at its first alternative. Raises E956 where that fails, and
    E950 for one path with two domains.
    """
    return _explored(model, arguments or {}, {}, {}, [0])


def domains_within(graph: Graph) -> dict[str, Domain]:
    """The choices that a graph keeps, by path. Those of numbers are taken in it, and none of these."""
    found: dict[str, Domain] = {}
    within: dict[str, list[Labels]] = {}
    pending: deque[tuple[Graph, Labels]] = deque([(graph, ())])
    while pending:
        inner, outer = pending.popleft()
        for node in inner.nodes:
            op = node.op
            if not isinstance(op, Choice):
                pending += [(held, outer) for held in subgraphs(op)]
                continue
            found.setdefault(op.path, Domain(op.path, "tensor", op.labels, span=node.span))
            within.setdefault(op.path, []).append(outer)
            pairs = zip(op.labels, op.alternatives, strict=True)
            pending += [(held, (*outer, (op.path, label))) for label, held in pairs]
    _nest_all(found, within)
    return _not_nested(found)


def listed(domains: Mapping[str, Domain]) -> Iterator[Domain]:
    """These choices, each followed by those that are nested in it. One that differs by where it is comes each time."""
    pending, met = [*domains.values()][::-1], set[int]()
    while pending:
        domain = pending.pop()
        if id(domain) in met:
            continue
        met.add(id(domain))
        yield domain
        pending += [inner for group in domain.nested.values() for inner in group.values()][::-1]


def space_size(model: BlockType, arguments: Mapping[str, Any] | None = None) -> int:
    """The number of members of a search space; 1 where nothing is left to choose."""
    return members(domains(model, arguments))


def built(model: BlockType, arguments: Mapping[str, Any], decisions: Mapping[str, str]) -> Elaborated:
    """The graph that keeps its choices of stages and tensors, for decisions about numbers.

    Raises E956 where the model is sound and these decisions are not, and what is wrong with the model itself.
    """
    try:
        return elaborate(model, arguments, decisions=decisions, keep_choices=True)
    except ArchitraveError as problem:
        if not decisions:
            raise
        taken = ", ".join(f"`{path}` is `{label}`" for path, label in decisions.items())
        what = f"`{model.tree.name.text}` cannot be built where {taken}"
        hint = "leave the label out, or make what it leads to fit"
        raise ArchitraveError([*error("E956", what, hint=hint).diagnostics, *problem.diagnostics]) from None


def _explored(
    model: BlockType,
    arguments: Mapping[str, Any],
    decided: Mapping[str, str],
    known: Mapping[str, Decision],
    count: list[int],
) -> dict[str, Domain]:
    met = _met(model, arguments, decided, count)
    fresh = {path: d for path, d in met.items() if path not in known}
    everywhere = {**known, **fresh}
    found = {path: Domain(path, d.kind, d.labels, span=d.span) for path, d in fresh.items()}
    _nest_all(found, {path: decision.within for path, decision in fresh.items()})
    for path, decision in fresh.items():
        if decision.kind not in STATIC:
            continue
        for label in decision.labels:
            if label == decision.taken:
                continue
            inner = _met(model, arguments, {**decided, path: label}, count)
            _check_alike(everywhere, inner)
            for gone in [p for p in fresh if p not in inner]:
                found[path].nested.setdefault(decision.taken, {}).setdefault(gone, found[gone])
            if any(p not in everywhere for p in inner):
                more = _explored(model, arguments, {**decided, path: label}, everywhere, count)
                found[path].nested.setdefault(label, {}).update(more)
    return _not_nested(found)


def _nest_all(found: Mapping[str, Domain], within: Mapping[str, Sequence[Labels]]) -> None:
    """Nest choices where they exist, each of which was met inside some alternatives."""
    for path, each in within.items():
        distinct = {frozenset(labels): labels for labels in each}
        for labels in distinct.values():
            # One that is there anyway is there inside further alternatives, too.
            if not any(other < set(labels) for other in distinct):
                _nest(found, labels, found[path])


def _not_nested(found: Mapping[str, Domain]) -> dict[str, Domain]:
    nested = {p for d in found.values() for inner in d.nested.values() for p in inner}
    return {p: d for p, d in found.items() if p not in nested}


def _check_alike(known: Mapping[str, Decision], met: Mapping[str, Decision]) -> None:
    """Raises E950 for a path that stands for one decision in one member and for another in another."""
    for path in met.keys() & known.keys():
        one, other = known[path], met[path]
        if one.labels != other.labels:
            both = f"{', '.join(one.labels)}; {', '.join(other.labels)}"
            notes = [Note("it is chosen here, too", one.span)]
            hint = "one path is one decision: give them different names"
            raise error("E950", f"the decision `{path}` has two domains: {both}", other.span, notes=notes, hint=hint)


def _nest(found: Mapping[str, Domain], within: Labels, domain: Domain) -> None:
    """A choice that was met inside an alternative exists only where that is taken."""
    outer = next(((path, label) for path, label in reversed(within) if path in found), None)
    if outer is not None:
        found[outer[0]].nested.setdefault(outer[1], {}).setdefault(domain.path, domain)


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
    return dict(built(model, arguments, decided).choices)
