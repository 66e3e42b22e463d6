"""The untyped syntax tree of an `.arch` file: what was written, before anything is looked up.

Expressions and types are defined in `expressions` and imported from here. Match with positional patterns
(`case Assign(target, value)`): the span is by keyword only and does not take part in equality.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from architrave.dsl.expressions import *  # noqa: F403 - one namespace for the whole tree
from architrave.dsl.expressions import (
    Annotation,
    Argument,
    Attribute,
    Docstring,
    Expression,
    Identifier,
    Integer,
    Name,
    Node,
    Parameter,
    Target,
    Type,
)
from architrave.ir.source import Source

# ---------------------------------------------------------------- statements


@dataclass(frozen=True, slots=True)
class Assign(Node):
    """`target = value`."""

    target: Target
    value: Expression


@dataclass(frozen=True, slots=True)
class Update(Node):
    """`name := value`, on a state."""

    name: Identifier
    value: Expression


@dataclass(frozen=True, slots=True)
class Evaluate(Node):
    """A call or a pipe (nothing else gets here) standing alone, for the states it updates."""

    value: Expression


@dataclass(frozen=True, slots=True)
class Return(Node):
    """`return value`."""

    value: Expression


@dataclass(frozen=True, slots=True)
class Param(Node):
    """`param weight: type = initializer`, or `param "a.0.weight" as w: ...` for a weight named by its path.

    `name` holds the word or the string's value; `quoted` says which. `alias` is what the body calls it.
    """

    name: Identifier
    quoted: bool
    alias: Identifier | None
    type: Type
    initializer: Expression | None


@dataclass(frozen=True, slots=True)
class State(Node):
    """`state running_mean: type = initializer`, named as a param is."""

    name: Identifier
    quoted: bool
    alias: Identifier | None
    type: Type
    initializer: Expression | None


@dataclass(frozen=True, slots=True)
class Branch(Node):
    """`condition { body }` of an if statement."""

    condition: Expression
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class If(Node):
    """`if a {...} else if b {...} else {...}`; `otherwise` is None where there is no `else`."""

    branches: tuple[Branch, ...]
    otherwise: tuple[Statement, ...] | None


@dataclass(frozen=True, slots=True)
class For(Node):
    """`for target in source { body }`."""

    target: Target
    source: Expression
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class ScanSource(Node):
    """`x_t in x`."""

    target: Target
    value: Expression


@dataclass(frozen=True, slots=True)
class Scan(Node):
    """`scan x_t in x, axis = 1, carry (h = h0), reverse = true {...}`.

    `carry` holds named arguments only, and so does `options` (`axis`, `reverse`; not checked here).
    """

    sources: tuple[ScanSource, ...]
    carry: tuple[Argument, ...]
    options: tuple[Argument, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class While(Node):
    """`while condition, carry (x = x0), max = 100 {...}`; `options` holds `max`."""

    condition: Expression
    carry: tuple[Argument, ...]
    options: tuple[Argument, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Emit(Node):
    """`emit value as name`."""

    value: Expression
    name: Identifier


@dataclass(frozen=True, slots=True)
class Constraint(Node):
    """`constraint condition`."""

    condition: Expression


@dataclass(frozen=True, slots=True)
class Assert(Node):
    """`assert condition, message`."""

    condition: Expression
    message: Expression | None


@dataclass(frozen=True, slots=True)
class AnnotatedStatement(Node):
    """`@keep` and the like before a statement, outermost first."""

    annotations: tuple[Annotation, ...]
    statement: Statement


Statement: TypeAlias = (
    Assign
    | Update
    | Evaluate
    | Return
    | Param
    | State
    | If
    | For
    | Scan
    | While
    | Emit
    | Constraint
    | Assert
    | AnnotatedStatement
)


# ---------------------------------------------------------------- declarations


@dataclass(frozen=True, slots=True)
class Gradient(Node):
    """`grad (g) {...}` after a fn: one name for the gradient of each output."""

    parameters: tuple[Identifier, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Fn(Node):
    """`fn f(x: [*S]) -> [*S] {...}`. The body of `fn f(x) = value` is one `Return`; so for blocks."""

    name: Identifier
    parameters: tuple[Parameter, ...]
    result: Type | None
    doc: Docstring | None
    body: tuple[Statement, ...]
    gradient: Gradient | None


@dataclass(frozen=True, slots=True)
class Block(Node):
    """`block b(static)(inputs) -> result {...}`."""

    name: Identifier
    static: tuple[Parameter, ...]
    inputs: tuple[Parameter, ...]
    result: Type | None
    doc: Docstring | None
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Model(Block):
    """A block that the command line can compile. Match it before `Block`."""


@dataclass(frozen=True, slots=True)
class Const(Node):
    """`const name = value` or `const name: type = value`."""

    name: Identifier
    type: Type | None
    value: Expression


@dataclass(frozen=True, slots=True)
class Module(Node):
    """What an import reads: `std.norm` (`is_file` false) or `"./blocks.arch"` (true)."""

    name: str
    is_file: bool


@dataclass(frozen=True, slots=True)
class Import(Node):
    """`import "./blocks.arch" as blocks`, `import std.norm`: the whole module under one name."""

    module: Module
    alias: Identifier | None


@dataclass(frozen=True, slots=True)
class ImportedName(Node):
    """`name` or `name as alias`."""

    name: Identifier
    alias: Identifier | None


@dataclass(frozen=True, slots=True)
class FromImport(Node):
    """`from std.norm import layer_norm, rms_norm as norm`."""

    module: Module
    names: tuple[ImportedName, ...]


@dataclass(frozen=True, slots=True)
class Expect(Node):
    """`expect model(arguments) at (N = 1): condition`. `sizes` are named arguments."""

    model: Name | Attribute
    arguments: tuple[Argument, ...]
    sizes: tuple[Argument, ...]
    condition: Expression


@dataclass(frozen=True, slots=True)
class AnnotatedDeclaration(Node):
    """`@checkpoint` and the like before a declaration, outermost first."""

    annotations: tuple[Annotation, ...]
    declaration: Declaration


Declaration: TypeAlias = Fn | Block | Model | Const | Import | FromImport | Expect | AnnotatedDeclaration


@dataclass(frozen=True, slots=True)
class File(Node):
    """A whole file. `language` is the version of its `language` line, None where it has none."""

    source: Source = field(compare=False, repr=False)
    language: Integer | None
    doc: Docstring | None
    declarations: tuple[Declaration, ...]
