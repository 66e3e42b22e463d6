"""Every pass of ours: importing this registers them. A new pass has its line here."""

from architrave.passes import hoist, mode
from architrave.passes.cleanup import constants, dead, duplicates, invariant, simplify
from architrave.passes.factorize import alds, cp, freeze, lora, svd, tucker
from architrave.passes.quantize.bits import binary, mst
from architrave.passes.quantize.integers import blockwise, blockwise_integer, integer
from architrave.passes.quantize.products import l_mul, mx
from architrave.passes.quantize.rounding import freeze_norm, insert, ranges
from architrave.passes.quantize.weights import codebook, equalize, weight_only
from architrave.passes.reparam import (
    conv_to_linear,
    crms_norm,
    expand,
    merge,
    mpbn,
    pre_layer_norm,
    pre_rmsnorm,
)
from architrave.passes.sparsify import ensemble, mask, scap, skip_zeros, sparse, topk_activations
from architrave.passes.structure import cut, drop, grow_branches, grow_deeper, grow_wider

__all__ = [
    "alds",
    "binary",
    "blockwise",
    "blockwise_integer",
    "codebook",
    "constants",
    "conv_to_linear",
    "cp",
    "crms_norm",
    "cut",
    "dead",
    "drop",
    "duplicates",
    "ensemble",
    "equalize",
    "expand",
    "freeze",
    "freeze_norm",
    "grow_branches",
    "grow_deeper",
    "grow_wider",
    "hoist",
    "insert",
    "integer",
    "invariant",
    "l_mul",
    "lora",
    "mask",
    "merge",
    "mode",
    "mpbn",
    "mst",
    "mx",
    "pre_layer_norm",
    "pre_rmsnorm",
    "ranges",
    "scap",
    "simplify",
    "skip_zeros",
    "sparse",
    "svd",
    "topk_activations",
    "tucker",
    "weight_only",
]
