"""Preludes: functions that emitted programs carry along, copied by their source text where they are used.

A prelude is a folder of ordinary Python files. What they import from one another is copied too; what they import
from elsewhere becomes an import of the program. Nothing in it is run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class Definition:
    """A function, class or constant of a prelude: its text, and the names it uses."""

    text: str
    uses: tuple[str, ...]


@dataclass(frozen=True)
class Prelude:
    """The definitions of a folder and of `files` elsewhere, read when first needed."""

    folder: Path
    files: tuple[Path, ...] = ()

    @cached_property
    def definitions(self) -> Mapping[str, Definition]:
        """Everything that can be copied, by name. Raises ValueError where two files define one name differently."""
        found: dict[str, Definition] = {}
        for text, module in self._modules:
            lines = text.splitlines()
            for name, definition in (pair for s in module.body for pair in _definitions(s, lines)):
                if found.setdefault(name, definition) != definition:
                    raise ValueError(f"the prelude in {self.folder} defines `{name}` twice")
        return found

    @cached_property
    def imports(self) -> Mapping[str, str]:
        """For a name that the files import from elsewhere, the statement that imports it."""
        found: dict[str, str] = {}
        for _, module in self._modules:
            for statement in module.body:
                found.update(_imports(statement))
        return found

    @cached_property
    def _modules(self) -> list[tuple[str, ast.Module]]:
        texts = [path.read_text(encoding="utf-8") for path in (*sorted(self.folder.glob("*.py")), *self.files)]
        return [(text, ast.parse(text)) for text in texts]

    def copied(self, names: Iterable[str]) -> tuple[list[str], list[str]]:
        """The imports and the texts that `names` need, each after what it uses itself."""
        order: dict[str, None] = {}
        pending = [(name, False) for name in reversed(list(names))]
        while pending:
            name, ready = pending.pop()
            if ready:
                order[name] = None
            elif name not in order:
                pending.append((name, True))
                pending += [(n, False) for n in self.definitions[name].uses if n in self.definitions and n != name]
        used = {n for name in order for n in self.definitions[name].uses}
        return _joined(self.imports[name] for name in sorted(used & self.imports.keys())), [
            self.definitions[name].text for name in order
        ]


def _definitions(statement: ast.stmt, lines: list[str]) -> Iterator[tuple[str, Definition]]:
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            first = min([statement.lineno, *(d.lineno for d in statement.decorator_list)])
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            first = statement.lineno
        case _:
            return
    text = "\n".join(lines[first - 1 : statement.end_lineno])
    names = (node.id for node in ast.walk(statement) if isinstance(node, ast.Name))
    yield name, Definition(text, tuple(dict.fromkeys(names)))


def _joined(imports: Iterable[str]) -> list[str]:
    """The statements, with those that import from one module as one."""
    groups: dict[str, list[str]] = {}
    for statement in imports:
        head, _, name = statement.partition(" import ")
        groups.setdefault(head, []).append(name)
    return sorted(f"{head} import {', '.join(names)}" if names[0] else head for head, names in groups.items())


def _imports(statement: ast.stmt) -> Iterator[tuple[str, str]]:
    match statement:
        case ast.Import(names=names):
            yield from ((a.asname or a.name.partition(".")[0], f"import {ast.unparse(a)}") for a in names)
        case ast.ImportFrom(module=str(module), names=names) if not module.startswith(("architrave", "__future__")):
            yield from ((a.asname or a.name, f"from {module} import {ast.unparse(a)}") for a in names)
        case _:
            return
