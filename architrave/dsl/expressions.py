"""The untyped syntax tree of an `.arch` file, its inner half: expressions, targets, types and parameters.

Import them from `syntax`, which adds statements and declarations. Every node carries its span, by keyword
and last, and nodes compare equal when they say the same thing wherever it stands. The depth of a tree is
bounded by the parser (`MAX_DEPTH`), so walking one by recursion is safe; chains that may be long (`->`
stages, `else if`, statements) are flat tuples.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from architrave.ir.source import Span

MAX_DEPTH = 200
"""How deeply expressions and bodies may nest, counted in nodes. Deeper files are refused."""


@dataclass(frozen=True, slots=True)
class Node:
    """Anything with a place in the source."""

    span: Span = field(kw_only=True, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Identifier(Node):
    """A word that names something without being looked up: a declared name, a label, an attribute."""

    text: str


@dataclass(frozen=True, slots=True)
class Docstring(Node):
    """The text between the triple quotes, with the common indentation taken off."""

    text: str


# ---------------------------------------------------------------- expressions


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A reference to something declared. `_` is a name too: what an assignment throws away."""

    text: str


@dataclass(frozen=True, slots=True)
class Integer(Node):
    """`3`, `1_000_000`."""

    value: int


@dataclass(frozen=True, slots=True)
class Float(Node):
    """`0.5`, `1e-5`, `inf`."""

    value: float


@dataclass(frozen=True, slots=True)
class String(Node):
    """`value` has its escapes resolved. Without escapes, offset i of it is offset i + 1 of the span."""

    value: str


@dataclass(frozen=True, slots=True)
class Boolean(Node):
    """`true` or `false`."""

    value: bool


@dataclass(frozen=True, slots=True)
class NoneLiteral(Node):
    """`none`."""


@dataclass(frozen=True, slots=True)
class Training(Node):
    """The keyword `training`."""


@dataclass(frozen=True, slots=True)
class ListLiteral(Node):
    """`[a, b]`."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class TupleLiteral(Node):
    """`()`, `(a,)` or `(a, b)`. `(a)` is `a` itself."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Comprehension(Node):
    """`[item for target in source]`."""

    item: Expression
    target: Target
    source: Expression


@dataclass(frozen=True, slots=True)
class Argument(Node):
    """`value` or `name = value`. Positional arguments come first and no name comes twice."""

    name: Identifier | None
    value: Expression


@dataclass(frozen=True, slots=True)
class Call(Node):
    """`callee(value, name = value)`."""

    callee: Expression
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Slice(Node):
    """`start:stop:step` in an index, each part optional."""

    start: Expression | None
    stop: Expression | None
    step: Expression | None


@dataclass(frozen=True, slots=True)
class Ellipsis(Node):
    """`...` in an index."""


@dataclass(frozen=True, slots=True)
class Index(Node):
    """`value[i]`, `value[:, 0]`, `value[..., 1:3]`: at least one subscript."""

    value: Expression
    subscripts: tuple[Subscript, ...]


@dataclass(frozen=True, slots=True)
class Attribute(Node):
    """`x.shape`, `op.NAME`, `blocks.Stem`."""

    value: Expression
    name: Identifier


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """`operator` is `-`, `+` or `not`."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """`operator` is one of `+ - * / // % ** @`, `== != < <= > >=`, `and or`. Comparisons do not chain.

    `sign` is where the operator itself stands.
    """

    operator: str
    left: Expression
    right: Expression
    sign: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Range(Node):
    """`start..stop`, without `stop` itself."""

    start: Expression
    stop: Expression


@dataclass(frozen=True, slots=True)
class Case(Node):
    """`condition { value }` of an if expression."""

    condition: Expression
    value: Expression


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    """`if a { x } else if b { y } else { z }` as an expression: the first case that holds, else `otherwise`."""

    cases: tuple[Case, ...]
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Lambda(Node):
    """`(x, y) => body`. The body reaches as far as it can, pipes included."""

    parameters: tuple[Identifier, ...]
    body: Expression


@dataclass(frozen=True, slots=True)
class Path(Node):
    """What names an instance or a choice: `layer[i][j]`, `stem`, `encoder.layer[i]`.

    The first part is an identifier, or a string that may hold `{expression}`s (`"layer{i + 1}"`); the others
    are identifiers (`.name`) or expressions (`[i]`).
    """

    parts: tuple[Identifier | Expression, ...]


@dataclass(frozen=True, slots=True)
class Stage(Node):
    """One step of a pipe, `value` or `path: value`."""

    path: Path | None
    value: Expression | StageTuple


@dataclass(frozen=True, slots=True)
class StageTuple(Node):
    """`(a, name: b)` as a stage: every stage gets the piped value, and the results are a tuple."""

    stages: tuple[Stage, ...]


@dataclass(frozen=True, slots=True)
class Pipe(Node):
    """`source -> stage -> stage`. A tuple as source is several inputs."""

    source: Expression
    stages: tuple[Stage, ...]


@dataclass(frozen=True, slots=True)
class Alternative(Node):
    """`label: value` of a choice."""

    label: Identifier
    value: Expression


@dataclass(frozen=True, slots=True)
class Choice(Node):
    """`choice path { label: value, ... }`; at least one alternative, labels all different."""

    path: Path | None
    alternatives: tuple[Alternative, ...]


Expression: TypeAlias = (
    Name
    | Integer
    | Float
    | String
    | Boolean
    | NoneLiteral
    | Training
    | ListLiteral
    | TupleLiteral
    | Comprehension
    | Call
    | Index
    | Attribute
    | Unary
    | Binary
    | Range
    | Conditional
    | Lambda
    | Pipe
    | Choice
)
Subscript: TypeAlias = Expression | Slice | Ellipsis


# ---------------------------------------------------------------- targets, types, parameters


@dataclass(frozen=True, slots=True)
class TupleTarget(Node):
    """`(a, (b, c))` on the left of `=` or after `for`."""

    items: tuple[Target, ...]


Target: TypeAlias = Identifier | TupleTarget


@dataclass(frozen=True, slots=True)
class AnyDimension(Node):
    """`_`: some dimension, not named."""


@dataclass(frozen=True, slots=True)
class Pack(Node):
    """`*S`: any number of dimensions, at most once in a shape."""

    name: Identifier


@dataclass(frozen=True, slots=True)
class TensorType(Node):
    """`f32[N, 3]` or `[N, C]`; `dtype` is the word that was written, not checked."""

    dtype: Identifier | None
    dimensions: tuple[Dimension, ...]


@dataclass(frozen=True, slots=True)
class TupleType(Node):
    """`([N, T, C], ([N, C], [N, C]))`."""

    items: tuple[Type, ...]


@dataclass(frozen=True, slots=True)
class NamedType(Node):
    """A word: `int`, `float`, `bool`, `str`, `list`, `fn`, `block`; which words are types is checked later."""

    name: Identifier


Dimension: TypeAlias = Expression | AnyDimension | Pack
Type: TypeAlias = TensorType | TupleType | NamedType


@dataclass(frozen=True, slots=True)
class Parameter(Node):
    """`name`, `name: type`, `name = default` or `name: type = default`, static or tensor."""

    name: Identifier
    type: Type | None
    default: Expression | None


@dataclass(frozen=True, slots=True)
class Annotation(Node):
    """`@name` or `@name(arguments)`."""

    name: Identifier
    arguments: tuple[Argument, ...]
