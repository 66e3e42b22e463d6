"""Every standard network goes through all of it, and NumPy and PyTorch then give the same bytes."""

from __future__ import annotations

import pytest

import architrave
from architrave.backends.agree.trial import trial
from architrave.cli.places import network_text
from architrave.ir.initializers import init
from architrave.quantize import MSE, ptq
from architrave.quantize.plan import Plan
from architrave.train import Dataset
from tests.stdlib.small import SMALL


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_integers_agree(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr(ptq, "names", lambda: ("numpy", "torch"))
    network = architrave.load(name, **SMALL[name])
    data = Dataset(tuple(trial(network, dict.fromkeys(network.symbols, 6), 0, "float32").inputs))
    options = Plan(integer=True, functions=True, examples=6, batch=3, backend="numpy", observer=MSE())
    found = ptq.quantize(network, init(network, 0), data, options)
    assert found.agreement.ok
    assert all(layer.output.decibels > 8 for layer in found.layers)
    assert all(entry.reason for entry in found.declined)
    network_text(found.graph)  # raises where what it reads back as is another network
