"""Choosing nodes: by the name of their place, by operator, by annotation.

    layer3.*                 nodes at and below places that match
    op:conv                  nodes of an operator
    @quant                   nodes with an annotation
    is:depthwise             nodes of which something holds: see `PREDICATES`
    a|b   a&b   !a           either, both, not

`&` binds closer than `|`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property

from architrave.ir.graph import Graph, Node
from architrave.ir.nested import innermost_first
from architrave.ir.op import OPS
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.leaves import Param
from architrave.ir.source import Diagnostic, error, nearest

PREDICATES: dict[str, Callable[[Node], bool]] = {
    "depthwise": lambda node: isinstance(node.op, Conv) and node.op.groups != 1 and node.operands[1].shape[1] == 1,
    "grouped": lambda node: isinstance(node.op, Conv) and node.op.groups != 1,
    "padded": lambda node: isinstance(node.op, Conv) and any(width != 0 for pair in node.op.padding for width in pair),
    "pointwise": lambda node: isinstance(node.op, Conv) and set(node.operands[1].shape[2:]) <= {1},
    "strided": lambda node: isinstance(node.op, Conv) and any(step != 1 for step in node.op.stride),
    "weighted": lambda node: any(isinstance(v.op, Param) for v in node.operands),
}
"""What can be asked of a node by name."""


@dataclass(frozen=True)
class _Term:
    """One condition on a node."""

    text: str

    @cached_property
    def _plain(self) -> str:
        return self.text.lstrip("!")

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(translate(self._plain.removeprefix("op:").removeprefix("@")))

    def matches(self, node: Node) -> bool:
        return self._holds(node) != ((len(self.text) - len(self._plain)) % 2 == 1)

    def hint(self, nodes: Sequence[Node]) -> str:
        """What may have been meant by a term that chooses no node of a graph."""
        name = re.sub(r"[.*]+$", "", self._plain.removeprefix("op:").removeprefix("@"))
        if self._plain.startswith("op:"):
            names = {node.op.name for node in nodes}
            return nearest(name, names) or f"its operators are {', '.join(sorted(names))}"
        if self._plain.startswith("is:"):
            return "no node is so"
        if self._plain.startswith("@"):
            names = {fact.name for node in nodes for fact in node.facts}
            return nearest(name, names) or f"its annotations are {', '.join(sorted(names)) or 'none'}"
        places = {str(node.place) for node in nodes if node.place is not None and str(node.place)}
        above = {".".join(place.split(".")[:end]) for place in places for end in range(1, place.count(".") + 2)}
        return nearest(name, above) or "`architrave show` lists the places"

    def _holds(self, node: Node) -> bool:
        match = self._pattern.match
        if self._plain.startswith("op:"):
            return match(node.op.name) is not None
        if self._plain.startswith("@"):
            return any(match(fact.name) is not None for fact in node.facts)
        if self._plain.startswith("is:"):
            return PREDICATES[self._plain.removeprefix("is:")](node)
        segments = str(node.place or "").split(".")
        return any(match(".".join(segments[:end])) is not None for end in range(1, len(segments) + 1))


@dataclass(frozen=True)
class Select:
    """Alternatives, each of which is some conditions that must all hold. Without any it chooses every node."""

    alternatives: tuple[tuple[_Term, ...], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Select:
        """Read a selector. Raises E805 for one that is malformed, or names an operator that there is not."""
        if text in ("", "*"):
            return cls()
        alternatives = tuple(tuple(_Term(term) for term in part.split("&")) for part in text.split("|"))
        for term in (term for terms in alternatives for term in terms):
            _check(text, term.text.lstrip("!"))
        return cls(alternatives)

    def matches(self, node: Node) -> bool:
        """Whether it chooses a node."""
        return not self.alternatives or any(all(t.matches(node) for t in terms) for terms in self.alternatives)

    def warning(self, graph: Graph) -> Diagnostic | None:
        """What to tell people where one of its alternatives chooses no node at all, with the nearest names."""
        nodes = [node for inner in innermost_first(graph) for node in inner.nodes]
        for terms in self.alternatives:
            if any(all(t.matches(node) for t in terms) for node in nodes):
                continue
            alone = [t for t in terms if not any(map(t.matches, nodes))]
            hint = alone[0].hint(nodes) if alone else "each of its conditions chooses some nodes, but no node meets all"
            what = f"`{'&'.join(t.text for t in terms)}` matches nothing in `{graph.name}`"
            return Diagnostic("E806", what, hint=hint, severity="warning")
        return None

    def __str__(self) -> str:
        return "|".join("&".join(term.text for term in terms) for terms in self.alternatives) or "*"


def _check(text: str, term: str) -> None:
    if not re.fullmatch(r"(op:|is:|@)?[\w.*?\[\]-]+", term):
        hint = "such as `layer1.*`, `op:conv`, `is:depthwise`, `@quant`, joined by `|` and `&`, with `!` for not"
        raise error("E805", f"`{text}` is no selector of nodes", hint=hint)
    name = term.removeprefix("op:")
    if term.startswith("op:") and not re.search(r"[*?\[]", name) and name not in OPS:
        raise error("E805", f"there is no operator `{name}`", hint=nearest(name, OPS))
    if term.startswith("is:") and (asked := term.removeprefix("is:")) not in PREDICATES:
        hint = nearest(asked, PREDICATES) or f"it is one of {', '.join(PREDICATES)}"
        raise error("E805", f"nothing is known of `{asked}`", hint=hint)
