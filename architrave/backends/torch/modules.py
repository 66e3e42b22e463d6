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

    def access(self, path: str, kind: str = "module", base: str = "self") -> str:
        """The expression of a member, which may lie in a module that has a class of its own."""
        tree: Tree | Leaf = self
        segments = path.split(".") if path else []
        for i, segment in enumerate(segments):
            if isinstance(tree, Leaf):
                return _inside(base, segments[i:], kind)
            inner = tree.members[segment]
            base = _attribute(base, segment, inner, tree, tree is self)
            tree = inner
        return base

    def target(self, path: str) -> str:
        """What to assign to, so that a buffer gets a new value."""
        above, _, last = path.rpartition(".")
        holder = self.access(above)
        return f"{holder}.{last}" if _is_plain(last) else f"{holder}._buffers[{text_literal(last)}]"

    def find(self, path: str) -> Tree | Leaf | None:
        """What stands under a path, if anything does."""
        found: Tree | Leaf | None = self
        for segment in path.split("."):
            found = found.members.get(segment) if isinstance(found, Tree) else None
        return found

    @property
    def is_list(self) -> bool:
        """Whether the members are modules numbered from 0."""
        numbered = bool(self.members) and set(self.members) == {str(i) for i in range(len(self.members))}
        return numbered and all(isinstance(m, Tree) or m.kind == "module" for m in self.members.values())

    @property
    def is_dict(self) -> bool:
        """Whether the members are modules whose names are numbers."""
        numbers = all(segment.isascii() and segment.isdigit() for segment in self.members)
        return numbers and all(isinstance(m, Leaf) and m.kind == "module" for m in self.members.values())

    @property
    def is_expression(self) -> bool:
        """Whether one expression makes it, with all that is in it."""
        inside = (isinstance(m, Leaf) or m.is_expression for m in self.members.values())
        return self.is_dict or (self.is_list and all(inside))


def lines(tree: Tree, sequential: frozenset[str], base: str = "self", path: str = "") -> Iterator[str]:
    """The statements that make the members; lists whose path is in `sequential` are an `nn.Sequential`."""
    for segment, member in tree.members.items():
        target = _attribute(base, segment, member, tree, not path)
        inner = f"{path}.{segment}" if path else segment
        match member:
            case Leaf(kind="buffer") if _is_plain(segment):
                yield f"{base}.register_buffer({text_literal(segment)}, {member.code})"
            case Leaf():
                yield f"{target} = {member.code}"
            case Tree() if member.is_expression:
                first, *rest = _expression(member, sequential, inner)
                yield from (f"{target} = {first}", *rest)
            case Tree() if member.is_list:
                yield f"{target} = nn.ModuleList(nn.Module() for _ in range({len(member.members)}))"
                yield from lines(member, sequential, target, inner)
            case Tree():
                yield f"{target} = nn.Module()"
                yield from lines(member, sequential, target, inner)


def elements(tree: Tree, sequential: frozenset[str], path: str = "") -> Iterator[str]:
    """The lines of the elements of a list, each with its comma; equal ones that follow one another as one."""
    made: list[tuple[str, ...]] = []
    for number in range(len(tree.members)):
        member = tree.members[str(number)]
        inner = f"{path}.{number}" if path else str(number)
        made.append((member.code,) if isinstance(member, Leaf) else tuple(_expression(member, sequential, inner)))
    for lines_, same in itertools.groupby(made):
        count = len(list(same))
        if count >= REPEATED and len(lines_) == 1:
            yield f"*({lines_[0]} for _ in range({count})),"
            continue
        for _ in range(count):
            yield from (*lines_[:-1], f"{lines_[-1]},")


def _expression(tree: Tree, sequential: frozenset[str], path: str) -> list[str]:
    """The lines of the expression that makes a list or a dict of modules."""
    if not tree.is_list:
        items = [
            f"{text_literal(key)}: {member.code}" for key, member in tree.members.items() if isinstance(member, Leaf)
        ]
        return ["nn.ModuleDict({", *(f"    {item}," for item in items), "})"]
    inside = list(elements(tree, sequential, path))
    if len(inside) == 1 and inside[0].startswith("*("):
        run = inside[0].removesuffix(",")
        return [f"nn.Sequential({run})" if path in sequential else f"nn.ModuleList{run[1:]}"]
    opening, closing = ("nn.Sequential(", ")") if path in sequential else ("nn.ModuleList([", "])")
    return [opening, *(f"    {line}" for line in inside), closing]


def _attribute(base: str, segment: str, member: Tree | Leaf, holder: Tree, is_class: bool) -> str:
    """The expression of a member; a class is a list itself where it holds nothing else."""
    if holder.is_list and (holder.is_expression or not is_class):
        return f"{base}[{segment}]"
    if holder.is_dict and not is_class:
        return f"{base}[{text_literal(segment)}]"
    if _is_plain(segment):
        return f"{base}.{segment}"
    kind = member.kind if isinstance(member, Leaf) else "module"
    return f"{base}._{kind}s[{text_literal(segment)}]"


def _inside(base: str, segments: list[str], kind: str) -> str:
    """A member of a module whose class is written elsewhere."""
    if all(map(_is_plain, segments)):
        return ".".join([base, *segments])
    getter = {"module": "get_submodule", "parameter": "get_parameter", "buffer": "get_buffer"}[kind]
    return f"{base}.{getter}({text_literal('.'.join(segments))})"


def _is_plain(segment: str) -> bool:
    is_name = segment.isascii() and segment.isidentifier() and not keyword.iskeyword(segment)
    return is_name and not segment.startswith("_") and segment not in _OF_MODULES
