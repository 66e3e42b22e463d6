"""What the rules for declarations and whole files make. See `builder` for how they are called."""

from __future__ import annotations

from collections.abc import Sequence

from architrave.dsl import syntax
from architrave.dsl.lexer import Token
from architrave.dsl.statements import StatementBuilder
from architrave.dsl.syntax import (
    Annotation,
    Argument,
    Declaration,
    Docstring,
    Expression,
    Identifier,
    Parameter,
    Statement,
    Type,
)
from architrave.ir.source import Span

LANGUAGE = 1
"""The version of the language that this compiler speaks."""


class Builder(StatementBuilder):
    """Everything that the grammar builds."""

    def file(
        self, span: Span, language: syntax.Integer | None, doc: Docstring | None, declarations: list[Declaration] | None
    ) -> syntax.File:
        if language is not None and language.value != LANGUAGE:
            hint = f"this compiler speaks language {LANGUAGE}; a newer one may be needed"
            self.complain("E105", f"language {language.value} is not known", language.span, hint)
        return syntax.File(self.source, language, doc, tuple(declarations or ()), span=span)

    # -------------------------------------------------------- imports and constants

    def module(self, span: Span, names: list[Identifier]) -> syntax.Module:
        return syntax.Module(".".join(name.text for name in names), False, span=span)

    def file_module(self, span: Span, token: Token) -> syntax.Module:
        return syntax.Module(self.string(span, token).value, True, span=span)

    def imported_name(self, span: Span, name: Identifier, alias: Identifier | None) -> syntax.ImportedName:
        return syntax.ImportedName(name, alias, span=span)

    def from_import(self, span: Span, module: syntax.Module, names: list[syntax.ImportedName]) -> syntax.FromImport:
        self.all_different("imported name", [each.alias or each.name for each in names])
        return syntax.FromImport(module, tuple(names), span=span)

    def import_module(self, span: Span, module: syntax.Module, alias: Identifier | None) -> syntax.Import:
        if module.is_file and alias is None:
            hint = f"write `import {module.span.text} as name`"
            self.complain("E131", "an imported file needs a name", module.span, hint)
        return syntax.Import(module, alias, span=span)

    def const(self, span: Span, name: Identifier, kind: Type | None, value: Expression) -> syntax.Const:
        return syntax.Const(name, kind, value, span=span)

    # -------------------------------------------------------- fn, block, model

    def fn(
        self,
        span: Span,
        name: Identifier,
        parameters: list[Parameter] | None,
        result: Type | None,
        doc: Docstring | None,
        body: Sequence[Statement] | None,
        gradient: syntax.Gradient | None = None,
    ) -> syntax.Fn:
        self.check_uses(body or ())
        return syntax.Fn(name, self.parameters(parameters), result, doc, tuple(body or ()), gradient, span=span)

    def short_fn(
        self,
        span: Span,
        name: Identifier,
        parameters: list[Parameter] | None,
        result: Type | None,
        value: Expression,
    ) -> syntax.Fn:
        return self.fn(span, name, parameters, result, None, _returning(value))

    def gradient(
        self, span: Span, parameters: list[Identifier] | None, body: list[Statement] | None
    ) -> syntax.Gradient:
        self.check_uses(body or ())
        self.all_different("parameter", parameters or ())
        return syntax.Gradient(tuple(parameters or ()), tuple(body or ()), span=span)

    def block(
        self,
        span: Span,
        name: Identifier,
        static: list[Parameter] | None,
        inputs: list[Parameter],
        result: Type | None,
        doc: Docstring | None,
        body: Sequence[Statement] | None,
    ) -> syntax.Block:
        self.check_uses(body or ())
        parameters = self.parameters(static, inputs)
        return syntax.Block(name, parameters, tuple(inputs), result, doc, tuple(body or ()), span=span)

    def short_block(
        self,
        span: Span,
        name: Identifier,
        static: list[Parameter] | None,
        inputs: list[Parameter],
        result: Type | None,
        value: Expression,
    ) -> syntax.Block:
        return self.block(span, name, static, inputs, result, None, _returning(value))

    def model(
        self,
        span: Span,
        name: Identifier,
        static: list[Parameter] | None,
        inputs: list[Parameter],
        result: Type | None,
        doc: Docstring | None,
        body: Sequence[Statement] | None,
    ) -> syntax.Model:
        block = self.block(span, name, static, inputs, result, doc, body)
        return syntax.Model(name, block.static, block.inputs, result, doc, block.body, span=span)

    def short_model(
        self,
        span: Span,
        name: Identifier,
        static: list[Parameter] | None,
        inputs: list[Parameter],
        result: Type | None,
        value: Expression,
    ) -> syntax.Model:
        return self.model(span, name, static, inputs, result, None, _returning(value))

    # -------------------------------------------------------- expectations and annotations

    def expect(
        self, span: Span, expected: Expression, sizes: list[Argument] | None, condition: Expression
    ) -> syntax.Expect:
        arguments: tuple[Argument, ...] = ()
        model = expected
        if isinstance(expected, syntax.Call):
            model, arguments = expected.callee, expected.arguments
        if not isinstance(model, syntax.Name | syntax.Attribute):
            self.complain("E132", "`expect` needs the name of a model", model.span, "write `expect NAME: condition`")
            model = syntax.Name("_", span=model.span)
        return syntax.Expect(model, arguments, self.named("size", sizes), condition, span=span)

    def annotated_declaration(
        self, span: Span, annotation: Annotation, declaration: Declaration
    ) -> syntax.AnnotatedDeclaration:
        """Several annotations make one node."""
        if isinstance(declaration, syntax.AnnotatedDeclaration):
            annotations = (annotation, *declaration.annotations)
            return syntax.AnnotatedDeclaration(annotations, declaration.declaration, span=span)
        return syntax.AnnotatedDeclaration((annotation,), declaration, span=span)


def _returning(value: Expression) -> tuple[Statement, ...]:
    return (syntax.Return(value, span=value.span),)
