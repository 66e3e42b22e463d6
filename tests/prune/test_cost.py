"""What a cut network costs is known before it is made, exactly, on every standard network."""

from __future__ import annotations

import numpy as np
import pytest

import architrave
from architrave.ir.axes.groups import groups
from architrave.ir.axes.restrict import restricted
from architrave.ir.cost import multiply_adds, parameters
from architrave.prune import cost
from tests.stdlib.small import SMALL


@pytest.mark.parametrize("name", SMALL)
def test_cost_of_a_cut_network(name: str) -> None:
    network = architrave.load(name, **SMALL[name])
    found = groups(network)
    cut, sizes = found.cuttable, dict.fromkeys(network.symbols, 3)
    numbers, macs = cost.parameters(found, cut), cost.multiply_adds(found, cut, sizes)
    rng = np.random.default_rng(0)
    whole = np.array([group.size for group in cut], np.intp)
    assert (numbers(whole), macs(whole)) == (parameters(network), multiply_adds(network, sizes))
    kept = [np.arange(rng.integers(1, group.size + 1)) for group in cut]
    left = np.array([len(units) for units in kept], np.intp)
    smaller = restricted(found, dict(zip(cut, kept, strict=True)))
    assert (numbers(left), macs(left)) == (parameters(smaller), multiply_adds(smaller, sizes))
    assert cost.units(cut)(left) == left.sum()
