"""A digits network with half its parameters: what it loses when it is cut down, and what training on gives back."""

import pytest

from architrave.ir import cost
from benchmarks.digits_factorized import cut
from benchmarks.digits_quantized import Digits

pytest.importorskip("sklearn")


def test_a_network_with_half_its_parameters_learns_on() -> None:
    network = Digits.untrained("mlp").trained(epochs=4, rate=5e-3)
    small, _ = cut(network, "alds", 0.5)
    tuned = small.trained(epochs=2, rate=1e-3)
    assert cost.parameters(small.graph) <= 0.5 * cost.parameters(network.graph)
    assert tuned.accuracy >= max(small.accuracy - 0.01, network.accuracy - 0.03)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["alds", "svd"])
def test_a_residual_network_with_half_its_parameters_is_nearly_as_good(method: str) -> None:
    network = Digits.untrained("resnet").trained(epochs=8, rate=3e-3, warmup=40, decay=0.05)
    small, _ = cut(network, method, 0.5)
    assert small.trained(epochs=2, rate=1e-3).accuracy >= network.accuracy - 0.01


@pytest.mark.slow
def test_a_large_network_is_cut_down() -> None:
    """ResNet-50 with random weights, whose singular values fall slowly."""
    import architrave
    from architrave.factorize import Plan, factorize

    network = architrave.load("resnet50")
    found = factorize(network, architrave.init(network), Plan("alds", keep=0.5))
    assert found.after["parameters"] <= 0.5 * 25_557_032
    assert all(cut.bound <= found.level for cut in found.cuts)
