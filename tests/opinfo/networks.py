"""Rules for the functions of `torch.nn.functional`: convolutions, pooling, norms, losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from architrave.ir import build as ops
from architrave.ir.graph import Value
from tests.opinfo.rules import as_pair, library, require, rules


def convolved(rank: int) -> Any:
    def conv(
        x: Value,
        weight: Value,
        bias: Value | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Value:
        require(x.rank == rank + 2, "an image without a batch")
        dilation = as_pair(dilation, rank)
        if padding == "same":
            lost = [d * (int(k) - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
            pairs = tuple((n // 2, n - n // 2) for n in lost)
        else:
            pairs = tuple((p, p) for p in as_pair(0 if padding == "valid" else padding, rank))
        return ops.conv(x, weight, bias, stride=as_pair(stride, rank), padding=pairs, dilation=dilation, groups=groups)

    return conv


def transposed(rank: int) -> Any:
    def conv(
        x: Value,
        weight: Value,
        bias: Value | None = None,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        dilation: Any = 1,
    ) -> Value:
        require(x.rank == rank + 2, "an image without a batch")
        return ops.conv_transpose(
            *(x, weight, bias),
            stride=as_pair(stride, rank),
            padding=tuple((p, p) for p in as_pair(padding, rank)),
            output_padding=as_pair(output_padding, rank),
            dilation=as_pair(dilation, rank),
            groups=groups,
        )

    return conv


def max_pooled(rank: int) -> Any:
    def pool(
        x: Value,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        require(not ceil_mode, "windows that stick out at the end")
        require(not return_indices or x.rank == rank + 2 or x.rank == rank + 1, "places")
        options = {
            "kernel": as_pair(kernel_size, rank),
            "stride": as_pair(kernel_size if stride is None or stride == () else stride, rank),
            "padding": tuple((p, p) for p in as_pair(padding, rank)),
            "dilation": as_pair(dilation, rank),
        }
        y = ops.max_pool(x, **options)
        return (y, ops.max_pool_places(x, **options)) if return_indices else y

    return pool


def avg_pooled(rank: int) -> Any:
    def pool(
        x: Value,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Value:
        require(not ceil_mode, "windows that stick out at the end")
        require(not divisor_override, "another number to divide by")
        return ops.avg_pool(
            x,
            kernel=as_pair(kernel_size, rank),
            stride=as_pair(kernel_size if stride is None or stride == () else stride, rank),
            padding=tuple((p, p) for p in as_pair(padding, rank)),
            count_padding=count_include_pad,
        )

    return pool


def adaptive(name: str, rank: int) -> Any:
    def pool(x: Value, output_size: Any, return_indices: bool = False) -> Value:
        require(not return_indices, "places of adaptive windows")
        sizes = as_pair(output_size, rank) if output_size is not None else (None,) * rank
        size = tuple(n if s is None else s for s, n in zip(sizes, x.shape[-rank:], strict=True))
        return ops.call(name, x, size=size)

    return pool


def resized(mode: str) -> Any:
    def resize(
        x: Value,
        size: Any = None,
        scale_factor: Any = None,
        mode_: str = mode,
        align_corners: Any = None,
        recompute_scale_factor: Any = None,
        **named: Any,
    ) -> Value:
        require(not align_corners, "corners that are aligned")
        require(not named.get("antialias"), "smoothing before an axis shrinks")
        rank = x.rank - 2
        if size is not None:
            return ops.resize(x, size=as_pair(size, rank), mode=mode)
        factors = (scale_factor,) * rank if isinstance(scale_factor, int | float) else tuple(scale_factor)
        sizes = tuple(int(int(n) * f) for n, f in zip(x.shape[2:], factors, strict=True))
        exact = all(int(n) * f == m for n, f, m in zip(x.shape[2:], factors, sizes, strict=True))
        require(exact or bool(recompute_scale_factor), "a scale that is not that of the sizes")
        return ops.resize(x, size=sizes, mode=mode)

    return resize


def last_axes(x: Value, count: int) -> Value:
    """The last axes as one."""
    return x if count == 1 else ops.reshape(x, shape=(*x.shape[: x.rank - count], -1))


def _affine(weight: Any, bias: Any, eps: float) -> None:
    require(weight is not None or bias is None, "a bias without a weight")
    require(eps >= 0, "a negative epsilon")


def layer_normed(x: Value, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Value:
    count = len(shape)
    flat = [None if v is None else last_axes(v, count) for v in (x, weight, bias)]
    _affine(weight, bias, eps)
    return ops.reshape(ops.layer_norm(*flat, eps=eps), shape=x.shape)


def rms_normed(x: Value, shape: Any, weight: Any = None, eps: float | None = None) -> Value:
    require(eps is not None, "an epsilon of the dtype")
    require(eps >= 0, "a negative epsilon")
    count = len(shape)
    flat = [None if v is None else last_axes(v, count) for v in (x, weight)]
    return ops.reshape(ops.rms_norm(*flat, eps=eps), shape=x.shape)


def group_normed(x: Value, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Value:
    _affine(weight, bias, eps)
    return ops.group_norm(x, weight, bias, groups=groups, eps=eps)


def batch_normed(
    x: Value,
    mean: Any,
    var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Value:
    _affine(weight, bias, eps)
    require(x.rank > 1, "channels that are no axis")
    if training:
        axes = tuple(i for i in range(x.rank) if i != 1)
        mean, var = ops.moments(x, axes=axes)
    return ops.batch_norm(x, mean, var, weight, bias, eps=eps)


def instance_normed(
    x: Value, *arguments: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, **named: Any
) -> Value:
    require(named.get("use_input_stats", True), "the statistics of before")
    _affine(weight, bias, eps)
    require(not arguments, "the statistics of before")
    return ops.group_norm(x, weight, bias, groups=int(x.shape[1]), eps=eps)  # type: ignore[arg-type]


def attended(
    q: Value, k: Value, v: Value, mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False, **named: Any
) -> Value:
    require(dropout_p == 0, "dropout")
    mask = named.get("attn_mask", mask)
    require(not named.get("enable_gqa"), "heads that share keys")
    return ops.attention(q, k, v, mask, causal=is_causal, scale=named.get("scale"))


def sampled(
    x: Value, grid: Value, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: Any = None
) -> Value:
    modes = {"bilinear": "linear", "nearest": "nearest", "bicubic": "cubic"}
    return ops.grid_sample(x, grid, mode=modes[mode], padding=padding_mode, align_corners=bool(align_corners))


def entropy(
    x: Value,
    target: Value,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    **named: Any,
) -> Value:
    require(target.dtype.is_integer, "targets that are probabilities")
    axis = 1 if x.rank > 1 else 0
    return ops.cross_entropy(
        x, target, weight, axis=axis, ignore=ignore_index, label_smoothing=label_smoothing, reduction=reduction
    )


def loss(name: str, options: str = "") -> Any:
    """A loss of the standard library, of two tensors of one shape."""

    def of_two(x: Value, y: Value, reduction: str = "mean", **named: Any) -> Value:
        require(x.shape == y.shape, "a target that is broadcast")
        require(named.get("beta") != 0, "a width of 0, for which it is another loss")
        given = options.format(**{"beta": 1.0, "delta": 1.0} | named)
        return library(f'{name}(a, b{given}, reduction = "{reduction}")', x, y, module="std.loss")

    return of_two


def with_logits(x: Value, y: Value, weight: Any = None, pos_weight: Any = None, reduction: str = "mean") -> Value:
    require(weight is None and pos_weight is None, "weights")
    return library(f'binary_cross_entropy(a, b, reduction = "{reduction}")', x, y, module="std.loss")


def bags(table: Value, index: Value, *arguments: Any, mode: str = "mean", **named: Any) -> Value:
    require(not arguments and named.get("offsets") is None, "bags as one row with offsets")
    require(named.get("max_norm") is None, "rows that are scaled in place")
    require(named.get("padding_idx") is None, "a row that does not count")
    require(mode in ("sum", "mean", "max"), mode)
    return ops.embedding_bag(table, index, named.get("per_sample_weights"), mode=mode)


def pixels(x: Value, factor: int, shrink: bool) -> Value:
    *lead, c, h, w = (int(n) for n in x.shape)  # type: ignore[arg-type]
    n, r = len(lead), factor
    if shrink:
        parts = ops.reshape(x, shape=(*lead, c, h // r, r, w // r, r))
        order, shape = (n, n + 2, n + 4, n + 1, n + 3), (*lead, c * r * r, h // r, w // r)
    else:
        parts = ops.reshape(x, shape=(*lead, c // (r * r), r, r, h, w))
        order, shape = (n, n + 3, n + 1, n + 4, n + 2), (*lead, c // (r * r), h * r, w * r)
    return ops.reshape(ops.transpose(parts, axes=(*range(n), *order)), shape=shape)


def shuffled_channels(x: Value, groups: int) -> Value:
    lead, c, *rest = (int(n) for n in x.shape)  # type: ignore[arg-type]
    parts = ops.reshape(x, shape=(lead, groups, c // groups, *rest))
    order = (0, 2, 1, *range(3, 3 + len(rest)))
    return ops.reshape(ops.transpose(parts, axes=order), shape=x.shape)


def similar(a: Value, b: Value, dim: int = 1, eps: float = 1e-8) -> Value:
    require(a.rank == b.rank, "operands of two ranks")
    require(a.rank > 0, "an axis of a tensor that has none")
    shape = np.broadcast_shapes(a.shape, b.shape)
    a, b = ops.expand(a, shape=shape), ops.expand(b, shape=shape)
    sizes = [ops.maximum(ops.norm(x, axes=(dim,)), eps) for x in (a, b)]
    return ops.sum(a * b, axes=(dim,)) / (sizes[0] * sizes[1])


def unpooled(rank: int) -> Any:
    def unpool(
        x: Value, places: Value, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
    ) -> Value:
        k, s, p = as_pair(kernel_size, rank), as_pair(stride or kernel_size, rank), as_pair(padding, rank)
        size = output_size and tuple(output_size)[-rank:]
        found = tuple((int(n) - 1) * b - 2 * c + a for n, a, b, c in zip(x.shape[-rank:], k, s, p, strict=True))
        return ops.max_unpool(x, places, size=tuple(size or found))

    return unpool


rules(
    {
        **{f"nn.functional.conv{n}d": convolved(n) for n in (1, 2, 3)},
        **{f"nn.functional.conv_transpose{n}d": transposed(n) for n in (1, 2, 3)},
        **{f"nn.functional.max_pool{n}d": max_pooled(n) for n in (1, 2, 3)},
        **{f"nn.functional.avg_pool{n}d": avg_pooled(n) for n in (1, 2, 3)},
        **{f"nn.functional.adaptive_avg_pool{n}d": adaptive("adaptive_avg_pool", n) for n in (1, 2, 3)},
        **{f"nn.functional.adaptive_max_pool{n}d": adaptive("adaptive_max_pool", n) for n in (1, 2, 3)},
        **{f"nn.functional.max_unpool{n}d": unpooled(n) for n in (1, 2, 3)},
        **{f"nn.functional.max_unpool{n}d.grad": unpooled(n) for n in (1, 2, 3)},
        **{f"nn.functional.interpolate.{m}": resized("linear") for m in ("linear", "bilinear", "trilinear")},
        "nn.functional.interpolate.nearest-exact": resized("nearest"),
        "nn.functional.interpolate.bicubic": resized("cubic"),
        "nn.functional.linear": lambda x, weight, bias=None: ops.linear(x, weight, bias),
        "nn.functional.bilinear": lambda a, b, weight, bias=None: bilinear(a, b, weight, bias),
        "nn.functional.layer_norm": layer_normed,
        "nn.functional.rms_norm": rms_normed,
        "nn.functional.group_norm": group_normed,
        "nn.functional.batch_norm": batch_normed,
        "nn.functional.batch_norm.without_cudnn": batch_normed,
        "nn.functional.instance_norm": instance_normed,
        "nn.functional.scaled_dot_product_attention": attended,
        "nn.functional.grid_sample": sampled,
        "nn.functional.cross_entropy": entropy,
        "nn.functional.mse_loss": loss("mse"),
        "nn.functional.l1_loss": loss("l1"),
        "nn.functional.smooth_l1_loss": loss("smooth_l1", ", {beta}"),
        "nn.functional.huber_loss": loss("huber", ", {delta}"),
        "nn.functional.binary_cross_entropy_with_logits": with_logits,
        "nn.functional.embedding_bag": bags,
        "nn.functional.pixel_shuffle": lambda x, upscale_factor: pixels(x, upscale_factor, False),
        "nn.functional.pixel_unshuffle": lambda x, downscale_factor: pixels(x, downscale_factor, True),
        "nn.functional.channel_shuffle": shuffled_channels,
        "nn.functional.cosine_similarity": similar,
    }
)


def bilinear(a: Value, b: Value, weight: Value, bias: Value | None) -> Value:
    y = ops.einsum(a, weight, b, equation="...i,oij,...j->...o")
    return y if bias is None else y + bias
