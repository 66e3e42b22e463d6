"""How PyTorch writes each operator."""

from architrave.backends.base import Rules
from architrave.backends.torch.rules.axes import axes
from architrave.backends.torch.rules.bits import bits
from architrave.backends.torch.rules.elementwise import elementwise
from architrave.backends.torch.rules.formats import formats
from architrave.backends.torch.rules.fourier import fourier
from architrave.backends.torch.rules.functions import functions
from architrave.backends.torch.rules.integer import integer
from architrave.backends.torch.rules.layers import layers
from architrave.backends.torch.rules.linalg import linalg
from architrave.backends.torch.rules.low_bit import low_bit
from architrave.backends.torch.rules.quantize import quantize
from architrave.backends.torch.rules.windows import windows

rules = Rules.joined(
    elementwise, functions, axes, bits, formats, fourier, integer, layers, linalg, low_bit, quantize, windows
)

__all__ = ["rules"]
