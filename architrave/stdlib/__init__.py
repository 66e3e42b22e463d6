"""The standard library, `.arch` files from papers, and the index of what they declare.

The models are found by scanning the files' text, so that naming one parses its own file alone. What the
compiler knows of them comes from `architrave.dsl`, which is imported when it is first needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from architrave.dsl import syntax


@dataclass(frozen=True)
class Paper:
    """A publication, as a docstring cites it: `Authors, "Title" (year)`."""

    title: str
    year: int

    def __str__(self) -> str:
        return f"{self.title} ({self.year})"


@dataclass(frozen=True)
class Entry:
    """Something that a module of the library declares.

    `kind` is "model", "block" or "fn"; `signature` what stands after the name, without the result;
    `papers` are those of its own docstring or, where that cites none, of its file's.
    """

    name: str
    kind: str
    module: str
    signature: str
    doc: str | None
    papers: tuple[Paper, ...]

    @property
    def summary(self) -> str:
        """The first sentence of the docstring, on one line."""
        return first_sentence(self.doc or "")


@cache
def modules() -> tuple[str, ...]:
    """The modules of the library: `std.attention`, `std.bert`, ..."""
    return tuple(f"std.{name}" for name in _texts())


@cache
def models() -> Mapping[str, str]:
    """The library's models, by name, and the module that declares each."""
    declared = re.compile(r"^(?:@.*\s)?model\s+(\w+)", re.MULTILINE)
    return MappingProxyType({n: f"std.{module}" for module, text in _texts().items() for n in declared.findall(text)})


@cache
def entries(module: str) -> tuple[Entry, ...]:
    """What a module declares, in the order of its file. Raises E601 where there is no such module."""
    from architrave.dsl.modules import load_standard

    file = load_standard(module).tree
    shared = papers(file.doc.text) if file.doc is not None else ()
    return tuple(_entry(tree, module, shared) for tree in _declarations(file))


@cache
def doc(module: str) -> str:
    """The docstring of a module's file. Raises E601 where there is no such module."""
    from architrave.dsl.modules import load_standard

    return load_standard(module).doc or ""


def papers(text: str) -> tuple[Paper, ...]:
    """The publications that a docstring cites, each once."""
    cited = re.findall(r'"([^"]+)" \((\d{4})\)', " ".join(text.split()))
    return tuple(dict.fromkeys(Paper(title, int(year)) for title, year in cited))


def first_sentence(text: str) -> str:
    """The first sentence of a docstring, on one line, without its full stop."""
    paragraph = " ".join(text.split("\n\n", 1)[0].split())
    return re.split(r"(?<=[\w`\")]{2})\.\s+(?=\W?[A-Z0-9])", paragraph, maxsplit=1)[0].removesuffix(".")


@cache
def _texts() -> Mapping[str, str]:
    files = (f for f in resources.files(__name__).iterdir() if f.name.endswith(".arch"))
    return {f.name.removesuffix(".arch"): f.read_text("utf-8") for f in sorted(files, key=lambda f: f.name)}


def _declarations(file: syntax.File) -> Iterator[syntax.Fn | syntax.Block]:
    from architrave.dsl.syntax import AnnotatedDeclaration, Block, Fn

    for declaration in file.declarations:
        tree = declaration
        while isinstance(tree, AnnotatedDeclaration):
            tree = tree.declaration
        if isinstance(tree, Fn | Block):
            yield tree


def _entry(tree: syntax.Fn | syntax.Block, module: str, shared: tuple[Paper, ...]) -> Entry:
    from architrave.dsl.syntax import Fn, Model

    kind = "fn" if isinstance(tree, Fn) else "model" if isinstance(tree, Model) else "block"
    text = tree.doc.text if tree.doc is not None else None
    lists = [tree.parameters] if isinstance(tree, Fn) else [tree.static, tree.inputs]
    signature = "".join(f"({', '.join(map(_on_one_line, parameters))})" for parameters in lists)
    return Entry(tree.name.text, kind, module, signature, text, papers(text or "") or shared)


def _on_one_line(parameter: syntax.Parameter) -> str:
    return " ".join(parameter.span.text.split())
