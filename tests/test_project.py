"""Rules that hold for the project as a whole, each in the words of docs/architecture.md."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "architrave"
PYTHON_FILES = sorted(
    path
    for folder in ("architrave", "tests", "benchmarks", "examples")
    for path in (ROOT / folder).rglob("*.py")
    if "golden" not in path.parts
)
FRAMEWORKS = {"torch", "jax", "networkx"}


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("architrave", FRAMEWORKS | {"lark", "rich"}),
        ("architrave.ir", FRAMEWORKS | {"lark", "rich"}),
        ("architrave.dsl.parser", FRAMEWORKS | {"lark", "rich"}),
        ("architrave.backends", FRAMEWORKS | {"lark", "rich"}),
        ("architrave.cli", FRAMEWORKS | {"lark"}),
    ],
)
def test_importing_leaves_heavy_packages_alone(module: str, unwanted: set[str]) -> None:
    program = f"import sys, {module}; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert unwanted.isdisjoint(done.stdout.splitlines())


IMPORT_ONE_BY_ONE = """
import importlib, sys
unwanted = set(sys.argv[1].split(","))
for module in sys.argv[2:]:
    importlib.import_module(module)
    if unwanted & set(sys.modules):
        sys.exit(f"{module} imports {unwanted & set(sys.modules)}")
"""


def test_no_module_imports_a_framework_when_imported() -> None:
    # A prelude is text for emitted programs, laid out as modules so that it is linted and tested: nobody imports it.
    paths = [path.relative_to(ROOT).with_suffix("").parts for path in sorted(PACKAGE.rglob("*.py"))]
    modules = [".".join(path).removesuffix(".__init__") for path in paths if not {"prelude", "__main__"} & set(path)]
    command = [sys.executable, "-c", IMPORT_ONE_BY_ONE, ",".join(FRAMEWORKS), *modules]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_files_are_split_by_subject() -> None:
    long = [path for path in PYTHON_FILES if len(path.read_text(encoding="utf-8").splitlines()) > 400]
    assert names(long) == []


def test_modules_are_named_after_what_they_hold() -> None:
    vague = [
        path for path in PYTHON_FILES if {"utils", "util", "helpers", "common", "misc"} & {path.stem, path.parent.name}
    ]
    assert names(vague) == []


def test_every_package_folder_is_a_package() -> None:
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert names(sorted(folder for folder in folders if not (folder / "__init__.py").exists())) == []


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=False, cwd=ROOT)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    tracked = [ROOT / name for name in listed.stdout.split("\0") if name]
    # Assembled, so that this file does not name them.
    roots = [f"/{folder}/".encode() for folder in ("home", "root", "Users", "work", "opt", "workspace")]
    guilty = [path for path in tracked if path.is_file() and any(root in path.read_bytes() for root in roots)]
    assert names(guilty) == []


@pytest.mark.parametrize(
    "path", sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]), ids=lambda path: path.name
)
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8"))
    assert [target for target in targets if not (path.parent / target).exists()] == []
