"""What boxes say: `conv2d 3x3`, `+`, the labels of a choice."""

from __future__ import annotations

from collections.abc import Mapping

from architrave.ir.graph import Node, Value
from architrave.ir.ops.control import Choice, Scan
from architrave.ir.ops.leaves import Full, Input
from architrave.ir.place import Block

SYMBOLS = {
    "add": "+",
    "subtract": "−",
    "multiply": "×",
    "divide": "÷",
    "maximum": "max",
    "minimum": "min",
}
"""Operators of two tensors, in circles."""
CHAIN = 8
"""Operators that may make a weight of others."""
LABELS = 8
"""Alternatives of a choice that are named."""


def kind_of(block: Block, axes: int) -> str:
    """The name of a block, with what its arguments say of windows: `conv2d 3x3 /2`. `axes` are spatial ones."""
    return _told(block.name, dict(block.arguments), axes)


def kinds_of(node: Node) -> list[str]:
    """What an operator is."""
    match node.op:
        case Choice(labels=labels) if len(labels) > LABELS:
            return [*labels[: LABELS - 1], f"and {len(labels) - LABELS + 1} more"]
        case Choice(labels=labels):
            return list(labels)
        case Scan(length=length):
            return [f"scan × {length}"]
        case op if op.name in SYMBOLS:
            numbers = [_number(v) for v in node.operands]
            return [" ".join([SYMBOLS[op.name], *(n for n in numbers if n)])]
        case op:
            attributes = {name: getattr(op, name) for name in op.attributes}
            return [_told(op.name, attributes, max(0, len(node.outputs[0].shape) - 2))]


def is_symbol(kind: str) -> bool:
    """Whether it stands in a circle."""
    return kind in SYMBOLS.values() or kind == "or"


def _number(value: Value) -> str:
    """What a value that does not depend on the input is; nothing for others."""
    match value.op:
        case Full(value=int() | float() as number):
            return f"{number:.4g}"
        case _ if not _is_fixed(value):
            return ""
        case _:
            return "weight"


def _is_fixed(value: Value) -> bool:
    """Whether few operators make it from weights and constants alone."""
    pending, seen = [value.node], 0
    while pending and seen < CHAIN:
        node = pending.pop()
        seen += 1
        if isinstance(node.op, Input):
            return False
        pending += [operand.node for operand in node.operands]
    return not pending


def _told(name: str, arguments: Mapping[str, object], axes: int) -> str:
    parts = [name]
    kernel = _window(arguments.get("kernel"), axes)
    if kernel:
        parts.append("x".join(map(str, kernel)))
    stride = _window(arguments.get("stride"), axes)
    if set(stride) - {1}:
        parts.append("/" + "x".join(map(str, stride if len(set(stride)) > 1 else stride[:1])))
    for key in ("dilation", "groups"):
        many = _window(arguments.get(key), 1)
        if set(many) - {1}:
            parts.append(f"{key} {many[0]}")
    return " ".join(parts)


def _window(size: object, axes: int) -> list[int]:
    match size:
        case bool():
            return []
        case int():
            return [size] * axes
        case list() | tuple():
            return [item for item in size if isinstance(item, int)]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return []
