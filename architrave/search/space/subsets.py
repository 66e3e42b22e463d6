"""Spaces whose members take several labels of a choice: which subsets there are."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations

from architrave.dsl.space import STATIC, Domain
from architrave.ir.source import error
from architrave.search.space.members import AND, Domains, Space

LISTED = 4_096
"""How many subsets of the labels of one choice are listed."""


def subsets(space: Space, most: int) -> Space:
    """The members that take from 1 to `most` labels of each choice, in their order: `three+five`.

    So n labels become the sum over k up to `most` of C(n, k), each with the decisions that any of its labels brings.
    Of a choice of numbers one is taken as before. Raises E974 where they are too many to list.
    """
    return replace(space, domains=_each(space.domains, most, {}))


def _each(group: Domains, most: int, made: dict[int, Domain]) -> dict[str, Domain]:
    """The same decisions about subsets. It recurses as deep as choices nest."""
    for domain in group.values():
        if id(domain) not in made:
            made[id(domain)] = _one(domain, 1 if domain.kind in STATIC else most, most, made)
    return {path: made[id(domain)] for path, domain in group.items()}


def _one(domain: Domain, several: int, most: int, made: dict[int, Domain]) -> Domain:
    numbers = range(1, min(several, len(domain.labels)) + 1)
    count = sum(math.comb(len(domain.labels), k) for k in numbers)
    if count > LISTED:
        what = (
            f"of the {len(domain.labels)} labels of `{domain.path}` there are {count:,} subsets, and at most {LISTED:,}"
        )
        raise error("E974", what, hint="take fewer at once, or leave labels out")
    inner = {label: _each(nested, most, made) for label, nested in domain.nested.items()}
    ways = [each for k in numbers for each in combinations(domain.labels, k)]
    nested = {
        AND.join(way): {path: each for label in way for path, each in inner.get(label, {}).items()} for way in ways
    }
    some = {label: each for label, each in nested.items() if each}
    return replace(domain, labels=tuple(map(AND.join, ways)), nested=some)
