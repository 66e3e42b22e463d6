"""Every pass of ours: importing this registers them. A new pass has its line here."""

from architrave.passes import hoist, mode
from architrave.passes.cleanup import constants, dead, duplicates, invariant, simplify
from architrave.passes.quantize import (
    binary,
    codebook,
    equalize,
    freeze_norm,
    insert,
    integer,
    l_mul,
    mst,
    mx,
    ranges,
    weight_only,
)
from architrave.passes.reparam import (
    conv_to_linear,
    cp_conv,
    crms_norm,
    expand,
    merge,
    mpbn,
    pre_layer_norm,
    pre_rmsnorm,
)

__all__ = [
    "binary",
    "constants",
    "codebook",
    "conv_to_linear",
    "cp_conv",
    "crms_norm",
    "dead",
    "duplicates",
    "equalize",
    "expand",
    "freeze_norm",
    "hoist",
    "insert",
    "integer",
    "invariant",
    "l_mul",
    "merge",
    "mode",
    "mpbn",
    "mst",
    "mx",
    "pre_layer_norm",
    "pre_rmsnorm",
    "ranges",
    "simplify",
    "weight_only",
]
