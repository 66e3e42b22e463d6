"""The digits networks in few bits: what they lose when they are rounded, and what training on gives back."""

import pytest

from architrave.passes.quantize.rounding.sites import activation_sites, weight_sites
from benchmarks.digits_quantized import NETWORKS, Digits, row

pytest.importorskip("sklearn")


def test_a_network_learns_in_four_bits() -> None:
    network = Digits.untrained("mlp").trained(epochs=4, rate=5e-3)
    rounded = network.rounded(2)
    again = rounded.trained(epochs=2, rate=1e-3)
    assert network.accuracy > 0.95
    assert network.rounded(8).lowered().accuracy >= network.accuracy - 0.005
    assert network.rounded(4).accuracy >= network.accuracy - 0.02
    assert again.accuracy > max(0.9, rounded.accuracy)
    scales = [site.scale for site in (*weight_sites(rounded.graph), *activation_sites(rounded.graph))]
    assert all((again.weights[scale] != rounded.weights[scale]).any() for scale in scales)


def test_weights_in_loops_are_rounded() -> None:
    rounded = Digits.untrained("lstm").rounded(4)
    cells = [site.path for site in weight_sites(rounded.graph)]
    assert cells == [f"{way}.cell.weight_{of}" for way in ("down", "up") for of in ("ih", "hh")] + ["head.weight"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_digits_are_told_apart_in_few_bits(name: str) -> None:
    found = row(name)
    assert found["int8"] >= found["float"] - 0.005
    assert found["4-bit QAT"] >= found["float"] - 0.01
    assert found["2-bit QAT"] > found["2-bit PTQ"]
