"""The digits networks with a tenth of their weights: what they lose at once, and what training on gives back."""

import pytest

from architrave.sparsity.scores.plan import Plan
from benchmarks.digits_sparse import ERK, NETWORKS, Digits, row

pytest.importorskip("sklearn")


def test_a_network_learns_with_a_tenth_of_its_weights() -> None:
    dense = Digits.untrained("mlp").trained(epochs=4, rate=5e-3)
    once = dense.at_once(Plan(0.1, distribution="global"))
    tuned = dense.gradually(ERK, 0.0, 0.5, epochs=10, rate=5e-3, warmup=0, decay=0.0)
    assert once.density == tuned.density == 947 / 9472
    assert dense.density == 1
    assert dense.accuracy > 0.95
    assert once.accuracy < dense.accuracy - 0.05
    assert tuned.accuracy > dense.accuracy - 0.02


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_digits_are_told_apart_by_a_tenth_of_the_weights(name: str) -> None:
    found = row(name)
    assert found["tuned"] >= found["dense"] - 0.01
    assert found["2:4"] >= found["dense"] - 0.01
    assert found["tuned"] > found["at once"]
