"""docs/architecture.md names only what exists."""

import ast
import re
from functools import cache

import pytest

from architrave.dsl.elaborate.builtins import BUILTINS
from architrave.dsl.lexer import KEYWORDS
from architrave.ir.op import OPS
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "architecture.md"
PACKAGE = ROOT / "architrave"
TEXT = re.sub(r"^```.*?^```$", "", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
SPANS = sorted(set(re.findall(r"`([^`\n]+)`", TEXT)))
PATHS = [span for span in SPANS if re.fullmatch(r"[\w./-]+", span) and ("/" in span or re.search(r"\.\w{2,6}$", span))]
NAMES = [span for span in SPANS if re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)?", span) and span not in PATHS]
ELSEWHERE = {
    *("y", "down", "lambda", "def", "arch", "return", "utils", "helpers", "common", "misc"),  # what it talks about
    *("nn.Conv2d", "lax.scan", "lax.while_loop", "passes", "gradient"),  # of frameworks, and what is to come
    *("Half", "layer.0", "layer.1", "layer1.0.downsample.0.weight", "with"),  # of the example, and of others
}


@cache
def defined() -> frozenset[str]:
    """Every name that a module of the package defines: modules, functions, classes, fields and constants."""
    found = {path.stem for path in PACKAGE.rglob("*.py")} | {path.name for path in PACKAGE.rglob("*") if path.is_dir()}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                    found.add(name)
                case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                    found.add(name)
                case _:
                    pass
    return frozenset(found)


def exists(path: str) -> bool:
    """Whether a path of the repository, of the package, or the name of a file in it, is there."""
    found = (ROOT / path, PACKAGE / path, PACKAGE / "dsl" / path)
    return any(p.exists() for p in found) or ("/" not in path and any(PACKAGE.rglob(path)))


@pytest.mark.parametrize("path", [path for path in PATHS if path not in ELSEWHERE])
def test_the_path_exists(path: str) -> None:
    assert exists(path.rstrip("/")) or path == ".arch"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ELSEWHERE])
def test_the_name_is_defined(name: str) -> None:
    known = defined() | KEYWORDS | set(OPS) | set(BUILTINS) | {"architrave"}
    assert set(name.split(".")) <= known


def test_every_package_has_a_row() -> None:
    folders = [path for path in sorted(PACKAGE.iterdir()) if (path / "__init__.py").exists()]
    assert [f.name for f in folders if f"architrave/{f.name}" not in TEXT] == []
