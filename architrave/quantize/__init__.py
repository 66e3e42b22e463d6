"""Quantization that needs data: programs that run, what is seen of their numbers, and what is chosen by it.

The passes (`architrave.passes`) put quantizers into a network and lower it to integers; what they round by comes from
here: weights in, weights out.
"""

from architrave.quantize.record import Recorder, unrounded

__all__ = ["Recorder", "unrounded"]
