"""`architrave ops --matrix`: every operator, by its samples, on every backend."""

from typing import Any

import pytest

from architrave.backends.agree import matrix as matrices
from architrave.backends.base import names
from architrave.ir.op import OPS, Op
from tests.cli.conftest import Cli

SOME = ("input", "choice", "scan", "floor", "take", "softmax", "inverse", "complex", "logical_and")


def test_no_operator_has_a_hole(cli: Cli) -> None:
    outcome = cli("ops", "--matrix", "--json", *SOME)
    cells = outcome.json()["cells"]
    assert outcome.code == 0
    assert len(cells) == len(SOME) * 3 * 2 * (len(names()) + 1)
    assert all(cell["reason"] or cell["passed"] == cell["samples"] > 0 for cell in cells)


@pytest.mark.parametrize(
    ("op", "dtype", "direction", "reason"),
    [
        ("input", "f64", "forward", "a leaf"),
        ("floor", "f32", "gradient", "none by definition"),
        ("logical_and", "f32", "gradient", "none by definition"),
        ("logical_and", "f64", "forward", "integers"),
        ("complex", "bf16", "forward", "no such complex numbers"),
        ("take", "f32", "gradient", None),
    ],
)
def test_what_does_not_apply_says_why(op: str, dtype: str, direction: str, reason: str | None) -> None:
    named = {"f32": "float32", "f64": "float64", "bf16": "bfloat16"}
    cells = [c for c in matrices.matrix([OPS[op]], ("numpy",), [named[dtype]]) if c.direction == direction]
    assert [(c.witness, c.reason, c.ok) for c in cells] == [("numpy", reason, True), ("oracle", reason, True)]


def test_a_sample_that_does_not_pass_is_a_hole(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(self: Op, operands: Any, results: Any, cotangents: Any) -> Any:
        return (cotangents[0] * 1.5,)

    monkeypatch.setattr(OPS["tanh"], "gradient", wrong)
    outcome = cli("ops", "--matrix", "tanh")
    assert outcome.code == 1
    assert "is not the slope there: tanh in f32 on oracle, gradient" in outcome.out
    assert "0 holes" not in outcome.out


def test_an_operator_without_samples_is_a_hole(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OPS["tanh"], "samples", lambda: iter(()))
    outcome = cli("ops", "--matrix", "tanh")
    assert outcome.code == 1
    assert "there are no samples: tanh in f32 on numpy, forward" in outcome.out


@pytest.mark.slow
@pytest.mark.parametrize("name", OPS)
def test_the_matrix_has_no_hole(name: str) -> None:
    holes = [cell for cell in matrices.matrix([OPS[name]], names()) if not cell.ok]
    assert holes == []
