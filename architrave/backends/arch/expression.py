"""Expressions of `.arch` text: how operators are written, and what can be a stage of a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from architrave.backends.arch.natural import FUNCTIONS, Form
from architrave.backends.code import ATOM, Code, infix, prefix
from architrave.ir.graph import Node, Value, lift
from architrave.ir.op import Op
from architrave.ir.ops.leaves import Full
from architrave.ir.place import Fact

PIPE = -1
"""How tightly a pipe binds: nothing but a further stage may follow."""
STAGE = 0.4
"""What a stage adds to the parts of a pipe, where a call adds 1."""

INFIX = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "floor_divide": "//", "remainder": "%",
    "power": "**", "matmul": "@", "equal": "==", "not_equal": "!=", "less": "<", "less_equal": "<=",
    "greater": ">", "greater_equal": ">=", "logical_and": "and", "logical_or": "or",
}  # fmt: skip
PREFIX = {"negative": "-", "logical_not": "not"}
NUMBERS = frozenset({"where", "maximum", "minimum", *INFIX})
"""Operators that take numbers for tensors."""
NAMES = frozenset({*FUNCTIONS, "zeros", "ones", "full", "arange", "constant", "random"})
"""What the text may use, and what no variable is called for that reason."""


@dataclass(frozen=True, slots=True)
class Expression:
    """How a value is written where it is used."""

    code: Code
    reads: tuple[Value, ...] = ()
    """The values whose variables stand in it, one for each use."""
    parts: float = 0
    """How many calls it is made of; an infix operator counts half."""
    source: str | None = None
    """The same as the beginning of a pipe, where that is another text."""
    facts: tuple[Fact, ...] = ()

    @property
    def text(self) -> str:
        return self.code.text

    @property
    def is_pipe(self) -> bool:
        return self.code.level == PIPE

    @property
    def piped(self) -> str:
        """The text to the left of an arrow."""
        return self.source or (self.text if self.is_pipe else self.code.at(ATOM))


def operator(node: Node, given: Sequence[Expression], how: Form) -> Expression:
    """An operator applied to expressions: infix, or as a call."""
    name = node.op.name
    parts = sum(e.parts for e in given)
    if name in INFIX:
        a, b = (e.code for e in given)
        return Expression(infix(a, INFIX[name], b), parts=parts + 0.5)
    if name in PREFIX:
        return Expression(prefix(PREFIX[name], given[0].code), parts=parts + 0.5)
    if how.listed or not given:
        tensors = [f"[{', '.join(e.text for e in given)}]"] * how.listed
        return Expression(Code(f"{how.function}({', '.join([*tensors, *how.arguments])})"), parts=parts + 1)
    rest = [*(e.text for e in given[1:]), *how.arguments]
    stage = f"{how.function}({', '.join(rest)})" if rest else how.function
    source = f"{given[0].piped} -> {stage}"
    if given[0].is_pipe:
        return Expression(Code(source, PIPE), parts=parts + STAGE)
    whole = Code(f"{how.function}({', '.join([given[0].text, *rest])})")
    return Expression(whole, parts=parts + 1, source=source)


def indexed(given: Expression, subscripts: str) -> Expression:
    """`x[:, 1:3]`."""
    return Expression(Code(f"{given.code.at(ATOM)}[{subscripts}]"), parts=given.parts + 0.5)


def takes_pipe(op: Op) -> bool:
    """Whether the first operand may be what is left of an arrow."""
    return op.name not in INFIX and op.name not in PREFIX and op.name not in ("concat", "stack", "slice")


def weak(node: Node) -> list[bool]:
    """Which operands may be written as the numbers that they are: those that become the same constants again."""
    scalars = [isinstance(v.op, Full) and not v.op.shape and isinstance(v.op.value, float | int) for v in node.operands]
    if node.op.name not in NUMBERS or not any(scalars) or all(scalars):
        return [False] * len(scalars)
    if node.op.name == "where" and scalars[0]:
        return [False] * len(scalars)
    given = [v.op.value if isinstance(v.op, Full) and s else v for v, s in zip(node.operands, scalars, strict=True)]
    same = [a.op == b.op for a, b in zip(lift(*given), node.operands, strict=True)]
    return [s and all(same) for s in scalars]


def tuple_source(given: Sequence[Expression]) -> str:
    """What is piped into a block: one tensor, or a tuple."""
    if len(given) == 1:
        return given[0].piped
    return f"({', '.join(e.text for e in given)})"
