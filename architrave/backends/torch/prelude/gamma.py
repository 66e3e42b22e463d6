"""Derivatives of the gamma function as precise as float64 is, which PyTorch's own are not."""

import torch


def trigamma(x: torch.Tensor) -> torch.Tensor:
    """The second derivative of `log(gamma(x))`, for x above 0."""
    return torch.special.zeta(x.new_tensor(2), x)


class Digamma(torch.autograd.Function):
    """`torch.digamma`, with the slope of `trigamma`."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return torch.digamma(x)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, g: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return g * trigamma(x)


def digamma(x: torch.Tensor) -> torch.Tensor:
    """The derivative of `log(gamma(x))`."""
    return Digamma.apply(x)
