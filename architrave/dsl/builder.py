"""What each rule for expressions makes: functions named by the aliases in grammar.lark.

Each takes the span of the rule and what the symbols of the rule made, None where an optional one is missing;
tokens come as they are. What the grammar alone cannot refuse (`f(x) = 3`, a label given twice) is reported here,
and something harmless stands in for it so that parsing goes on; the caller raises at the end.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias, TypeVar

from architrave.dsl import syntax
from architrave.dsl.lexer import Report, Token
from architrave.dsl.operators import Item, fold
from architrave.dsl.syntax import Argument, Expression, Identifier, Name
from architrave.ir.source import Diagnostic, Note, Source, Span

T = TypeVar("T")
MAX_DIGITS = 400
Operand: TypeAlias = Expression | list[Item]
"""One operand, or several that operators join: a flat list, which `fold` makes a tree of."""
ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


class ExpressionBuilder:
    """Lists, names, literals and expressions."""

    def __init__(self, source: Source, report: Report) -> None:
        self.source = source
        self.text = source.text
        self.report = report

    def complain(self, code: str, message: str, span: Span, hint: str | None = None, first: Span | None = None) -> None:
        notes = () if first is None else (Note("the first one is here", first),)
        self.report(Diagnostic(code, message, span, notes, hint=hint))

    def written(self, token: Token) -> str:
        return self.text[token[1] : token[2]]

    # -------------------------------------------------------- lists

    def first(self, span: Span, item: T) -> list[T]:
        return [item]

    def append(self, span: Span, items: list[T], item: T) -> list[T]:
        items.append(item)
        return items

    def keep(self, span: Span, items: list[T]) -> list[T]:
        return items

    def optional_list(self, span: Span, items: list[T] | None) -> list[T]:
        return items or []

    def trailing_comma(self, span: Span, items: list[T]) -> tuple[T, ...]:
        """In parentheses a comma makes a tuple: a Python tuple tells these items from a list."""
        return tuple(items)

    # -------------------------------------------------------- names and literals

    def identifier(self, span: Span, token: Token) -> Identifier:
        return Identifier(self.written(token), span=span)

    def name(self, span: Span, token: Token) -> Expression:
        text = self.written(token)
        return syntax.Float(float("inf"), span=span) if text == "inf" else Name(text, span=span)

    def state_name(self, span: Span) -> Name:
        """`state` may stand in the condition of an `expect`."""
        return Name("state", span=span)

    def integer(self, span: Span, token: Token) -> syntax.Integer:
        digits = self.written(token).replace("_", "")
        if len(digits) > MAX_DIGITS:
            self.complain("E104", f"this number has more than {MAX_DIGITS} digits", span)
            digits = "0"
        return syntax.Integer(int(digits) if digits.isdecimal() else 0, span=span)

    def float_literal(self, span: Span, token: Token) -> syntax.Float:
        value = float(self.written(token).replace("_", ""))
        if value == float("inf"):
            self.complain("E104", "this number is too large for a float", span, "write `inf` for infinity")
        return syntax.Float(value, span=span)

    def string(self, span: Span, token: Token) -> syntax.String:
        text = self.written(token)[1:]
        text = text[:-1] if text.endswith(('"', "'")) else text
        if "\\" in text:
            text = re.sub(r"\\(.?)", lambda match: self._escape(span, match), text)
        return syntax.String(text, span=span)

    def _escape(self, span: Span, match: re.Match[str]) -> str:
        if match[1] not in ESCAPES:
            at = span.within(match.start() + 1, match.end() + 1)
            self.complain("E102", f"`{match[0]}` is not an escape", at, r"the escapes are `\n`, `\t`, `\"` and `\\`")
        return ESCAPES.get(match[1], match[0])

    def docstring(self, span: Span, token: Token) -> syntax.Docstring:
        lines = inspect.cleandoc(self.written(token)[3:-3]).rstrip().split("\n")
        text = "\n".join(line.rstrip() for line in lines)
        return syntax.Docstring(text, span=Span(self.source, token[1], token[2]))

    def true(self, span: Span) -> syntax.Boolean:
        return syntax.Boolean(True, span=span)

    def false(self, span: Span) -> syntax.Boolean:
        return syntax.Boolean(False, span=span)

    def none(self, span: Span) -> syntax.NoneLiteral:
        return syntax.NoneLiteral(span=span)

    def training(self, span: Span) -> syntax.Training:
        return syntax.Training(span=span)

    def list_literal(self, span: Span, items: list[Expression] | None) -> syntax.ListLiteral:
        return syntax.ListLiteral(tuple(items or ()), span=span)

    def parentheses(self, span: Span, items: list[Expression] | tuple[Expression, ...]) -> Expression:
        if isinstance(items, list) and len(items) == 1:
            return replace(items[0], span=span)
        return syntax.TupleLiteral(tuple(items), span=span)

    def comprehension(
        self, span: Span, item: Expression, target: syntax.Target, source: Expression
    ) -> syntax.Comprehension:
        return syntax.Comprehension(item, target, source, span=span)

    # -------------------------------------------------------- operators and applications

    def operator(self, span: Span, token: Token) -> Token:
        return token

    def prefix(self, span: Span, sign: Token, operand: Operand) -> list[Item]:
        return [sign, *_items(operand)]

    def chain(self, span: Span, left: Operand, sign: Token, right: Operand) -> list[Item]:
        items = _items(left)
        items.append(sign)
        items += _items(right)
        return items

    def fold(self, span: Span, items: list[Item]) -> Expression:
        return fold(items, self.source, self.report)

    def positional(self, span: Span, value: Expression) -> Argument:
        return Argument(None, value, span=span)

    def call(self, span: Span, callee: Expression, arguments: list[Argument] | None) -> syntax.Call:
        return syntax.Call(callee, self.arguments(arguments), span=span)

    def arguments(self, arguments: list[Argument] | None) -> tuple[Argument, ...]:
        """Positional arguments come first, and no name comes twice."""
        seen: list[Identifier] = []
        for argument in arguments or ():
            if argument.name is not None:
                seen.append(argument.name)
            elif seen:
                self.complain("E122", "a positional argument follows a named one", argument.span)
        self.all_different("argument", seen)
        return tuple(arguments or ())

    def all_different(self, what: str, names: Sequence[Identifier]) -> None:
        seen: dict[str, Span] = {}
        for name in names:
            if name.text in seen and name.text != "_":
                self.complain("E123", f"the {what} `{name.text}` is given twice", name.span, first=seen[name.text])
            seen.setdefault(name.text, name.span)

    def keyword_argument(self, span: Span, name: Expression, value: Expression) -> Argument:
        return Argument(self.word(name, "an argument's name"), value, span=span)

    def word(self, name: Expression, what: str) -> Identifier:
        """The one word that an expression must be where a name stands before `=` or `:`."""
        if isinstance(name, Name):
            return Identifier(name.text, span=name.span)
        self.complain("E124", f"{what} must be one word", name.span, "comparisons are written `==`")
        return Identifier("_", span=name.span)

    def index(self, span: Span, value: Expression, subscripts: list[syntax.Subscript]) -> syntax.Index:
        return syntax.Index(value, tuple(subscripts), span=span)

    def ellipsis(self, span: Span) -> syntax.Ellipsis:
        return syntax.Ellipsis(span=span)

    def slice(
        self, span: Span, start: Expression | None, stop: Expression | None, step: Expression | None = None
    ) -> syntax.Slice:
        return syntax.Slice(start, stop, step, span=span)

    def attribute(self, span: Span, value: Expression, name: Identifier) -> syntax.Attribute:
        return syntax.Attribute(value, name, span=span)

    # -------------------------------------------------------- lambdas, pipes, choices

    def lambda_expression(self, span: Span, parameters: Iterable[Expression], body: Expression) -> syntax.Lambda:
        names = [self.word(parameter, "a lambda's parameter") for parameter in parameters]
        self.all_different("parameter", names)
        return syntax.Lambda(tuple(names), body, span=span)

    def pipe(self, span: Span, source: Expression, stages: list[syntax.Stage]) -> syntax.Pipe:
        return syntax.Pipe(source, tuple(stages), span=span)

    def stage(self, span: Span, value: Expression | syntax.StageTuple) -> syntax.Stage:
        return syntax.Stage(None, value, span=span)

    def named_stage(self, span: Span, path: Expression, value: Expression | syntax.StageTuple) -> syntax.Stage:
        return syntax.Stage(self._as_path(path), value, span=span)

    def stage_tuple(self, span: Span, stages: Sequence[syntax.Stage]) -> Expression | syntax.StageTuple:
        if isinstance(stages, tuple) or len(stages) != 1:
            return syntax.StageTuple(tuple(map(self._nested, stages)), span=span)
        if stages[0].path is not None:
            self.complain("E125", "one named stage needs no parentheses", span, "write `-> name: stage`")
        return stages[0].value

    def _nested(self, stage: syntax.Stage) -> syntax.Stage:
        """A tuple inside a tuple of stages is one, too."""
        if not isinstance(stage.value, syntax.TupleLiteral):
            return stage
        inner = [syntax.Stage(None, item, span=item.span) for item in stage.value.items]
        value = syntax.StageTuple(tuple(map(self._nested, inner)), span=stage.value.span)
        return replace(stage, value=value)

    def stage_lambda(self, span: Span, parameters: Iterable[syntax.Stage], body: Expression) -> syntax.Lambda:
        values: list[Expression] = []
        for stage in parameters:
            if stage.path is not None or isinstance(stage.value, syntax.StageTuple):
                self.complain("E124", "a lambda's parameter must be one word", stage.span)
            else:
                values.append(stage.value)
        return self.lambda_expression(span, values, body)

    def _as_path(self, written: Expression) -> syntax.Path:
        """`a[i].b` or `"a{i}.b"` was read as an expression; as the name of an instance it is a path."""
        parts: list[Identifier | Expression] = []
        at = written
        while not isinstance(at, Name | syntax.String):
            match at:
                case syntax.Attribute(value, name):
                    parts.append(name)
                case syntax.Index(value, (syntax.Slice() | syntax.Ellipsis(),)) | syntax.Index(value, (_, _, *_)):
                    self.complain("E125", "a path has one number or word in each pair of brackets", at.span)
                case syntax.Index(value, (subscript,)) if not isinstance(subscript, syntax.Slice | syntax.Ellipsis):
                    parts.append(subscript)
                case _:
                    hint = "write `name: stage` or `name[i]: stage`"
                    self.complain("E125", "an instance is named by a word", at.span, hint)
                    return syntax.Path((Identifier("_", span=at.span),), span=written.span)
            at = value
        parts.append(at if isinstance(at, syntax.String) else Identifier(at.text, span=at.span))
        return syntax.Path(tuple(reversed(parts)), span=written.span)

    def choice(
        self, span: Span, path: list[Identifier | Expression] | None, alternatives: list[syntax.Alternative]
    ) -> syntax.Choice:
        self.all_different("label", [alternative.label for alternative in alternatives])
        named = None if path is None else syntax.Path(tuple(path), span=path[0].span.to(path[-1].span))
        return syntax.Choice(named, tuple(alternatives), span=span)

    def alternative(self, span: Span, label: Identifier, value: Expression) -> syntax.Alternative:
        return syntax.Alternative(label, value, span=span)

    def string_label(self, span: Span, token: Token) -> Identifier:
        return Identifier(self.string(span, token).value, span=span)


def _items(operand: Operand) -> list[Item]:
    return operand if isinstance(operand, list) else [operand]
