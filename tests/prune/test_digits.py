"""Digits networks with half of their multiply-adds: what they lose, and what training on gives back."""

import pytest

from benchmarks.digits_pruned import pruned
from benchmarks.digits_quantized import NETWORKS, Digits, settings

pytest.importorskip("sklearn")


def test_half_a_network_tells_digits_apart() -> None:
    network = Digits.untrained("mlp").trained(epochs=5, rate=5e-3)
    found = pruned(network, "magnitude", epochs=3)
    assert found.macs[1] <= 0.5 * found.macs[0]
    assert found.after["accuracy"] >= found.before["accuracy"] - 0.01


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_half_of_each_network_loses_less_than_a_point(name: str) -> None:
    network = Digits.untrained(name).trained(**settings())
    found = pruned(network, "magnitude")
    assert found.macs[1] <= 0.5 * found.macs[0]
    assert found.after["accuracy"] >= found.before["accuracy"] - 0.01
