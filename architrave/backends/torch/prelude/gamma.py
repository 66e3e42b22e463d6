"""Derivatives of the gamma function as precise as float64 is, which PyTorch's own are not."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from typing import Any

import torch


def trigamma(x: torch.Tensor) -> torch.Tensor:
    """The second derivative of `log(gamma(x))`, for x above 0."""
    slope: torch.Tensor = torch.special.zeta(x.new_tensor(2), x)
    return slope


class Digamma(torch.autograd.Function):
    """`torch.digamma`, with the slope of `trigamma`."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x.digamma()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return grad_outputs[0] * trigamma(x)
