"""Files and what they declare: loading, imports, and the names that a file's code sees."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from architrave.dsl import syntax
from architrave.dsl.elaborate import expressions
from architrave.dsl.elaborate.builtins import BUILTINS
from architrave.dsl.elaborate.core import Build, Frame, Names, elaborating, evaluate
from architrave.dsl.elaborate.values import BlockType, Fn, Namespace, OpRef
from architrave.dsl.parser import MAX_SIZE, parse
from architrave.ir.op import OPS
from architrave.ir.place import Place, marked
from architrave.ir.source import ArchitraveError, Note, Source, Span, error, nearest

CORE = ("linear", "conv", "norm", "attention", "recurrent", "regularize", "combine")
"""The modules of the standard library whose names `std` itself exports."""
HANDLERS = (expressions,)
"""Importing it registers how the value of a const is found."""
IMPORT_LIMIT = 100
"""How deeply files may import one another."""


@dataclass(eq=False)
class Module:
    """A file: its tree, the names that its code sees, and what others can import from it."""

    name: str
    tree: syntax.File
    path: Path | None = None
    globals: dict[str, Any] = field(default_factory=lambda: always())
    exports: dict[str, Any] = field(default_factory=dict[str, Any])
    expectations: list[syntax.Expect] = field(default_factory=list[syntax.Expect])

    @property
    def doc(self) -> str | None:
        return self.tree.doc.text if self.tree.doc is not None else None

    @property
    def models(self) -> dict[str, BlockType]:
        """The models that the file declares, by name."""
        return {n: v for n, v in self.exports.items() if isinstance(v, BlockType) and isinstance(v.tree, syntax.Model)}


def always() -> dict[str, Any]:
    """The names that are always there, for a file to add its own."""
    return {**BUILTINS, "op": Namespace("op", {name: OpRef(kind) for name, kind in OPS.items()})}


def load_text(text: str, name: str = "<text>") -> Module:
    """A module from text. Its relative imports are refused."""
    return Loader().module(name, parse(Source(name, text)), None)


def load_file(path: str | Path) -> Module:
    """A module from a file. Raises E6xx where it cannot be read."""
    return Loader().file(Path(path), str(path), None)


@cache
def load_standard(name: str) -> Module:
    """A module of the standard library, `std.norm`, or `std` itself. Each is read once."""
    return Loader().standard(name, None)


def standard_names() -> tuple[str, ...]:
    """The modules of the standard library, without `std.`."""
    folder = resources.files("architrave") / "stdlib"
    return tuple(sorted(f.name.removesuffix(".arch") for f in folder.iterdir() if f.name.endswith(".arch")))


class Loader:
    """Loads a file and whatever it imports; knows what it is in the middle of, to find cycles."""

    def __init__(self) -> None:
        self.loaded: dict[str, Module] = {}
        self.loading: list[str] = []

    def standard(self, name: str, span: Span | None) -> Module:
        """A module of the standard library. Raises E601 where there is none of that name."""
        if name == "std":
            return _core()
        short = name.removeprefix("std.")
        if short not in standard_names():
            hint = nearest(name, (f"std.{n}" for n in standard_names()))
            raise error("E601", f"the standard library has no module `{name}`", span, hint=hint)
        text = (resources.files("architrave") / "stdlib" / f"{short}.arch").read_text("utf-8")
        return self.module(name, parse(Source(f"std/{short}.arch", text)), None)

    def file(self, path: Path, shown: str, span: Span | None) -> Module:
        """A module from a file; `span` is where it is imported. Raises E602 for files in a circle, E606, E607, E608."""
        key = os.path.realpath(path)
        if key in self.loaded:
            return self.loaded[key]
        try:
            if key in self.loading:
                names = [Path(k).name for k in self.loading[self.loading.index(key) :]]
                raise error("E602", f"files import each other in a circle: {' -> '.join([*names, names[0]])}", span)
            self.loading.append(key)
            if len(self.loading) > IMPORT_LIMIT:
                raise error("E608", f"imports nest more than {IMPORT_LIMIT} deep", span)
            module = self.module(shown, parse(Source(shown, read(path, shown, span))), path)
        except ArchitraveError as problem:
            raise _seen_from(problem, shown, span) from None
        self.loading.pop()
        self.loaded[key] = module
        return module

    def module(self, name: str, tree: syntax.File, path: Path | None) -> Module:
        """Declare what a tree declares, in order."""
        if tree.language is not None and tree.language.value != 1:
            raise error(
                "E603", f"this compiler reads language 1, not language {tree.language.value}", tree.language.span
            )
        module = Module(name, tree, path)
        spans: dict[str, Span] = {}
        for declaration in tree.declarations:
            self._declare(declaration, (), module, spans)
        return module

    def _declare(
        self, node: syntax.Declaration, facts: tuple[syntax.Annotation, ...], module: Module, spans: dict[str, Span]
    ) -> None:
        match node:
            case syntax.AnnotatedDeclaration(annotations, declaration):
                self._declare(declaration, (*facts, *annotations), module, spans)
            case syntax.Fn():
                _export(node.name, Fn(node, module.globals), module, spans)
            case syntax.Block():
                _export(node.name, BlockType(node, module.globals, facts), module, spans)
            case syntax.Const():
                _export(node.name, _constant(node, module), module, spans)
            case syntax.FromImport():
                self._from(node, module, spans)
            case syntax.Import():
                alias = node.alias or syntax.Identifier(_stem(node.module.name), span=node.module.span)
                members = self._imported(node.module, module).exports
                _bind(alias, Namespace(alias.text, members), module, spans)
            case syntax.Expect():
                module.expectations.append(node)

    def _from(self, node: syntax.FromImport, module: Module, spans: dict[str, Span]) -> None:
        source = self._imported(node.module, module)
        for item in node.names:
            if item.name.text not in source.exports:
                hint = nearest(item.name.text, source.exports)
                raise error("E604", f"`{source.name}` has no `{item.name.text}`", item.name.span, hint=hint)
            _bind(item.alias or item.name, source.exports[item.name.text], module, spans)

    def _imported(self, node: syntax.Module, module: Module) -> Module:
        if node.is_file:
            return self._beside(node, module)
        if node.name != "std" and not node.name.startswith("std."):
            hint = 'a file is imported by its path, "./blocks.arch"; the standard library is `std`'
            raise error("E601", f"there is no module `{node.name}`", node.span, hint=hint)
        known = node.name == "std" or node.name.removeprefix("std.") in standard_names()
        return load_standard(node.name) if known else self.standard(node.name, node.span)

    def _beside(self, node: syntax.Module, module: Module) -> Module:
        """The file that stands at a path relative to the importing one. Raises E605."""
        if module.path is None:
            what = f"`{module.name}` is not a file, so it cannot import the file {node.span.text}"
            raise error("E605", what, node.span)
        if not node.name.endswith(".arch") or "\0" in node.name:
            raise error("E605", "only `.arch` files can be imported", node.span)
        shown = os.path.normpath(Path(module.name).parent / node.name)
        return self.file(module.path.parent / node.name, shown, node.span)


def _seen_from(problem: ArchitraveError, shown: str, span: Span | None) -> ArchitraveError:
    """The error of a file as the file that imports it sees it."""
    return problem if span is None else problem.with_trail(Note(f"`{shown}`", span))


@cache
def _core() -> Module:
    module = Module("std", parse(Source("std", "")))
    for name in CORE:
        module.exports.update(load_standard(f"std.{name}").exports)
    return module


def _export(name: syntax.Identifier, value: Any, module: Module, spans: dict[str, Span]) -> None:
    _bind(name, value, module, spans)
    module.exports[name.text] = value


def _bind(name: syntax.Identifier, value: Any, module: Module, spans: dict[str, Span]) -> None:
    earlier = spans.get(name.text)
    if earlier is not None:
        raise error(
            "E203", f"`{name.text}` is declared twice", name.span, notes=[Note("it was declared here", earlier)]
        )
    spans[name.text] = name.span
    module.globals[name.text] = value


def _constant(node: syntax.Const, module: Module) -> Any:
    from architrave.dsl.elaborate.binding import check_static

    frame = Frame(Build(), {}, module.globals, Place(""), Names())
    # What evaluation marks nodes with ends with it.
    with marked(), elaborating(node.span):
        value = evaluate(node.value, frame)
        if isinstance(node.type, syntax.NamedType):
            check_static(node.type.name, value, f"`{node.name.text}`", node.value.span)
    return value


def _stem(name: str) -> str:
    return Path(name).stem if name.endswith(".arch") else name.rpartition(".")[2]


def read(path: Path, shown: str, span: Span | None = None) -> str:
    """The text of a file. Raises E106, E606 and E607 where it is too large, missing or not text."""
    if not os.path.isfile(path):
        known: Iterable[str] = (p.name for p in path.parent.glob("*.arch")) if os.path.isdir(path.parent) else ()
        raise error("E606", f"there is no file {shown}", span, hint=nearest(path.name, known))
    try:
        if path.stat().st_size > 4 * MAX_SIZE:
            raise error("E106", f"{shown} has {path.stat().st_size:,} bytes; the limit is {4 * MAX_SIZE:,}", span)
        return path.read_text("utf-8")
    except UnicodeDecodeError as problem:
        raise error(
            "E607", f"{shown} is not UTF-8: byte {problem.start} is {problem.object[problem.start]:#04x}", span
        ) from None
    except OSError as problem:
        raise error("E606", f"{shown} cannot be read: {problem.strerror}", span) from None
