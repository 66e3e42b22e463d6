"""CONTRIBUTING.md, followed literally in a copy of the repository."""

import shutil
import tomllib
from pathlib import Path

import pytest

from tests.docs.following import follow
from tests.docs.pages import CONTRIBUTING, ROOT, fences

COPIED = ("architrave", "tests", "pyproject.toml")


def install(folder: Path, project: str) -> None:
    """What `pip install` writes of a project: its name and its entry points."""
    data = tomllib.loads(project)["project"]
    info = folder / f"{data['name'].replace('-', '_')}-{data['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {data['name']}\nVersion: {data['version']}\n")
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
        for group, points in data["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(groups))


def test_the_worked_examples_work(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("jax")
    ignored = shutil.ignore_patterns("__pycache__", ".hypothesis")
    for name in COPIED:
        source = ROOT / name
        copy = shutil.copy if source.is_file() else lambda a, b: shutil.copytree(a, b, ignore=ignored)
        copy(source, tmp_path / name)
    page = fences(CONTRIBUTING.read_text(encoding="utf-8"))
    (project,) = (block.text for block in page if block.kind == "toml")
    install(tmp_path / "listing", project)
    follow(CONTRIBUTING, tmp_path, [tmp_path, tmp_path / "listing"])
