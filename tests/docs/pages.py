"""The fenced blocks of a page, as the tests of the pages read them."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from architrave.backends.base import backend
from architrave.models import find_in_text

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial.md"
README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"

_FENCE = re.compile(
    r"(?:^<!-- (?P<note>[^\n]*?) -->\n)?^```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Fence:
    """A fenced block. `note` is the text of a comment on the line above it; `start` and `stop` bound the text."""

    kind: str
    options: tuple[str, ...]
    note: str
    text: str
    start: int
    stop: int

    @property
    def file(self) -> str | None:
        """The name of the file that a block is: its first line is a comment with nothing but that name."""
        found = re.match(r"# ([\w./-]+\.\w+)\n", self.text)
        return found[1] if found else None


def fences(page: str) -> list[Fence]:
    """The fenced blocks of a page's text that begin in the first column."""
    found: list[Fence] = []
    for match in _FENCE.finditer(page):
        kind, *options = match["info"].split() or [""]
        found.append(Fence(kind, tuple(options), match["note"] or "", match["text"], *match.span("text")))
    return found


def emitted(page: str) -> str:
    """The page with its excerpts of emitted programs as the compiler writes them today.

    `<!-- torch: Gated, Spirals -->` above a block asks for these definitions of the PyTorch program of the page's
    first whole `.arch` file, `<!-- ir -->` for its graph.
    """
    blocks = fences(page)
    source = next(block for block in blocks if block.kind == "arch" and "model " in block.text)
    for block in reversed(blocks):
        if block.note:
            page = page[: block.start] + _excerpt(source, block.note) + page[block.stop :]
    return page


def _excerpt(source: Fence, note: str) -> str:
    graph = find_in_text(source.text, name=source.file or "tiny.arch").elaborate({}).graph
    if note == "ir":
        return str(graph)
    name, _, wanted = note.partition(": ")
    return _definitions(backend(name).emit(graph), wanted.split(", "))


def _definitions(program: str, names: list[str]) -> str:
    lines = program.split("\n")
    found: dict[str, str] = {}
    for node in ast.parse(program).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            found[node.name] = "\n".join(lines[first - 1 : node.end_lineno])
    return "\n\n\n".join(found[name] for name in names) + "\n"
