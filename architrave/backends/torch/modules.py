"""The modules and weights that a class holds, as lines of its `__init__`, and how its `forward` reaches them.

Attributes are named as the paths of the weights, so that the keys of `state_dict` are these paths. A name
that `nn.Module` uses itself, or that is no identifier, is entered under its own name where modules keep their
members; a path through a block that has no class of its own goes through plain modules.
"""

from __future__ import annotations

import itertools
import keyword
from collections.abc import Iterator
from dataclasses import dataclass, field

from architrave.backends.code import text_literal
from architrave.backends.hierarchy.chains import position

_OF_MODULES = frozenset(
    """T_destination add_module append apply bfloat16 buffers call_super_init children clear compile cpu cuda double
    dump_patches eval extend extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half
    insert ipu items keys load_state_dict modules mtia named_buffers named_children named_modules named_parameters
    parameters pop register_backward_hook register_buffer register_forward_hook register_forward_pre_hook
    register_full_backward_hook register_full_backward_pre_hook register_load_state_dict_post_hook
    register_load_state_dict_pre_hook register_module register_parameter register_state_dict_post_hook
    register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule share_memory state_dict to to_empty
    train training type update values xpu zero_grad""".split()  # noqa: SIM905
)
"""Names that are taken in modules and in lists of them."""

REPEATED = 3
"""This many equal elements of a list are written as one with `for _ in range(...)`."""


@dataclass(frozen=True)
class Leaf:
    """What an attribute holds: a module, a parameter or a buffer, by the expression that makes it."""

    kind: str  # "module", "parameter" or "buffer"
    code: str


@dataclass
class Tree:
    """Members by the segments of their paths."""

    members: dict[str, Tree | Leaf] = field(default_factory=dict[str, "Tree | Leaf"])

    def add(self, path: str, leaf: Leaf) -> None:
        """Enter a member under a dotted path."""
        *above, last = path.split(".")
        tree = self
        for segment in above:
            inner = tree.members.setdefault(segment, Tree())
            if isinstance(inner, Leaf):
                raise LookupError(f"{path} lies within a module")
            tree = inner
        if last in tree.members:
            raise LookupError(f"{path} stands for two things")
        tree.members[last] = leaf

    def access(self, path: str, base: str = "self") -> str:
        """The expression of a member."""
        tree: Tree | Leaf | None = self
        for segment in path.split("."):
            if not isinstance(tree, Tree) or segment not in tree.members:
                raise LookupError(path)
            inner = tree.members[segment]
            base = _attribute(base, segment, inner, tree is not self and tree.is_list)
            tree = inner
        return base

    def find(self, path: str) -> Tree | Leaf | None:
        """What stands under a path, if anything does."""
        found: Tree | Leaf | None = self
        for segment in path.split("."):
            found = found.members.get(segment) if isinstance(found, Tree) else None
        return found

    @property
    def is_list(self) -> bool:
        """Whether the members are modules numbered from 0."""
        numbered = set(self.members) == {str(i) for i in range(len(self.members))}
        return numbered and all(isinstance(m, Tree) or m.kind == "module" for m in self.members.values())

    @property
    def is_plain_list(self) -> bool:
        """Whether it is a list of modules that are made by one expression each."""
        return self.is_list and all(isinstance(m, Leaf) for m in self.members.values())

    def elements(self) -> list[str]:
        """The expressions of a plain list, in order."""
        found = (self.members[str(i)] for i in range(len(self.members)))
        return [m.code for m in found if isinstance(m, Leaf)]


def lines(tree: Tree, sequential: frozenset[str], base: str = "self", path: str = "") -> Iterator[str]:
    """The statements that make the members; lists whose path is in `sequential` are an `nn.Sequential`."""
    for segment, member in tree.members.items():
        # A class is no list, even where its members are numbered.
        target = _attribute(base, segment, member, path != "" and tree.is_list)
        inner = f"{path}.{segment}" if path else segment
        match member:
            case Leaf(kind="buffer") if _is_plain(segment):
                yield f"{base}.register_buffer({text_literal(segment)}, {member.code})"
            case Leaf():
                yield f"{target} = {member.code}"
            case Tree() if member.is_plain_list:
                container = "nn.Sequential" if inner in sequential else "nn.ModuleList"
                yield from _list(target, container, member.elements())
            case Tree() if member.is_list:
                yield f"{target} = nn.ModuleList(nn.Module() for _ in range({len(member.members)}))"
                yield from lines(member, sequential, target, inner)
            case Tree():
                yield f"{target} = nn.Module()"
                yield from lines(member, sequential, target, inner)


def _list(target: str, container: str, elements: list[str]) -> Iterator[str]:
    runs = [(code, len(list(same))) for code, same in itertools.groupby(elements)]
    one_list = container == "nn.ModuleList"
    if len(runs) == 1 and runs[0][1] >= REPEATED:
        code, count = runs[0]
        star = "" if one_list else "*"
        inside = f"{code} for _ in range({count})"
        yield f"{target} = {container}({inside})" if one_list else f"{target} = {container}({star}({inside}))"
        return
    yield f"{target} = {container}(["[: None if one_list else -1]
    for code, count in runs:
        if count >= REPEATED:
            yield f"    *({code} for _ in range({count})),"
        else:
            yield from (f"    {code}," for _ in range(count))
    yield "])" if one_list else ")"


def _attribute(base: str, segment: str, member: Tree | Leaf, in_list: bool) -> str:
    if in_list:
        return f"{base}[{segment}]"
    if _is_plain(segment):
        return f"{base}.{segment}"
    kind = member.kind if isinstance(member, Leaf) else "module"
    return f"{base}._{kind}s[{text_literal(segment)}]"


def _is_plain(segment: str) -> bool:
    is_name = segment.isascii() and segment.isidentifier() and not keyword.iskeyword(segment)
    return is_name and not segment.startswith("_") and segment not in _OF_MODULES


def list_of(path: str) -> str | None:
    """The path of the list that a path is an element of."""
    found = position(path)
    return found[0] if found is not None else None
