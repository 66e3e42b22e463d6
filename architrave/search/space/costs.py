"""The cost model of a space: what each member costs, and the range that members reach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any, TypeAlias

from architrave.dsl.elaborate.constraints import Constraint
from architrave.dsl.elaborate.core import Labels
from architrave.dsl.elaborate.model import Elaborated
from architrave.dsl.space import STATIC, Domain, built
from architrave.ir.cost import Sizes
from architrave.ir.graph import Graph
from architrave.ir.recent import Recent
from architrave.ir.source import ArchitraveError, error
from architrave.models import Named
from architrave.search.space.covering import covering
from architrave.search.space.members import Domains, Member, Space, taken
from architrave.search.space.table import Table, Terms, table

CHECKED = 64
"""How many graphs are built to see that types fit."""
GRAPHS = 4_096
"""How many graphs are built to find the range of a cost."""
KEPT = 64
"""How many of them are kept."""

Range: TypeAlias = tuple[int, int]
"""The least and the most."""


@dataclass(frozen=True)
class _Known:
    """What is known of all members that share their choices of numbers."""

    table: Table
    constraints: tuple[Constraint, ...]


@dataclass
class Costs:
    """What the members of a model cost, for sizes of its symbols.

    For each assignment of its choices of numbers one graph is built, which keeps all other choices; in it, costs are
    sums over the labels that are taken.
    """

    named: Named
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    sizes: Sizes = field(default_factory=dict[str, Any])
    _known: dict[Labels, _Known] = field(default_factory=dict[Any, Any])
    _built: Recent[Labels, Elaborated] = field(default_factory=lambda: Recent(KEPT))

    @cached_property
    def space(self) -> Space:
        """The members."""
        return Space.of(self.named, self.arguments)

    @cached_property
    def static(self) -> tuple[str, ...]:
        """The decisions that change the graph itself."""
        return tuple(path for path, kind in self.space.kinds.items() if kind in STATIC)

    def of(self, member: Member) -> dict[str, int]:
        """`params`, `state` and `macs` of a member. Raises E330 where these need sizes that are not given."""
        return self.table(member).costs(member)

    def table(self, member: Member) -> Table:
        """The table of all members that share the choices of numbers of one."""
        return self._of(member).table

    def constraints(self, member: Member) -> tuple[Constraint, ...]:
        """What the model demands of those members."""
        return self._of(member).constraints

    def check(self) -> None:
        """See that members have types that fit, without building them.

        One graph is built for each assignment of the choices of numbers; where these are more than `CHECKED`, for so
        many that every two of their labels come together. Raises E956 for one that cannot be built, with as few of
        its labels as that takes.
        """
        every = [*islice(self._assignments(), CHECKED + 1)]
        some = every if len(every) <= CHECKED else islice(covering(self.space, self.static), CHECKED)
        for numbers in map(self.numbers, some):
            problem = self._problem(dict(numbers))
            if problem is not None:
                raise self._least(dict(numbers), problem)

    def graph(self, member: Member) -> Graph:
        """The graph that keeps the other choices, of all members that share the choices of numbers of one.

        It is the same object for as long as few others are asked for.
        """
        return self._elaborated(self.numbers(member)).graph

    def numbers(self, member: Member) -> Labels:
        """The choices of numbers of a member."""
        return tuple((path, member[path]) for path in self.static if path in member)

    def member_graph(self, member: Member) -> Graph:
        """The graph of a member, as if there were no choices. Raises E952."""
        self.space.check(member)
        return self.named.elaborate(self.arguments, member).graph

    def range(self, quantity: str) -> Range:
        """The least and the most that members cost, without going through all of them.

        Raises E953 where parts of the cost depend on decisions that are not nested, or too many graphs on numbers.
        """
        found = [self._extent(self.space.domains, fixed, quantity) for fixed in [*self._assignments()]]
        return min(low for low, _ in found), max(high for _, high in found)

    def _of(self, member: Member) -> _Known:
        numbers = self.numbers(member)
        if numbers not in self._known:
            found = self._elaborated(numbers)
            self._known[numbers] = _Known(self._table(found), found.constraints)
        return self._known[numbers]

    def _table(self, built: Elaborated) -> Table:
        return table(built, self.sizes)

    def _problem(self, numbers: dict[str, str]) -> ArchitraveError | None:
        """What is wrong with decisions about numbers."""
        try:
            self._elaborated(tuple(numbers.items()))
        except ArchitraveError as problem:
            return problem
        return None

    def _least(self, numbers: dict[str, str], problem: ArchitraveError) -> ArchitraveError:
        """The same problem with as few decisions as lead to it, the others at their first labels."""
        for path in [*numbers]:
            fewer = {other: label for other, label in numbers.items() if other != path}
            found = self._problem(fewer)
            if found is not None and found.diagnostics[-1].code == problem.diagnostics[-1].code:
                numbers, problem = fewer, found
        return problem

    def _elaborated(self, numbers: Labels) -> Elaborated:
        return self._built.of(numbers, lambda: built(self.named.type(), self.arguments, dict(numbers)))

    def _extent(self, domains: Domains, fixed: Member, quantity: str) -> Range:
        terms = self.table(fixed).terms[quantity]
        constant = sum(amount for when, amount in terms.items() if () in when)
        low, high = _extent(domains, fixed, {}, _by_last(terms))
        return constant + low, constant + high

    def _assignments(self) -> Iterator[dict[str, str]]:
        """Every assignment of the choices of numbers."""
        pending: list[tuple[dict[str, str], list[Domain]]] = [({}, [*self.space.domains.values()])]
        count = 0
        while pending:
            taken, open_ = pending.pop()
            if not open_:
                count += 1
                if count > GRAPHS:
                    raise error("E953", f"choices of numbers make more than {GRAPHS:,} graphs of `{self.space.name}`")
                yield taken
                continue
            domain, *rest = open_
            if domain.kind not in STATIC:
                # Numbers that are chosen inside an alternative count as if every alternative were taken.
                inner = [d for group in domain.nested.values() for d in group.values()]
                pending.append((taken, [*inner, *rest]))
                continue
            for label in [taken[domain.path]] if domain.path in taken else domain.labels:
                inner = [*domain.nested.get(label, {}).values()]
                pending.append(({**taken, domain.path: label}, [*inner, *rest]))


_ByLast: TypeAlias = dict[str, list[tuple[frozenset[Labels], int]]]


def _by_last(terms: Terms) -> _ByLast:
    """The terms that are not there always, by the innermost decision that each needs."""
    found: _ByLast = {}
    for when, amount in terms.items():
        if () in when:
            continue
        paths = sorted({labels[-1][0] for labels in when})
        if len(paths) > 1:
            raise error("E953", f"a cost depends on several decisions: {', '.join(f'`{path}`' for path in paths)}")
        found.setdefault(paths[0], []).append((when, amount))
    return found


def _extent(domains: Domains, fixed: Member, outer: Member, terms: _ByLast) -> Range:
    """What the terms of some decisions, and of those nested in them, come to."""
    low = high = 0
    for domain in domains.values():
        ends: list[Range] = []
        for label in (fixed[domain.path],) if domain.path in fixed else domain.labels:
            now = {**outer, domain.path: label}
            own = sum(amount for when, amount in terms.get(domain.path, ()) if _holds(when, now))
            inner = _extent(domain.nested.get(label, {}), fixed, now, terms)
            ends.append((own + inner[0], own + inner[1]))
        low += min(end[0] for end in ends)
        high += max(end[1] for end in ends)
    return low, high


def _holds(when: frozenset[Labels], member: Member) -> bool:
    for path in (path for labels in when for path, _ in labels):
        if path not in member:
            raise error("E953", f"a cost depends on `{path}` and on a decision that is not nested in it")
    found = taken(member)
    return any(found.issuperset(labels) for labels in when)
