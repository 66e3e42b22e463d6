"""Searching by a supernet on digits: members rank as they do when each is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("optuna", reason="optuna is not installed")
pytest.importorskip("sklearn", reason="the digits are scikit-learn's")

from architrave.cli.app import run
from architrave.search.study.run import Search, Worker
from architrave.search.study.settings import Settings
from tests.docs.pages import ROOT, fences

PAGE = (ROOT / "docs" / "supernets.md").read_text(encoding="utf-8")


def accuracies(settings: Settings) -> dict[tuple[tuple[str, str], ...], float]:
    with Search.of(settings) as search:
        Worker(search).run()
        return {tuple(one.member.items()): one.values["accuracy"] for one in search.results()}


def tau(a: Any, b: Any) -> float:
    """Kendall's rank correlation, tau-b."""
    x, y = (np.sign(np.subtract.outer(values, values)) for values in (a, b))
    return float((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum()))


@pytest.mark.slow
def test_members_rank_as_they_do_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = (block for block in fences(PAGE) if block.file == "space.arch")
    Path("space.arch").write_text(block.text, encoding="utf-8")
    given = "--data digits -b numpy --epochs 16 --batch 64 --rate 1e-2 -o supernet.safetensors --json"
    assert run(["supernet", "train", "space.arch", *given.split()]) == 0
    training: dict[str, Any] = {"data": "digits", "batch": 64, "rate": 1e-2, "backend": "numpy", "trials": 16}
    shared = accuracies(Settings("space.arch", strategy="grid", supernet="supernet.safetensors", **training))
    alone = accuracies(Settings("space.arch", strategy="grid", epochs=6, **training))
    assert shared.keys() == alone.keys()
    assert len(shared) == 16
    assert tau([*shared.values()], [alone[member] for member in shared]) >= 0.5
    assert min(shared, key=lambda member: shared[member]) == (("op.0", "skip"), ("op.1", "skip"))
