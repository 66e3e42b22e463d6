"""docs/language.md is the definition of the language, so every example on it must parse, as on the other pages.
Its whole files are built, too, and their `expect` lines must hold.

An example's info string says what it is: `arch` a whole file, `arch declarations` a file that names things from
elsewhere, `arch statements` the body of a block, `arch expressions` and `arch types` one to a line.
"""

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from architrave.dsl.elaborate.model import elaborate
from architrave.dsl.expectations import check
from architrave.dsl.modules import load_file
from architrave.dsl.parser import parse
from architrave.ir.source import Source

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^(?P<indent> *)```arch *(?P<kind>\w*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    """A fenced block of a page. `line` is that of its first line of text, counted from 1."""

    page: str
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    def as_file(self) -> str:
        match self.kind:
            case "" | "declarations":
                return self.text
            case "statements":
                return f"block example()(x: [*S]) {{\n{textwrap.indent(self.text, '    ')}    return x\n}}\n"
            case "expressions":
                return "".join(f"const example_{i} = {line}\n" for i, line in enumerate(self.text.splitlines()))
            case "types":
                return "".join(f"fn example_{i}(x: {line}) = x\n" for i, line in enumerate(self.text.splitlines()))
            case _:
                raise ValueError(f"{self}: there is no kind of example called {self.kind!r}")


def examples(path: Path) -> list[Example]:
    page = path.read_text(encoding="utf-8")
    return [
        Example(path.name, page.count("\n", 0, found.start("text")) + 1, found["kind"], textwrap.dedent(found["text"]))
        for found in FENCE.finditer(page)
    ]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_fence_is_found(path: Path) -> None:
    assert len(examples(path)) == path.read_text(encoding="utf-8").count("```arch")


@pytest.mark.parametrize("example", [example for path in PAGES for example in examples(path)], ids=str)
def test_example_parses(example: Example) -> None:
    parse(Source(str(example), example.as_file()))


WHOLE = [example for example in examples(ROOT / "docs" / "language.md") if example.kind == ""]


@pytest.mark.parametrize("example", WHOLE, ids=str)
def test_whole_file_builds_and_keeps_its_promises(example: Example, tmp_path: Path) -> None:
    path = tmp_path / "example.arch"
    path.write_text(example.text, encoding="utf-8")
    module = load_file(path)
    for model in module.models.values():
        elaborate(model)
    assert [outcome.text for outcome in check(module) if not outcome.holds] == []
