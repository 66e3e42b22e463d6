"""How PyTorch writes each operator."""

from architrave.backends.base import Rules
from architrave.backends.torch.rules.axes import axes
from architrave.backends.torch.rules.elementwise import elementwise
from architrave.backends.torch.rules.layers import layers

rules = Rules.joined(elementwise, axes, layers)

__all__ = ["rules"]
