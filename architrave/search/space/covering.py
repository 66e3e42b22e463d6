"""Few members in which every two labels come together: where two decisions do not go together, one of them shows it.

Kuhn, Wallace and Gallo, "Software Fault Interactions and Implications for Software Testing" (2004): most failures take
one condition or two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, islice, product
from typing import TypeAlias

import numpy as np

from architrave.search.space.members import Domains, Space

PAIRS = 100_000
"""How many pairs of labels are looked at."""
MISSES = 50
"""How many pairs in a row that do not fit into a member complete it."""

Labels: TypeAlias = Mapping[str, str]


def covering(space: Space, paths: Sequence[str], seed: int = 0) -> Iterator[dict[str, str]]:
    """Members in which every two labels of some decisions come together that can.

    Each is as full of pairs that are new as one pass finds. Of very many pairs the first ones are looked at.
    """
    rng = np.random.default_rng(seed)
    left = [*islice(_pairs(space, paths), PAIRS)]
    while left:
        member = space.decided(_packed(left), rng)
        yield member
        left = [pair for pair in left if not pair.items() <= member.items()]


def _pairs(space: Space, paths: Sequence[str]) -> Iterator[dict[str, str]]:
    """For every two labels that can be taken together, and for the labels of a single decision, what that needs."""
    needs = _needs(space.domains, paths)
    if len(needs) == 1:
        yield from (labels for ways in needs.values() for labels in ways)
    for one, other in combinations(needs.values(), 2):
        for a, b in product(one, other):
            if _together(a, b):
                yield {**a, **b}


def _needs(domains: Domains, paths: Sequence[str]) -> dict[str, list[dict[str, str]]]:
    """For each label of each decision, what is to be taken so that it exists and is taken."""
    found: dict[str, list[dict[str, str]]] = {path: [] for path in paths}
    met = set[str]()
    pending: list[tuple[Domains, dict[str, str]]] = [(domains, {})]
    while pending:
        group, outer = pending.pop()
        for domain in group.values():
            # One that exists in several alternatives is looked at in the first.
            if domain.path in met:
                continue
            met.add(domain.path)
            for label in domain.labels:
                taken = {**outer, domain.path: label}
                if domain.path in found:
                    found[domain.path].append(taken)
                pending.append((domain.nested.get(label, {}), taken))
    return found


def _together(a: Labels, b: Labels) -> bool:
    return all(a.get(path, label) == label for path, label in b.items())


def _packed(pairs: Sequence[dict[str, str]]) -> dict[str, str]:
    """The first pair, and of the others as many as go with it and with one another."""
    found, misses = dict(pairs[0]), 0
    for pair in pairs[1:]:
        if misses > MISSES:
            break
        fits = _together(found, pair)
        misses = 0 if fits else misses + 1
        if fits:
            found |= pair
    return found
