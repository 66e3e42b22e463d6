"""The backends agree on every standard network: outputs, states and gradients, in training and in inference."""

from __future__ import annotations

import pytest

import architrave
from architrave.stdlib import models
from architrave.train.compare import compare_steps
from tests.stdlib.small import SMALL

pytest.importorskip("torch")

ONE_PER_FILE = sorted({module: name for name, module in models().items()}.values())


@pytest.mark.parametrize("name", sorted(SMALL))
def test_numpy_and_torch_agree(name: str) -> None:
    report = architrave.verify(architrave.load(name, **SMALL[name]), ["numpy", "torch"])
    assert report.ok, str(report)


@pytest.mark.usefixtures("quick_jax")
@pytest.mark.parametrize("name", ONE_PER_FILE)
def test_jax_agrees(name: str) -> None:
    graph = architrave.load(name, **SMALL[name])
    report = architrave.verify(graph, ["jax"], dtypes=["float64"], gradients=False)
    assert report.ok, str(report)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SMALL))
def test_all_backends_agree(name: str) -> None:
    pytest.importorskip("jax")
    report = architrave.verify(architrave.load(name, **SMALL[name]), ["numpy", "torch", "jax"])
    assert report.ok, str(report)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SMALL))
def test_training_steps_agree(name: str) -> None:
    pytest.importorskip("jax")
    report = compare_steps(architrave.load(name, **SMALL[name]), steps=20)
    assert report.ok, str(report)
