"""What is said of each box: what it is, what it computes, what it costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Literal

from architrave.draw.instances import Instance, likeness
from architrave.draw.labels import kind_of
from architrave.draw.parts import Outline, Part
from architrave.ir.bind import bind_type
from architrave.ir.dims import Size
from architrave.ir.graph import Graph, Node
from architrave.ir.nested import innermost_first, subgraphs
from architrave.ir.ops.control import Choice
from architrave.ir.ops.leaves import Param

Work = Literal["convolution", "matrix product", "other weights", "no weights"]

ARGUMENTS = 300
"""Characters of a block's arguments that are told."""


def describe(found: Outline, instances: Mapping[str, Instance], sizes: Mapping[str, int]) -> None:
    """Say what each part is, with these sizes for symbolic dimensions."""
    for part in found.root.walk():
        if sizes:
            part.outputs = {bind_type(type, sizes): None for type in part.outputs}
        if len(part.nodes) == 1 and isinstance(part.nodes[0].op, Choice):
            part.role, part.kinds = "choice", list(part.nodes[0].op.labels)
        elif part.block is not None:
            axes = max((len(type.shape) - 2 for type in part.outputs), default=0)
            part.kinds = [kind_of(part.block, max(0, axes))]
        elif part.role == "instance" and not part.is_open:
            part.kinds = _listed(instances.get(part.path))
        part.note = _note(part, instances.get(part.path) if part.role == "instance" else None)


def work_of(part: Part) -> Work:
    """What most of the work is in a box."""
    names: set[str] = set()
    weighed = False
    for node in _inner(part):
        weighed = weighed or any(isinstance(v.op, Param) for v in node.operands)
        if node.op.multiply_adds([v.type for v in node.operands], node.types) != 0:
            names.add(node.op.name)
    if any("conv" in name for name in names):
        return "convolution"
    if names:
        return "matrix product"
    return "other weights" if weighed else "no weights"


def alike(part: Part, instances: Mapping[str, Instance]) -> object:
    """What two layers must share to be drawn as one: everything but their names."""
    seen = tuple((p.role, p.name if p is not part else "", *p.kinds, *p.outputs) for p in part.walk())
    known = instances.get(part.path)
    return seen, None if known is None else likeness(known)


def _inner(part: Part) -> Iterator[Node]:
    """The operators in a box, and those of the graphs that they hold."""
    graphs: dict[int, Graph] = {}
    for node in part.nodes:
        yield node
        for held in subgraphs(node.op):
            graphs |= {id(inner): inner for inner in innermost_first(held)}
    for graph in graphs.values():
        yield from graph.nodes


def _listed(instance: Instance | None) -> list[str]:
    """What a list holds, or the model: `6 Layer`."""
    if instance is None:
        return []
    if not instance.path:
        return []
    counts = Counter(child.block for child in instance.children.values() if child.block)
    return [", ".join(f"{many} {block}" if many > 1 else block for block, many in counts.most_common(3))]


def _note(part: Part, instance: Instance | None) -> str:
    lines = [f"{part.path or part.name}: {', '.join(part.kinds)}".strip(": ")]
    arguments = part.block.arguments if part.block is not None else ()
    # Others may be blocks, whose text is long.
    told = [f"{name} = {value}" for name, value in arguments if isinstance(value, str | int | float)]
    if told:
        lines.append(", ".join(told)[:ARGUMENTS])
    if part.outputs:
        lines.append("gives " + ", ".join(map(str, part.outputs)))
    if instance is not None and instance.parameters != 0:
        lines.append(f"{_count(instance.parameters)} parameters")
    if instance is not None and instance.multiply_adds != 0:
        lines.append(f"{_count(instance.multiply_adds)} multiply-adds")
    return "\n".join(lines)


def _count(size: Size) -> str:
    return f"{size:,}" if isinstance(size, int) else str(size)
