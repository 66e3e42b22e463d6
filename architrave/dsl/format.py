"""The canonical layout of `.arch` text.

The formatter works on tokens, not on the tree, so that comments stay where they were. It decides the spaces, the
indentation and the blank lines; where lines break inside a statement is the writer's choice, with these limits:

- a bracket that holds a break begins and ends its lines with the brackets themselves;
- a pipe with one break has one stage per line, the arrows below the first one;
- a line longer than `WIDTH` breaks at its pipe, else at the commas of its outermost bracket.
"""

from __future__ import annotations

from architrave.dsl.items import read_items
from architrave.dsl.layout import Layout, Line
from architrave.dsl.parser import parse
from architrave.ir.source import Source

WIDTH = 100
IMPORTS = ("from", "import")


def format_source(source: Source) -> str:
    """The same program in the canonical layout; formatting twice changes nothing more.

    Raises `ArchitraveError` where the text does not parse.
    """
    parse(source)
    items = read_items(source)
    forced: set[int] = set()
    while True:
        lines = Layout(items, forced).run()
        remedies = {remedy for line in lines if len(line.text) > WIDTH for remedy in line.remedies[:1]} - forced
        if not remedies:
            return assemble(lines)
        forced |= remedies


def assemble(lines: list[Line]) -> str:
    """The text, with a blank line after each declaration of several lines and after the imports."""
    kind, code_lines = "", 0
    for line in lines:
        if line.starts_declaration:
            ends_imports = kind in IMPORTS and line.starts_declaration not in {*IMPORTS, "END"}
            line.blank_before = line.blank_before or code_lines > 1 or ends_imports
            kind, code_lines = line.starts_declaration, 0
        if not line.is_comment:
            code_lines += line.text.count("\n") + 1
    return "".join("\n" * (line.blank_before and i > 0) + line.text + "\n" for i, line in enumerate(lines))
