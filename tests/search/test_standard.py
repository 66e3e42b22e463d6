"""What papers say of their spaces."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import architrave
from architrave.ir.cost import parameters
from architrave.models import find
from architrave.search.space.costs import Costs
from tests.search.spaces import SPACES, costs


def test_images_shrink_from_layer_to_layer_in_hytra() -> None:
    found = Costs(find("HyTra"), {"classes": 5, "width": 16, "depth": 8, "size": 64}, {"N": 1})
    found.check()
    rng = np.random.default_rng(0)
    for member in (found.space.sample(rng) for _ in range(8)):
        nodes = found.member_graph(member).nodes
        images = [n for n in nodes if n.operands and n.types[0].rank == 4 and str(n.place).startswith("layer.")]
        sides = {str(n.place).split(".")[1]: n.types[0].shape[2] for n in images}
        order = [sides[str(i)] for i in range(8) if str(i) in sides]
        assert all(after in (before, before // 2) for before, after in pairwise(order))
        assert order[0] == 16
        assert order[-1] < 16


@pytest.mark.parametrize(
    ("width", "depth", "params"),
    [
        ("w1_0", "d1_0", 5_288_548),
        ("w1_0", "d1_1", 7_794_184),
        ("w1_1", "d1_2", 9_109_994),
        ("w1_2", "d1_4", 12_233_232),
        ("w1_4", "d1_8", 19_341_616),
        ("w1_6", "d2_2", 30_389_784),
        ("w1_8", "d2_6", 43_040_704),
        ("w2_0", "d3_1", 66_347_960),
    ],
)
def test_compound_scaling_gives_efficientnets(width: str, depth: str, params: int) -> None:
    assert parameters(architrave.load("EfficientNetScaling", {"width": width, "depth": depth})) == params


def test_smaller_members_are_slices_of_the_largest() -> None:
    """160 networks, of which the largest holds the weights of all."""
    found = costs("SortedNet")
    assert found.space.size == 160
    largest = found.space.decided({"width": "w8", "hidden": "h5", "depth": "d4"})
    whole = {w.op.path: w.shape for w in found.member_graph(largest).weights}  # type: ignore[attr-defined]  # weights
    for member in (found.space.member(n) for n in range(0, 160, 23)):
        for weight in found.member_graph(member).weights:
            assert all(a <= b for a, b in zip(weight.shape, whole[weight.op.path], strict=True))  # type: ignore[attr-defined]  # a weight


def test_skipped_layers_of_proxylessnas_cost_nothing() -> None:
    found = Costs(find("ProxylessNAS"), {"classes": 5, "width": 0.1, "stages": [(24, 3, 2)], "size": 16}, {"N": 1})
    member = found.space.decided({"layer.1": "skip", "layer.2": "skip"})
    shorter = Costs(find("ProxylessNAS"), {"classes": 5, "width": 0.1, "stages": [(24, 1, 2)], "size": 16}, {"N": 1})
    assert found.of(member) == shorter.of({"layer.0": member["layer.0"]})


@pytest.mark.parametrize("name", SPACES)
def test_a_random_member_runs(name: str) -> None:
    """Its first member, and that of PyTorch and JAX, is in tests/stdlib."""
    found = costs(name)
    member = found.space.sample(np.random.default_rng(1))
    report = architrave.verify(found.member_graph(member), ["numpy"], ["float64"], gradients=False)
    assert report.ok, str(report)


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES)
def test_backends_agree_on_random_members(name: str) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("jax")
    found, rng = costs(name), np.random.default_rng(0)
    for member in (found.space.sample(rng) for _ in range(3)):
        report = architrave.verify(found.member_graph(member), ["numpy", "torch", "jax"])
        assert report.ok, str(report)
