"""docs/language.md is the definition of the language, so every example on it must parse.

An example's info string says what it is: `arch` a whole file, `arch declarations` a file that names things from
elsewhere, `arch statements` the body of a block, `arch expressions` and `arch types` one to a line.
"""

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "language.md"
FENCE = re.compile(r"^(?P<indent> *)```arch *(?P<kind>\w*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    """A fenced block of the page. `line` is that of its first line of text, counted from 1."""

    kind: str
    text: str
    line: int

    def __str__(self) -> str:
        return f"line {self.line}"

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
                raise ValueError(f"{PAGE.name}, line {self.line}: there is no kind of example called {self.kind!r}")


def examples(page: str) -> list[Example]:
    return [
        Example(found["kind"], textwrap.dedent(found["text"]), page.count("\n", 0, found.start("text")) + 1)
        for found in FENCE.finditer(page)
    ]


EXAMPLES = examples(PAGE.read_text(encoding="utf-8"))


def test_every_fence_is_found() -> None:
    assert len(EXAMPLES) == PAGE.read_text(encoding="utf-8").count("```arch")


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_example_parses(example: Example) -> None:
    parser = pytest.importorskip("architrave.dsl.parser", reason="the parser is being written")
    source = pytest.importorskip("architrave.ir.source")
    parser.parse(source.Source(f"{PAGE.name}:{example.line}", example.as_file()))
