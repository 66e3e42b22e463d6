"""Networks as timm builds and re-parameterizes them, and ours with the same weights."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

import architrave
from architrave.ir.graph import Graph
from architrave.weights import Weights, fit

torch = pytest.importorskip("torch")
pytest.importorskip("tests.reparam.torchvision_ops")
timm = pytest.importorskip("timm")

OURS = {
    "repvgg_a0": "RepVGGA0",
    "mobileone_s0": "MobileOneS0",
    "repvit_m0_9": "RepViTM09",
    "fastvit_t8": "FastViTT8",
}
"""The name of a network here, by its name there."""


def timm_case(name: str, size: int = 64) -> tuple[Graph, Weights, Any]:
    """Our graph for square images of `size`, its weights in float64, and timm's network, which holds the same ones."""
    theirs = randomised(name)
    graph = architrave.load(OURS[name], size=size)
    # `fit` is strict: a key too many or too few, or another shape, is an error.
    weights = fit({key: value.numpy() for key, value in theirs.state_dict().items()}, graph, "float64")
    return graph, weights, theirs


@cache
def randomised(name: str, **options: Any) -> Any:
    """timm's network as it is trained, in float64 and for inference, with every weight and statistic drawn anew.

    What starts as zero or one would hide a mistake.
    """
    network = timm.create_model(name, pretrained=False, **options).double().eval().requires_grad_(requires_grad=False)
    generator = torch.Generator().manual_seed(0)
    for key, value in network.state_dict().items():
        if not value.is_floating_point():
            continue
        noise = torch.randn(value.shape, generator=generator, dtype=torch.float64)
        fan_in = value[0].numel()
        if key.endswith("running_var"):
            value.copy_(noise.abs() + 0.5)
        elif key.endswith("gamma"):  # what scales a residual is small, or rounding grows from block to block
            value.copy_(0.2 * noise)
        elif fan_in == 1:
            value.copy_(1 + 0.2 * noise)
        else:
            value.copy_(noise * fan_in**-0.5)
    return network


def reparameterized(name: str) -> Any:
    """timm's network with its branches merged, by timm. A copy: `randomised` stays as it was."""
    precision = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # some of the layers that timm makes take this, and not that of the old ones
    try:
        merged = timm.utils.reparameterize_model(randomised(name), inplace=False)
    finally:
        torch.set_default_dtype(precision)
    return merged.eval().requires_grad_(requires_grad=False)
