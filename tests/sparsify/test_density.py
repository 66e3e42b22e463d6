"""How many numbers each weight keeps: exact sums, Erdős–Rényi densities, none above 1."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from architrave.ir import build
from architrave.ir.ops.leaves import Initial
from architrave.ir.source import ArchitraveError
from architrave.passes import apply
from architrave.sparsity.masks.density import DISTRIBUTIONS, counts, rounded, solved
from architrave.sparsity.masks.masked import Layer, layers
from tests.sparsify.networks import SMALL, digits, masked


def chain(widths: list[int]) -> list[Layer]:
    """The weights of linear layers one after another."""
    x = first = build.input("x", f"[N, {widths[0]}]")
    weights = []
    for i, (a, b) in enumerate(pairwise(widths)):
        weights.append(build.param(f"l{i}.weight", f"[{b}, {a}]", Initial("ones")))
        x = build.linear(x, weights[-1])
    return layers(apply(build.graph("chain", [first], [x]), "mask").graph)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@given(st.lists(st.integers(1, 40), min_size=2, max_size=6), st.integers(1, 1000))
def test_the_sum_is_exact_and_no_weight_keeps_more_than_it_has(
    distribution: str, widths: list[int], thousandths: int
) -> None:
    weights = chain(widths)
    found = counts(weights, thousandths / 1000, distribution)
    size = sum(layer.size for layer in weights)
    assert sum(found.values()) == round(size * thousandths / 1000) or thousandths * size % 1000 == 500
    assert all(0 <= found[layer.path] <= layer.size for layer in weights)


@pytest.mark.parametrize("name", ["mlp", "resnet", "vit", "lstm"])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("density", [0.02, 0.1, 0.5, 1.0])
def test_digits_networks_keep_exactly_their_share(name: str, distribution: str, density: float) -> None:
    weights = layers(masked(digits(name))[0])
    found = counts(weights, density, distribution)
    assert sum(found.values()) == round(density * sum(layer.size for layer in weights))


def test_erk_densities_follow_the_shapes_of_kernels() -> None:
    weights = layers(masked(SMALL)[0])
    sizes = {layer.path: layer.size for layer in weights}
    found = DISTRIBUTIONS["erk"](weights, sizes, 400)
    shapes = {
        "conv1.weight": (8, 4, 3, 3),
        "conv2.weight": (16, 8, 1, 1),
        "fc.weight": (32, 16),
        "head.weight": (10, 32),
    }
    free = {path: shape for path, shape in shapes.items() if found[path] < 1}
    ratio = {path: found[path] / (sum(shape) / math.prod(shape)) for path, shape in free.items()}
    assert max(ratio.values()) == pytest.approx(min(ratio.values()), rel=1e-12)
    assert sum(found[path] * size for path, size in sizes.items()) == pytest.approx(400)
    er = DISTRIBUTIONS["er"](weights, sizes, 400)
    assert er["conv1.weight"] / er["fc.weight"] == pytest.approx((12 / 32) / (48 / 512))


def test_what_would_be_above_one_is_dense_and_the_others_are_solved_again() -> None:
    weights = chain([100, 100, 2])
    sizes = {layer.path: layer.size for layer in weights}
    found = DISTRIBUTIONS["erk"](weights, sizes, 5100)
    assert found == {"l0.weight": pytest.approx((5100 - 200) / 10000), "l1.weight": 1.0}
    assert solved(weights, sizes, 10200, lambda layer: 1.0) == {"l0.weight": 1.0, "l1.weight": 1.0}


def test_the_last_weight_may_be_dense() -> None:
    weights = chain([64, 64, 10])
    assert counts(weights, 0.2, "erk+") == {"l0.weight": round(0.2 * 4736) - 640, "l1.weight": 640}
    assert counts(weights, 0.1, "erk+") == counts(weights, 0.1, "erk"), "where it has more than all may keep"


def test_each_rounds_what_goes_by_itself() -> None:
    weights = chain([3, 3, 5])
    assert counts(weights, 0.5, "each") == {"l0.weight": 9 - 4, "l1.weight": 15 - 8}
    assert counts(weights, 0.1, "each") == {"l0.weight": 1, "l1.weight": 15 - 14}


def test_largest_remainders_go_up() -> None:
    assert rounded({"a": 1.2, "b": 1.7, "c": 2.1}, 5) == {"a": 1, "b": 2, "c": 2}
    assert rounded({"a": 1.5, "b": 1.5}, 3) == {"a": 2, "b": 1}


@pytest.mark.parametrize(
    ("density", "distribution", "said"),
    [
        (0.0, "uniform", "above 0 and at most 1, not 0"),
        (1.01, "uniform", "above 0 and at most 1, not 1.01"),
        (math.nan, "each", "not nan"),
        (-0.5, "erk", "not -0.5"),
        (0.5, "erl", "did you mean"),
    ],
)
def test_what_there_is_not(density: float, distribution: str, said: str) -> None:
    with pytest.raises(ArchitraveError, match=said) as caught:
        counts(chain([3, 3]), density, distribution)
    assert caught.value.diagnostics[0].code == "E925"
