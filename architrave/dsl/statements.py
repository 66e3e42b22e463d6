"""What the rules for types, parameters and statements make. See `builder` for how they are called."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TypeAlias

from architrave.dsl import syntax
from architrave.dsl.builder import ExpressionBuilder
from architrave.dsl.lexer import Token
from architrave.dsl.syntax import Annotation, Argument, Expression, Identifier, Parameter, Statement
from architrave.ir.source import Span

Weight: TypeAlias = tuple[Identifier, bool, Identifier | None]
"""A weight's name, whether it is quoted, and its alias."""
Clause: TypeAlias = syntax.ScanSource | Argument | list[Argument]
"""What stands in the head of a loop; the list is what it carries."""
Part: TypeAlias = syntax.Branch | list[Statement]
"""`if condition {...}` or, for the last `else`, its body alone."""


class StatementBuilder(ExpressionBuilder):
    """Types, parameters, annotations and statements."""

    # -------------------------------------------------------- types and parameters

    def named_type(self, span: Span, name: Identifier) -> syntax.NamedType:
        return syntax.NamedType(name, span=span)

    def plain_tensor_type(self, span: Span, dimensions: list[syntax.Dimension] | None) -> syntax.TensorType:
        return self.tensor_type(span, None, dimensions)

    def tensor_type(
        self, span: Span, dtype: Identifier | None, dimensions: list[syntax.Dimension] | None
    ) -> syntax.TensorType:
        packs = [dimension for dimension in dimensions or () if isinstance(dimension, syntax.Pack)]
        if len(packs) > 1:
            self.complain("E126", "a shape has at most one pack", packs[1].span, first=packs[0].span)
        return syntax.TensorType(dtype, tuple(dimensions or ()), span=span)

    def tuple_type(self, span: Span, items: list[syntax.Type]) -> syntax.TupleType:
        return syntax.TupleType(tuple(items), span=span)

    def dimension(self, span: Span, value: Expression) -> syntax.Dimension:
        is_any = isinstance(value, syntax.Name) and value.text == "_"
        return syntax.AnyDimension(span=span) if is_any else value

    def pack(self, span: Span, name: Identifier) -> syntax.Pack:
        return syntax.Pack(name, span=span)

    def parameter(
        self, span: Span, name: Identifier, kind: syntax.Type | None, default: Expression | None
    ) -> Parameter:
        return Parameter(name, kind, default, span=span)

    def parameters(self, *lists: Sequence[Parameter] | None) -> tuple[Parameter, ...]:
        """The first list, after a check that no name comes twice in all of them."""
        self.all_different("parameter", [parameter.name for each in lists for parameter in each or ()])
        return tuple(lists[0] or ())

    def annotation(self, span: Span, name: Identifier, arguments: list[Argument] | None = None) -> Annotation:
        return Annotation(name, self.arguments(arguments), span=span)

    # -------------------------------------------------------- statements

    def evaluate(self, span: Span, value: Expression) -> syntax.Evaluate:
        return syntax.Evaluate(value, span=span)

    def assign(self, span: Span, target: Expression, value: Expression) -> syntax.Assign:
        return syntax.Assign(self._as_target(target), value, span=span)

    def _as_target(self, written: Expression) -> syntax.Target:
        """What stands left of `=` was read as an expression."""
        match written:
            case syntax.Name("state") | syntax.Training() | syntax.Boolean() | syntax.NoneLiteral():
                hint = "choose another name"
                self.complain(
                    "E107", f"`{written.span.text}` is a keyword and cannot be assigned to", written.span, hint
                )
            case syntax.Name(text):
                return Identifier(text, span=written.span)
            case syntax.TupleLiteral(items) if items:
                return syntax.TupleTarget(tuple(map(self._as_target, items)), span=written.span)
            case syntax.Index():
                hint = "build a new list: `xs = xs + [x]`, or `[f(x) for x in xs]`"
                self.complain(
                    "E127", "an element cannot be assigned to: lists and tensors do not change", written.span, hint
                )
            case syntax.Attribute():
                self.complain("E127", "an attribute cannot be assigned to", written.span, "bind a name: `c = ...`")
            case _:
                hint = "assign to a name or a tuple of names: `(a, b) = f(x)`"
                self.complain("E127", "only names can be assigned to", written.span, hint)
        return Identifier("_", span=written.span)

    def update(self, span: Span, target: Expression, value: Expression) -> syntax.Update:
        return syntax.Update(self.word(target, "what `:=` updates"), value, span=span)

    def tuple_target(self, span: Span, items: list[syntax.Target]) -> syntax.TupleTarget:
        return syntax.TupleTarget(tuple(items), span=span)

    def return_statement(self, span: Span, value: Expression) -> syntax.Return:
        return syntax.Return(value, span=span)

    def plain_weight(self, span: Span, token: Token) -> Weight:
        return self.identifier(span, token), False, None

    def quoted_weight(self, span: Span, token: Token, alias: Identifier | None = None) -> Weight:
        name_span = Span(self.source, token[1], token[2])
        return Identifier(self.string(name_span, token).value, span=name_span), True, alias

    def param(
        self,
        span: Span,
        name: Weight,
        kind: syntax.Type,
        initializer: Expression | None,
    ) -> syntax.Param:
        return syntax.Param(*name, kind, initializer, span=span)

    def state(
        self,
        span: Span,
        name: Weight,
        kind: syntax.Type,
        initializer: Expression | None,
    ) -> syntax.State:
        return syntax.State(*name, kind, initializer, span=span)

    def branch(self, span: Span, condition: Expression, body: list[Statement]) -> syntax.Branch:
        return syntax.Branch(condition, tuple(body), span=span)

    def if_statement(self, span: Span, parts: list[Part]) -> syntax.If:
        for part in parts[:-1]:
            if isinstance(part, list):
                self.complain("E128", "nothing can follow the last `else`", span, "write `else if condition {...}`")
        last = parts[-1]
        otherwise = tuple(last) if isinstance(last, list) else None
        return syntax.If(tuple(p for p in parts if not isinstance(p, list)), otherwise, span=span)

    def conditional(self, span: Span, parts: list[Part]) -> syntax.Conditional:
        return self._as_value(self.if_statement(span, parts))

    def _as_value(self, statement: syntax.If) -> syntax.Conditional:
        """An `if` whose bodies are one expression each, as a value."""
        if statement.otherwise is None:
            hint = "write `if c { a } else { b }`"
            self.complain("E128", "an `if` that gives a value needs an `else`", statement.span, hint)
        cases = [
            syntax.Case(branch.condition, self._body_value(branch.body, branch.span), span=branch.span)
            for branch in statement.branches
        ]
        otherwise = (
            cases[0].value if statement.otherwise is None else self._body_value(statement.otherwise, statement.span)
        )
        return syntax.Conditional(tuple(cases), otherwise, span=statement.span)

    def _body_value(self, body: tuple[Statement, ...], span: Span) -> Expression:
        match body:
            case (syntax.Evaluate(value),):
                return value
            case (syntax.If() as nested,):
                return self._as_value(nested)
            case _:
                where = body[0].span if body else span
                hint = "to choose between statements, begin the line with `if`"
                self.complain("E128", "an `if` that gives a value holds one expression in its braces", where, hint)
                return syntax.NoneLiteral(span=where)

    def for_statement(self, span: Span, target: syntax.Target, source: Expression, body: list[Statement]) -> syntax.For:
        return syntax.For(target, source, tuple(body), span=span)

    def source_clause(self, span: Span, target: syntax.Target, value: Expression) -> syntax.ScanSource:
        return syntax.ScanSource(target, value, span=span)

    def argument(self, span: Span, name: Identifier, value: Expression) -> Argument:
        return Argument(name, value, span=span)

    def scan(self, span: Span, clauses: list[Clause], body: list[Statement]) -> syntax.Scan:
        sources = tuple(clause for clause in clauses if isinstance(clause, syntax.ScanSource))
        if not sources:
            self.complain("E129", "a scan needs something to run over", span, "write `scan x_t in x, axis = 1 {...}`")
        return syntax.Scan(sources, *self._loop(span, clauses), tuple(body), span=span)

    def while_statement(self, span: Span, condition: Expression, body: list[Statement]) -> syntax.While:
        return self.while_carrying(span, condition, [], body)

    def while_carrying(
        self, span: Span, condition: Expression, clauses: list[Clause], body: list[Statement]
    ) -> syntax.While:
        for clause in clauses:
            if isinstance(clause, syntax.ScanSource):
                self.complain("E129", "a `while` runs over nothing", clause.span, "use `scan`, or `carry (x = x0)`")
        return syntax.While(condition, *self._loop(span, clauses), tuple(body), span=span)

    def _loop(self, span: Span, clauses: list[Clause]) -> tuple[tuple[Argument, ...], tuple[Argument, ...]]:
        """What a loop carries, and its options."""
        carried = [clause for clause in clauses if isinstance(clause, list)]
        if len(carried) > 1:
            self.complain("E129", "`carry` is given twice", span, "carry several values as `carry (a = x, b = y)`")
        options = [clause for clause in clauses if isinstance(clause, Argument)]
        return self.named("carried value", list(chain(*carried))), self.named("option", options)

    def named(self, what: str, arguments: list[Argument] | None) -> tuple[Argument, ...]:
        """Arguments that must all be `name = value`."""
        kept = [argument for argument in arguments or () if argument.name is not None]
        for argument in arguments or ():
            if argument.name is None:
                self.complain("E124", f"a {what} must be named", argument.span, "write `name = value`")
        self.all_different(what, [argument.name for argument in kept if argument.name is not None])
        return tuple(kept)

    def emit(self, span: Span, value: Expression, name: Identifier) -> syntax.Emit:
        return syntax.Emit(value, name, span=span)

    def constraint(self, span: Span, condition: Expression) -> syntax.Constraint:
        return syntax.Constraint(condition, span=span)

    def assert_statement(self, span: Span, condition: Expression, message: Expression | None) -> syntax.Assert:
        return syntax.Assert(condition, message, span=span)

    def annotated_statement(
        self, span: Span, annotation: Annotation, statement: Statement
    ) -> syntax.AnnotatedStatement:
        """Several annotations make one node."""
        if isinstance(statement, syntax.AnnotatedStatement):
            return syntax.AnnotatedStatement((annotation, *statement.annotations), statement.statement, span=span)
        return syntax.AnnotatedStatement((annotation,), statement, span=span)

    def check_uses(self, body: Sequence[Statement]) -> None:
        """A statement that is an expression must apply something. (An `if` may yet turn out to be a value, so
        this runs once for a whole declaration.)
        """
        for statement in body:
            match statement:
                case syntax.Evaluate(syntax.Call() | syntax.Pipe()):
                    continue
                case syntax.Evaluate(syntax.Binary("==")):
                    self.complain("E130", "this comparison does nothing", statement.span, "assignment is written `=`")
                case syntax.Evaluate():
                    hint = "assign it to a name, or `return` it"
                    self.complain("E130", "this value is not used", statement.span, hint)
                case syntax.AnnotatedStatement(_, inner):
                    self.check_uses([inner])
                case syntax.If(branches, otherwise):
                    self.check_uses([inner for branch in branches for inner in branch.body])
                    self.check_uses(otherwise or ())
                case syntax.For() | syntax.Scan() | syntax.While():
                    self.check_uses(statement.body)
                case _:
                    continue
