"""Why the other operators of PyTorch's table have no rule: the first pattern that a name matches says it."""

from __future__ import annotations

import re

REASONS = (
    (
        r"_.*|torch\.ops.*|torch\._.*|native_.*|jiterator.*|.*_copy|bmm\.triton.*|hash_tensor",
        "inside PyTorch, or a copy",
    ),
    (r".*rand.*|normal.*|uniform|cauchy|exponential|geometric|log_normal|bernoulli|multinomial", "random numbers"),
    (r".*dropout.*|nn\.functional\.rrelu|.*fractional_max_pool.*|svd_lowrank|pca_lowrank", "random numbers"),
    (
        r"special\..*|i0|igamma.*|mvlgamma.*|nextafter|frexp|copysign|signbit|isreal",
        "special functions, and parts of floats",
    ),
    (
        r"masked.*|sparse.*|to_sparse|.*unique.*|nonzero.*|argwhere|.*bincount|hist.*|combinations|cartesian_prod|isin",
        "sizes or masks that values decide",
    ),
    (
        r"as_strided.*|.*_scatter|scatter_reduce.*|index_.*|put|fill|zero_|resize.*|.*_strided|set",
        "writing in place, and views of memory",
    ),
    (
        r"linspace.*|logspace.*|arange|eye|zeros|ones|full.*|empty.*|new_.*|scalar_tensor|tri[ul]_indices|unravel_index",
        "makes a tensor of numbers",
    ),
    (r"signal\..*|stft|istft|fft\..*", "transforms and windows that ours lacks"),
    (
        r"linalg\..*|lu.*|geqrf|ormqr|cholesky_.*|svd|triangular_solve|norm\.nuc|corrcoef|cov",
        "linear algebra that ours lacks, or whose signs are open",
    ),
    (
        r"bool|byte|char|short|half|bfloat16|c(double|float|half)|chalf|to|view_as_.*|mH|H",
        "casts to dtypes that are elsewhere compared",
    ),
    (r"item|equal|allclose|isclose|broadcast_shapes", "no tensor comes back"),
    (
        r".*loss|nn\.functional\.(kl_div|pdist|.*cross_entropy.*)",
        "losses of other conventions: tests/stdlib/test_losses.py",
    ),
    (r"nn\.functional\..*|grid_sampler.*|.*max_pool2d.*", "functions of networks that ours lacks"),
    (r"bitwise.*|gcd|lcm|__r(and|or|xor)__", "operators on integers alone"),
    (r".*", "ours lacks it"),
)


def reason(name: str) -> str:
    """Why an operator is not mapped."""
    return next(why for pattern, why in REASONS if re.fullmatch(pattern, name))
