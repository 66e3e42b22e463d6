"""Expressions of `.arch` text: how operators are written, and what can be a stage of a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
FUNCTIONS = frozenset(
    """
    abs acos acosh asin asinh atan atanh cast cbrt ceil celu cos cosh elu erf erfinv exp exp2 expm1 floor gelu glu
    hard_sigmoid hard_swish hard_tanh isfinite isinf isnan leaky_relu log log10 log1p log2 log_sigmoid log_softmax
    maximum minimum mish reciprocal relu relu6 round rsqrt selu sigmoid sign silu sin sinc sinh softmax softplus
    softsign sqrt square stop_gradient tan tanh trunc where
    """.split()  # noqa: SIM905 - a list of these would fill a page
)
"""Operators that the language has a function of the same name for, with the same arguments."""
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


def operator(node: Node, given: Sequence[Expression], attributes: Sequence[str]) -> Expression:
    """An operator applied to expressions: infix, or as a call."""
    name = node.op.name
    parts = sum(e.parts for e in given)
    if name in INFIX and not attributes:
        a, b = (e.code for e in given)
        return Expression(infix(a, INFIX[name], b), parts=parts + 0.5)
    if name in PREFIX and not attributes:
        return Expression(prefix(PREFIX[name], given[0].code), parts=parts + 0.5)
    function = name if name in FUNCTIONS else f"op.{name}"
    rest = [*(e.text for e in given[1:]), *attributes]
    stage = f"{function}({', '.join(rest)})" if rest else function
    if not given:
        return Expression(Code(f"{function}({', '.join(rest)})"), parts=1)
    source = f"{given[0].piped} -> {stage}"
    if given[0].is_pipe:
        return Expression(Code(source, PIPE), parts=parts + STAGE)
    whole = Code(f"{function}({', '.join([given[0].text, *rest])})")
    return Expression(whole, parts=parts + 1, source=source)


def takes_pipe(op: Op) -> bool:
    """Whether the first operand may be what is left of an arrow."""
    return op.name not in INFIX and op.name not in PREFIX


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
