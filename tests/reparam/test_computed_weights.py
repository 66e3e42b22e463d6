"""Layers whose weight is computed: backends agree on them, and folding leaves plain layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest

from architrave.backends.agree.verification import verify
from architrave.ir.cost import parameters
from tests.reparam.computed import IMAGES, LAYERS, ROWS, drawn, folded, inputs_of, network, operators, value


class Case(NamedTuple):
    """A network, its number of parameters, and the operators beside its layers that folding leaves."""

    inputs: str
    body: str
    parameters: int
    rest: Sequence[str] = ()


def pooled(conv: str, linear: str) -> str:
    return f"x -> c: {conv} -> relu -> mean(axis = [2, 3]) -> fc: {linear}"


POOL = ("relu", "mean")
CASES = {
    "weight norm": Case(
        IMAGES,
        pooled("conv_of(6, weight_norm, 3, groups = 2)", "linear_of(3, weight_norm)"),
        (6 + 6 * 2 * 9 + 6) + (3 + 3 * 6 + 3),
        POOL,
    ),
    "spectral norm": Case(
        IMAGES,
        pooled("conv_of(6, spectral_norm, 3)", "linear_of(3, (s) => spectral_norm(s, steps = 3))"),
        (6 * 4 * 9 + 6) + (3 * 6 + 3),
        POOL,
    ),
    "weight standardization": Case(
        IMAGES,
        pooled(
            "conv_of(6, weight_standardization, [3, 1], stride = 2)",
            "linear_of(3, (s) => scaled_weight_standardization(s, 1.7))",
        ),
        (6 * 4 * 3 + 6) + (3 + 3 * 6 + 3),
        POOL,
    ),
    "batch-channel norm": Case(
        IMAGES,
        "x -> conv_of(6, weight_standardization, bias = false) -> batch_channel_norm(2) -> mean_only_batch_norm",
        6 * 4 * 9 + 4 * 6 + 6,
        ("batch_norm", "group_norm", "add", "subtract", "reshape"),
    ),
    "hypercomplex": Case(
        IMAGES, pooled("ph_conv(6, 2)", "ph_linear(3, 3)"), (6 * 4 * 9 // 2 + 2**3 + 6) + (3 * 6 // 3 + 3**3 + 3), POOL
    ),
    "quaternion": Case(
        IMAGES,
        pooled("conv_of(8, quaternion_weight, 1, padding = 0)", "linear_of(4, quaternion_weight)"),
        (8 * 4 // 4 + 8) + (4 * 8 // 4 + 4),
        POOL,
    ),
    "lora": Case(
        IMAGES,
        pooled("lora_conv2d(6, 3, 2, 4.0, stride = 2)", "lora_linear(3, 2, 0.5)"),
        (6 * 4 * 9 + 6 + 2 * 9 * (4 + 6)) + (3 * 6 + 3 + 2 * (3 + 6)),
        POOL,
    ),
    "cp": Case(IMAGES, "x -> c: cp_conv2d(5, 3, [3, 5], [2, 1], dilation = [1, 2])", 3 * (4 + 5 + 3 + 5) + 5),
    "lipschitz": Case(
        ROWS,
        "x -> lipschitz_mlp([5, 3], 2, 2.0)",
        (5 * 5 + 4 * 5 + 10) + (3 * 3 + 5 * 3 + 6) + (2 * 2 + 3 * 2 + 2),
        ("relu",),
    ),
    "mip, for numbers that are given": Case(
        ROWS,
        "(x, constant([0.3, 0.8])) -> mip_mlp([5, 2], [6])",
        (4 * 5 + 5 + 5 * 2 + 2) + (4 * 6 + 6) + (6 * 37 + 37),
        ("relu",),
    ),
    "dependency preserving": Case(
        ROWS,
        "x -> dp_mlp(1, 3, [5, 2], embedding = 3, chunk = 7, hidden = 4)",
        3 * 3 + 6 * 3 + 4 * 4 * (6 + 4 + 2) + (4 + 1) * 7,
        ("relu",),
    ),
}
by_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@pytest.mark.usefixtures("quick_jax")
@by_case
def test_the_backends_agree(case: Case) -> None:
    report = verify(network(case.body, case.inputs))
    assert report.ok, str(report)


@by_case
def test_parameters(case: Case) -> None:
    assert parameters(network(case.body, case.inputs)) == case.parameters


@by_case
def test_folding_leaves_plain_layers(case: Case) -> None:
    """Nothing of how a weight was made is left, and the function stays, in inference mode."""
    graph = network(case.body, case.inputs)
    weights, inputs = drawn(graph), inputs_of(graph)
    plain, new = folded(graph, weights)
    assert operators(plain) <= LAYERS.union(case.rest)
    np.testing.assert_allclose(value(plain, new, *inputs), value(graph, weights, *inputs), rtol=1e-6, atol=1e-12)
