"""Which groups of a network may be cut."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from architrave.ir.axes.groups import Group, Groups, groups
from architrave.ir.graph import Graph
from architrave.ir.source import error, printable
from architrave.passes import Pipeline

REASONS = 3
"""The reasons that an error tells, at most."""


def freed(network: Graph, weights: Mapping[str, Any]) -> tuple[Graph, Mapping[str, Any]]:
    """The network, or, where that lets more units be cut, one without weights that are made from other weights.

    A convolution whose weight is standardized takes statistics over its inputs, which keep these whole; the weight that
    comes out of it does not.
    """
    hoisted = Pipeline.parse("hoist").run(network)
    if hoisted.graph == network or _free(hoisted.graph) <= _free(network):
        return network, weights
    return hoisted.graph, hoisted.weights(weights)


def chosen(found: Groups, only: str) -> tuple[Group, ...]:
    """The groups that may be cut, of those that patterns choose: `layer1.*`, `*.fc1.*|*.qkv.*`, `!head*`.

    A pattern is for the names of groups, and of the weights whose first axis they are. Raises E939 where it finds none.
    """
    cut = tuple(group for group in found.cuttable if _learns(group) and _is_chosen(group, only))
    if cut:
        return cut
    reasons = dict.fromkeys(f"`{printable(group.name)}`: {group.whole}" for group in found if group.whole)
    hint = f"`{printable(only)}` names no group that may be" if only else "; ".join([*reasons][:REASONS])
    raise error("E939", f"nothing in `{found.graph.name}` can be cut", hint=hint or "it has no weights")


def refused(found: Groups, cut: Mapping[Group, object], only: str, otherwise: str) -> dict[str, str]:
    """The groups that stay whole, by name, with the reason. `otherwise` is that of those which have no score."""

    def reason(group: Group) -> str:
        if group.whole is not None:
            return group.whole
        if not _learns(group):
            return "no weight that learns has it"
        return otherwise if _is_chosen(group, only) else f"it is not among `{only}`"

    return {group.name: reason(group) for group in found if group not in cut}


def _free(graph: Graph) -> int:
    return sum(group.size for group in groups(graph).cuttable)


def _learns(group: Group) -> bool:
    return any(member.learns for member in group.members)


def _is_chosen(group: Group, only: str) -> bool:
    if not only:
        return True
    names = {group.name, *(member.path for member in group.members if member.axis == 0)}
    wanted = [pattern for pattern in only.split("|") if not pattern.startswith("!")] or ["*"]
    unwanted = [pattern[1:] for pattern in only.split("|") if pattern.startswith("!")]
    return _matches(names, wanted) and not _matches(names, unwanted)


def _matches(names: set[str], patterns: list[str]) -> bool:
    """Whether a pattern chooses a name, or a place above it."""
    return any(fnmatchcase(name, p) or fnmatchcase(name, f"{p}.*") for name in names for p in patterns)
