"""Convolutions, pooling and resizing against loops over windows, and what resizing must keep."""

from typing import Any

import numpy as np
import pytest

from architrave.ir.op import OPS, Sample, sample
from tests.ir.apply import Array, evaluate


def naive_conv(
    x: Array, weight: Array, bias: Array | None, stride: Any, padding: Any, dilation: Any, groups: int
) -> Array:
    """One output cell at a time."""
    rank = x.ndim - 2
    stride, dilation, padding = stride or (1,) * rank, dilation or (1,) * rank, padding or ((0, 0),) * rank
    sizes = [
        (n + lo + hi - d * (k - 1) - 1) // s + 1
        for n, k, s, (lo, hi), d in zip(x.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True)
    ]
    y = np.zeros((len(x), len(weight), *sizes))
    per_out, per_in = len(weight) // groups, weight.shape[1]
    for n, o, *t in np.ndindex(*y.shape):
        for c, *k in np.ndindex(*weight.shape[1:]):
            place = [i * s + j * d - lo for i, j, s, d, (lo, _) in zip(t, k, stride, dilation, padding, strict=True)]
            if all(0 <= p < m for p, m in zip(place, x.shape[2:], strict=True)):
                y[(n, o, *t)] += x[(n, o // per_out * per_in + c, *place)] * weight[(o, c, *k)]
    return y if bias is None else y + bias.reshape(-1, *(1,) * rank)


@pytest.mark.parametrize("case", [s for s in OPS["conv"].samples() if s.error is None], ids=str)
def test_convolution_is_a_sum_over_taps(case: Sample) -> None:
    options = {"stride": (), "padding": (), "dilation": (), "groups": 1, **case.attributes}
    x, weight, *bias = case.draw()
    (y,) = evaluate("conv", case)
    np.testing.assert_allclose(y, naive_conv(x, weight, bias[0] if bias else None, **options), atol=1e-12)


@pytest.mark.parametrize("case", [s for s in OPS["conv_transpose"].samples() if s.error is None], ids=str)
def test_a_transposed_convolution_is_the_transpose_of_one(case: Sample) -> None:
    options = dict(case.attributes)
    options.pop("output_padding", None)
    x, weight, *_ = case.draw()
    (y,) = evaluate("conv_transpose", Sample((x, weight), case.attributes))
    other = np.random.default_rng(1).standard_normal(y.shape)
    # <conv_transpose(x), other> == <x, conv(other)>: the same weight, read as [out, in / groups, *kernel].
    back = naive_conv(other, weight, None, **{"stride": (), "padding": (), "dilation": (), "groups": 1, **options})
    # What `output_padding` adds may hold one more window.
    back = back[tuple(map(slice, x.shape))]
    np.testing.assert_allclose(np.vdot(y, other), np.vdot(x, back), atol=1e-10)


@pytest.mark.parametrize("name", ["max_pool", "avg_pool"])
def test_pooling_looks_at_the_elements_of_each_window(name: str) -> None:
    for case in OPS[name].samples():
        if case.error is not None:
            continue
        options = {"padding": (), "dilation": (), "count_padding": True, **case.attributes}
        kernel, rank = options["kernel"], len(options["kernel"])
        stride, padding = options.get("stride") or kernel, options["padding"] or ((0, 0),) * rank
        dilation = options["dilation"] or (1,) * rank
        (x,) = case.draw()
        (y,) = evaluate(name, case)
        for place in np.ndindex(*y.shape):
            lead, t = place[: x.ndim - rank], place[x.ndim - rank :]
            cells = [
                tuple(i * s + j * d - lo for i, j, s, d, (lo, _) in zip(t, k, stride, dilation, padding, strict=True))
                for k in np.ndindex(*kernel)
            ]
            shape = x.shape[x.ndim - rank :]
            inside = [x[lead + c] for c in cells if all(0 <= p < m for p, m in zip(c, shape, strict=True))]
            count = len(cells) if options["count_padding"] else len(inside)
            wanted = np.max(inside) if name == "max_pool" else sum(inside) / count
            np.testing.assert_allclose(y[place], wanted, atol=1e-12)


def test_resizing_keeps_what_it_must() -> None:
    ramp = np.arange(8.0)
    (linear,) = evaluate("resize", sample(ramp, size=(16,), mode="linear"))
    np.testing.assert_allclose(linear[1:-1], (np.arange(16) + 0.5)[1:-1] / 2 - 0.5)
    assert linear[[0, -1]].tolist() == [0, 7]
    (cubic,) = evaluate("resize", sample(np.ones((2, 5)), size=(3, 9), mode="cubic"))
    np.testing.assert_allclose(cubic, np.ones((3, 9)), atol=1e-15)
    (nearest,) = evaluate("resize", sample(ramp, size=(4,)))
    assert nearest.tolist() == [1, 3, 5, 7]
    for mode in ("nearest", "linear", "cubic"):
        (same,) = evaluate("resize", sample(ramp, size=(8,), mode=mode))
        np.testing.assert_allclose(same, ramp, atol=1e-15)
    # Keys' kernel with a = -3/4 at a distance of 1/4: the published weights of PyTorch and OpenCV.
    (weights,) = evaluate("resize", sample(np.eye(6)[2], size=(12,), mode="cubic"))
    np.testing.assert_allclose(weights[2:8], [-0.10546875, 0.26171875, 0.87890625, 0.87890625, 0.26171875, -0.10546875])
