"""Running commands inside the test's process, in an empty folder with one file of a new user."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from architrave import init, loads
from architrave.cli.app import run
from architrave.weights import save

NET = '''"""A perceptron."""
from std.linear import linear

model Net(classes: int = 3, width: int = 8)(x: [N, 4]) -> [N, classes] {
    """Two layers."""
    return x -> hidden: linear(width) -> relu -> head: linear(classes)
}

expect Net: params == 67
expect Net(classes = 2): output == [N, 2]
'''

TWO = """from std.linear import linear

model A()(x: [N, 4]) -> [N, 2] = x -> head: linear(2)

model B(width: int = 8)(x: [N, T, 4]) -> [N, T, width] {
    y = x -> head: linear(width)
    return y -> choice act { relu: relu, gelu: gelu }
}

expect A: params == 11
expect B: params == 40
"""


FEW = """from std.linear import linear

model Few()(x: [N, 4]) -> [N, 3] {
    width = choice width { few: 4, some: 8, many: 16 }
    return x -> hidden: linear(width) -> choice act { relu: relu, tanh: tanh } -> head: linear(3)
}
"""

LETTERS = """from std import embedding, linear

model Letters()(text: i64[N, 8]) -> [N, 8, 3] = text -> table: embedding(3, 4) -> head: linear(3)
"""


@dataclass(frozen=True)
class Outcome:
    """What a command came to."""

    code: int
    out: str
    err: str

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


Cli = Callable[..., Outcome]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: net.arch is sound, two.arch has two models, and one of its expectations fails.

    few.arch has choices. points.npz has examples for it and for the first; letters.arch is a network over the
    characters a, b and c, with its weights.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.arch").write_text(NET, encoding="utf-8")
    (tmp_path / "two.arch").write_text(TWO, encoding="utf-8")
    (tmp_path / "few.arch").write_text(FEW, encoding="utf-8")
    (tmp_path / "letters.arch").write_text(LETTERS, encoding="utf-8")
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "points.npz", x=rng.normal(size=(40, 4)).astype("f4"), labels=rng.integers(0, 3, 40))
    weights = init(loads(LETTERS))
    save(tmp_path / "letters.safetensors", weights, {"labels": '["a", "b", "c"]'})
    return tmp_path


@pytest.fixture
def cli(folder: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    """`cli("check", "net.arch")` runs a command."""

    def invoke(*arguments: str) -> Outcome:
        capsys.readouterr()
        code = run(arguments)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return invoke
