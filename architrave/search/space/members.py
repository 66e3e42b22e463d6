"""A search space: its decisions, and its members by number.

A member is a mapping from the path of each decision that exists in it to the label taken there. Decisions that stand
inside an alternative of another exist only where that is taken. Members are numbered, so that to sample is to draw a
number, and to enumerate is to count. In a space of subsets a label stands for several of a choice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias, cast

from architrave.dsl.space import Domain, domains, domains_within, listed, members
from architrave.ir.graph import Graph
from architrave.ir.source import error, nearest
from architrave.models import Named

Member: TypeAlias = Mapping[str, str]
"""The label taken by each decision of a member, by path."""
Domains: TypeAlias = Mapping[str, Domain]
AND = "+"
"""What stands between the labels of a choice of which a member takes several."""


@dataclass(frozen=True)
class Space:
    """The members of a model with choices."""

    name: str
    domains: Domains
    """The decisions that every member has; those which some have are nested in these."""

    @classmethod
    def of(cls, named: Named, arguments: Mapping[str, Any] | None = None) -> Space:
        """The space of a model for static arguments. Raises E455 where its decisions are too many to find."""
        return cls(named.only(), domains(named.type(), arguments))

    @classmethod
    def within(cls, graph: Graph) -> Space:
        """The space of a graph that keeps its choices."""
        return cls(graph.name, domains_within(graph))

    @cached_property
    def size(self) -> int:
        """How many members there are."""
        return members(self.domains)

    @cached_property
    def labels(self) -> Mapping[str, tuple[str, ...]]:
        """The labels of every decision that some member has, by path."""
        return {domain.path: domain.labels for domain in listed(self.domains)}

    @cached_property
    def kinds(self) -> Mapping[str, str]:
        """What each decision chooses between: `static`, `list`, `stage` or `tensor`."""
        return {domain.path: domain.kind for domain in listed(self.domains)}

    def member(self, number: int) -> dict[str, str]:
        """Member `number`, from 0 up to the size. Raises E951."""
        if not 0 <= number < self.size:
            raise error("E951", f"`{self.name}` has members 0 to {self.size - 1:,}, and no {number:,}")
        found: dict[str, str] = {}
        pending = [(self.domains, number)]
        while pending:
            group, number = pending.pop()
            for domain in reversed([*group.values()]):
                number, position = divmod(number, domain.size())
                label, inner = _labelled(domain, position)
                found[domain.path] = label
                pending.append((domain.nested.get(label, {}), inner))
        return {path: found[path] for path in self.labels if path in found}

    def number(self, member: Member) -> int:
        """The number of a member. Raises E952 for what is none."""
        self.check(member)
        return self._number(self.domains, member)

    def sample(self, rng: Any) -> dict[str, str]:
        """A member, each as likely as every other. `rng` is a NumPy generator."""
        return self.member(_below(self.size, rng))

    def __iter__(self) -> Iterator[dict[str, str]]:
        """All members, in the order of their numbers."""
        return map(self.member, range(self.size))

    def __contains__(self, member: object) -> bool:
        return isinstance(member, Mapping) and self._problem(member) is None  # pyright: ignore[reportUnknownArgumentType]

    def check(self, member: Member) -> None:
        """Raises E952 for what is no member, with what is wrong with it."""
        problem = self._problem(member)
        if problem is not None:
            raise error("E952", f"this is no member of `{self.name}`: {problem}")

    def decided(self, some: Member, rng: Any = None) -> dict[str, str]:
        """The member with some decisions, the others at their first label, or drawn. Raises E952 for unknown ones."""
        for path, label in some.items():
            if label not in self.labels.get(path, ()):
                hint = nearest(path, self.labels) if path not in self.labels else nearest(label, self.labels[path])
                raise error("E952", f"`{self.name}` has no decision `{path}` with the label `{label}`", hint=hint)

        def taken(domain: Domain) -> str:
            drawn = domain.labels[0] if rng is None else _labelled(domain, _below(domain.size(), rng))[0]
            return some.get(domain.path, drawn)

        return self.walk(taken)

    def walk(self, label: Callable[[Domain], str]) -> dict[str, str]:
        """The member with the labels that are taken at one decision after another, each after those it is nested in."""
        found: dict[str, str] = {}
        pending = [self.domains]
        while pending:
            for path, domain in pending.pop().items():
                found[path] = label(domain)
                pending.append(domain.nested.get(found[path], {}))
        return {path: found[path] for path in self.labels if path in found}

    def mutate(self, member: Member, rng: Any) -> dict[str, str]:
        """A member that takes another label at one decision; decisions that this brings with it are drawn."""
        open_ = [path for path in member if len(self.labels[path]) > 1]
        if not open_:
            return dict(member)
        path = open_[_below(len(open_), rng)]
        others = [label for label in self.labels[path] if label != member[path]]
        return self.decided({**member, path: others[_below(len(others), rng)]}, rng)

    def cross(self, a: Member, b: Member, rng: Any) -> dict[str, str]:
        """A member whose every decision is that of one of two others, where one of them has it."""
        some = {path: (a, b)[_below(2, rng)].get(path) for path in {**a, **b}}
        known = {**b, **a}
        return self.decided({path: label or known[path] for path, label in some.items()}, rng)

    def encode(self, member: Member) -> list[int]:
        """For each decision of the space the position of the label; -1 where the member lacks the decision."""
        self.check(member)
        return [labels.index(member[path]) if path in member else -1 for path, labels in self.labels.items()]

    def decode(self, code: list[int]) -> dict[str, str]:
        """The member of a code. Raises E952."""
        counts = [*map(len, self.labels.values())]
        if len(code) != len(counts) or any(not -1 <= i < n for i, n in zip(code, counts, strict=True)):
            raise error("E952", f"a code of `{self.name}` holds {len(counts)} positions of labels, or -1")
        pairs = zip(code, self.labels.items(), strict=True)
        member = {path: labels[i] for i, (path, labels) in pairs if i >= 0}
        self.check(member)
        return member

    def to_json(self, member: Member) -> str:
        """A member as a JSON object: labels by path, in the order of the decisions. Raises E952."""
        self.check(member)
        return json.dumps({path: member[path] for path in self.labels if path in member})

    def from_json(self, text: str) -> dict[str, str]:
        """The member that a JSON object holds. Raises E952."""
        try:
            member: Any = json.loads(text)
        except (ValueError, RecursionError) as problem:
            raise error("E952", f"this is no member of `{self.name}`, for it is no JSON: {problem}") from None
        if not isinstance(member, dict):
            hint = "a member is an object: labels by the paths of decisions"
            raise error("E952", f"this is no member of `{self.name}`", hint=hint)
        found = cast("dict[str, str]", member)
        self.check(found)
        return found

    @cached_property
    def fingerprint(self) -> str:
        """What tells this space from another: of its decisions, their labels and how they nest."""
        return hashlib.sha256(json.dumps(_described(self.domains)).encode()).hexdigest()[:16]

    def _number(self, group: Domains, member: Member) -> int:
        total = 0
        for domain in group.values():
            position = 0
            for label in domain.labels:
                inner = domain.nested.get(label, {})
                if label == member[domain.path]:
                    position += self._number(inner, member)
                    break
                position += members(inner)
            total = total * domain.size() + position
        return total

    def _problem(self, member: Mapping[Any, Any]) -> str | None:
        pending, met = [self.domains], set[str]()
        while pending:
            for path, domain in pending.pop().items():
                met.add(path)
                label = member.get(path)
                if label not in domain.labels:
                    known = ", ".join(domain.labels)
                    return f"`{path}` is {'missing' if label is None else repr(label)}, and one of {known}"
                pending.append(domain.nested.get(label, {}))
        extra = next((path for path in member if path not in met), None)
        return None if extra is None else f"it has no decision `{extra}`"


def taken(member: Member) -> set[tuple[str, str]]:
    """The labels that a member takes, each after the path of its decision."""
    return {(path, label) for path, labels in member.items() for label in labels.split(AND)}


def _labelled(domain: Domain, position: int) -> tuple[str, int]:
    """The label at a position among all ways to decide a choice, and the position among those that it leaves open."""
    for label in domain.labels:
        count = members(domain.nested.get(label, {}))
        if position < count:
            return label, position
        position -= count
    raise AssertionError("a position is below the size of its domain")


def _below(limit: int, rng: Any) -> int:
    """A number from 0 up to `limit`, which may be beyond 64 bits."""
    if limit <= 2**62:
        return int(rng.integers(limit))
    bits = limit.bit_length()
    while True:
        drawn = int.from_bytes(rng.bytes((bits + 7) // 8), "little") >> (-bits % 8)
        if drawn < limit:
            return drawn


def _described(group: Domains) -> list[Any]:
    """Decisions as JSON holds them."""
    return [
        [d.path, list(d.labels), [[label, _described(inner)] for label, inner in d.nested.items()]]
        for d in group.values()
    ]
