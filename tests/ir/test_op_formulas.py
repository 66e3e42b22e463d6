"""Operators against formulas written anew: loops, textbook definitions, other routes to the same number."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from architrave.ir.op import OPS, sample
from tests.ir.apply import Array, evaluate
from tests.ir.bits import BITS
from tests.ir.functions import FUNCTIONS
from tests.ir.images import IMAGES
from tests.ir.integer_functions import INTEGER_FUNCTIONS
from tests.ir.integer_products import INTEGER_PRODUCTS
from tests.ir.losses import LOSSES
from tests.ir.low_bit import LOW_BIT
from tests.ir.matrices import MATRICES
from tests.ir.microscaled import MICROSCALED
from tests.ir.quantized import QUANTIZED
from tests.ir.sparse import SPARSE
from tests.ir.transforms import TRANSFORMS


def sigmoid(x: Array) -> Array:
    return np.exp(-np.logaddexp(0, -x))


def softplus(x: Array) -> Array:
    return np.logaddexp(0, x)


def phi(x: Array) -> Array:
    """The normal distribution, by its own complement."""
    return np.vectorize(lambda t: 0.5 * math.erfc(-t / math.sqrt(2)), otypes=[float])(x)


def elu(x: Array, alpha: float = 1.0) -> Array:
    return np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0))


def softmax(x: Array, axis: int = -1) -> Array:
    return np.exp(x - np.logaddexp.reduce(x, axis=axis, keepdims=True))


def gelu(x: Array, approximate: str = "none") -> Array:
    if approximate == "none":
        return x * phi(x)
    return x * sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * np.power(x, 3.0)))


def axes_of(x: Array, axes: tuple[int, ...] | None) -> tuple[int, ...]:
    return tuple(range(x.ndim)) if axes is None else axes


def var(x: Array, axes: tuple[int, ...] | None = None, keep: bool = False, correction: int = 0) -> Array:
    count = math.prod(x.shape[i] for i in axes_of(x, axes))
    variance = np.var(x, axis=axes_of(x, axes), keepdims=keep)
    return variance * count / max(count - correction, 0)


def norm(x: Array, axes: tuple[int, ...] | None = None, keep: bool = False, order: float = 2.0) -> Array:
    along = sorted(i % x.ndim for i in axes_of(x, axes))
    rest = [n for i, n in enumerate(x.shape) if i not in along]
    count = math.prod(x.shape[i] for i in along)
    flat = np.moveaxis(x, along, range(len(along))).reshape(count, *rest).astype(float)
    result = np.linalg.norm(flat, ord=order, axis=0)
    return np.expand_dims(result, tuple(along)) if keep else result


def standardized(x: Array, axes: tuple[int, ...], eps: float) -> Array:
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def along(vector: Array | None, x: Array, axis: int, missing: float) -> Any:
    return (
        missing
        if vector is None
        else np.moveaxis(np.broadcast_to(vector, (*np.delete(x.shape, axis), len(vector))), -1, axis)
    )


def layer_norm(x: Array, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5) -> Array:
    return standardized(x, (-1,), eps) * along(weight, x, -1, 1) + along(bias, x, -1, 0)


def batch_norm(
    x: Array, mean: Array, var: Array, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5
) -> Array:
    y = (x - along(mean, x, 1, 0)) / np.sqrt(along(var, x, 1, 0) + eps)
    return y * along(weight, x, 1, 1) + along(bias, x, 1, 0)


def group_norm(
    x: Array, weight: Array | None = None, bias: Array | None = None, groups: int = 1, eps: float = 1e-5
) -> Array:
    parts = np.split(x, groups, axis=1)
    y = np.concatenate([standardized(p, tuple(range(1, x.ndim)), eps) for p in parts], axis=1) if x.size else x
    return y * along(weight, x, 1, 1) + along(bias, x, 1, 0)


def rms_norm(x: Array, weight: Array | None = None, eps: float = 1e-6) -> Array:
    return x / np.sqrt(np.square(x).mean(-1, keepdims=True) + eps) * along(weight, x, -1, 1)


def attention(
    q: Array, k: Array, v: Array, mask: Array | None = None, causal: bool = False, scale: float | None = None
) -> Array:
    """One query at a time."""
    lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    q, k, v = (np.broadcast_to(x, (*lead, *x.shape[-2:])) for x in (q, k, v))
    mask = np.broadcast_to(True if mask is None else mask, (*lead, q.shape[-2], k.shape[-2]))
    result = np.zeros((*lead, q.shape[-2], v.shape[-1]))
    for place in itertools.product(*map(range, (*lead, q.shape[-2]))):
        *batch, t = place
        scores = k[tuple(batch)] @ q[place] * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
        sees = mask[place] if mask.dtype == bool else np.ones(len(scores), bool)
        sees = sees & (np.arange(len(scores)) <= t) if causal else sees
        if mask.dtype != bool:
            scores = scores + mask[place]
        if sees.any():
            result[place] = softmax(scores[sees]) @ v[tuple(batch)][sees]
    return result


def segment_mean(x: Array, segments: Array, count: int) -> Array:
    rows = [x[segments == i] for i in range(count)]
    return np.array([r.mean(0) if len(r) else np.zeros(x.shape[1:]) for r in rows]).reshape(count, *x.shape[1:])


def scatter(x: Array, index: Array, source: Array, axis: int) -> Array:
    """One source after the other."""
    y = x.astype(np.result_type(x, source))
    for place in np.ndindex(*index.shape):
        if 0 <= index[place] < x.shape[axis]:
            target = list(place)
            target[axis] = index[place]
            y[tuple(target)] = source[place]
    return y


def scatter_max(x: Array, index: Array, source: Array, axis: int) -> Array:
    """The sources from small to large, which the largest outlasts."""
    order = np.argsort(source, axis=axis)
    y = scatter(
        np.full(x.shape, -np.inf), np.take_along_axis(index, order, axis), np.take_along_axis(source, order, axis), axis
    )
    return np.maximum(x, y)


def max_unpool(x: Array, places: Array, size: tuple[int, ...]) -> Array:
    lead = x.shape[: x.ndim - len(size)]
    y = np.zeros((*lead, math.prod(size)), x.dtype)
    for place in np.ndindex(*x.shape):
        if 0 <= places[place] < y.shape[-1]:
            y[(*place[: len(lead)], places[place])] = x[place]
    return y.reshape(*lead, *size)


def segment_softmax(x: Array, segments: Array, count: int) -> Array:
    y = np.zeros(x.shape)
    for i in range(count):
        y[segments == i] = softmax(x[segments == i].astype(float), 0) if (segments == i).any() else 0
    return y


def embedding_bag(table: Array, index: Array, weights: Array | None = None, mode: str = "sum") -> Array:
    """Bag by bag, by a product with how often each row is named."""
    rows = np.clip(index, 0, len(table) - 1).reshape(math.prod(index.shape[:-1]), index.shape[-1])
    if mode == "max":
        return np.array([table[bag].max(0) for bag in rows]).reshape(*index.shape[:-1], table.shape[1])
    scale = np.ones(index.shape) if weights is None else weights
    counts = np.zeros((len(rows), len(table)))
    np.add.at(counts, (np.arange(len(rows))[:, None], rows), scale.reshape(rows.shape))
    counts = counts / index.shape[-1] if mode == "mean" else counts
    return (counts @ table).reshape(*index.shape[:-1], table.shape[1])


def diag_embed(x: Array, k: int = 0) -> Array:
    size = x.shape[-1] + abs(k)
    rows = [np.diag(row, k) for row in x.reshape(math.prod(x.shape[:-1]), x.shape[-1])]
    return np.array(rows, x.dtype).reshape(*x.shape[:-1], size, size)


def searchsorted(sorted: Array, x: Array, right: bool = False) -> Array:
    lead = np.broadcast_shapes(sorted.shape[:-1], x.shape[:-1])
    rows, new = (np.broadcast_to(v, (*lead, v.shape[-1])) for v in (sorted, x))
    y = np.zeros(new.shape, int)
    for place in np.ndindex(*lead):
        y[place] = np.searchsorted(rows[place], new[place], "right" if right else "left")
    return y


def keep_topk(x: Array, k: int, axis: int = -1) -> Array:
    """An element is kept where fewer than k others are larger, or equal and before it."""
    rows = np.moveaxis(x, axis, -1)
    mine, others, places = rows[..., None], rows[..., None, :], np.arange(rows.shape[-1])
    ahead = (others > mine) | ((others == mine) & (places < places[:, None]))
    return np.moveaxis(np.where(ahead.sum(-1) < k, rows, 0), -1, axis)


FORMULAS: dict[str, Callable[..., Any]] = {
    "relu": lambda x: (x + np.abs(x)) / 2,
    "gelu": gelu,
    "silu": lambda x: x * sigmoid(x),
    "softplus": softplus,
    "elu": elu,
    "selu": lambda x: 1.0507009873554804934193349852946 * elu(x, 1.6732632423543772848170429916717),
    "leaky_relu": lambda x, slope=0.01: np.maximum(x, slope * x),
    "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "hard_swish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "mish": lambda x: x * np.tanh(softplus(x)),
    "clip": lambda x, lo=None, hi=None: x if lo is None and hi is None else np.clip(x, lo, hi),
    "softmax": softmax,
    "log_softmax": lambda x, axis=-1: np.log(np.maximum(softmax(x, axis), 0)) if (x > -100).all() else None,
    "unsqueeze": lambda x, axes: np.expand_dims(x, axes),
    "squeeze": lambda x, axes=None: np.squeeze(x, axes),
    "stack": lambda *xs, axis=0: np.stack(xs, axis),
    "active_rows": lambda x, rows: (x[..., None] * rows).sum(-2),
    "keep_topk": keep_topk,
    "linear": lambda x, weight, bias=0.0: x @ weight.T + bias,
    "mean": lambda x, axes=None, keep=False: np.mean(x, axes, keepdims=keep) if x.size else None,
    "var": lambda x, axes=None, keep=False, correction=0: var(x, axes, keep, correction),
    "std": lambda x, axes=None, keep=False, correction=0: np.sqrt(var(x, axes, keep, correction)),
    "moments": lambda x, axes=None, keep=False: (np.mean(x, axes, keepdims=keep), np.var(x, axes, keepdims=keep)),
    "logsumexp": lambda x, axes=None, keep=False: (
        np.log(np.sum(np.exp(x), axes, keepdims=keep)) if (np.abs(x) < 100).all() else None
    ),
    "norm": norm,
    "one_hot": lambda index, count, dtype=None: (index[..., None] == np.arange(count)).astype(float),
    "segment_mean": segment_mean,
    "segment_softmax": segment_softmax,
    "embedding_bag": embedding_bag,
    "searchsorted": searchsorted,
    "bucketize": lambda x, boundaries, right=False: np.digitize(x, boundaries, right=not right),
    "diagonal": lambda x, k=0, axes=(-2, -1): np.diagonal(x, k, *axes),
    "diag_embed": diag_embed,
    "repeat_interleave": lambda x, count, axis: np.repeat(x, count, axis),
    "scatter": scatter,
    "scatter_max": scatter_max,
    "max_unpool": max_unpool,
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "group_norm": group_norm,
    "attention": attention,
    "conj": np.conj,
    "angle": np.angle,
    **IMAGES,
    **INTEGER_PRODUCTS,
    **LOSSES,
    **MATRICES,
    **TRANSFORMS,
    **BITS,
    **FUNCTIONS,
    **LOW_BIT,
    **SPARSE,
    **QUANTIZED,
    **MICROSCALED,
    **INTEGER_FUNCTIONS,
}
"""Composites by other formulas; None where a formula does not hold for a sample."""

ELSEWHERE = {"flatten", "random_uniform", "random_normal", "random_bernoulli"}


@pytest.mark.parametrize("name", [name for name, op in OPS.items() if op.is_composite() and name not in ELSEWHERE])
def test_composites_follow_their_formulas(name: str) -> None:
    compared = 0
    for case in OPS[name].samples():
        if case.error is not None:
            continue
        with np.errstate(all="ignore"):
            expected = FORMULAS[name](*case.draw(), **case.attributes)
        if expected is None:
            continue
        compared += 1
        for result, wanted in zip(
            evaluate(name, case), expected if isinstance(expected, tuple) else (expected,), strict=True
        ):
            rounding = 1e-6 if result.dtype in (np.float32, np.complex64) else 1e-12
            np.testing.assert_allclose(result.astype(complex), wanted, rtol=rounding, atol=rounding)
    assert compared


def test_ties_and_nan_have_one_order() -> None:
    x = np.array([2.0, np.nan, 1.0, 2.0, -np.inf, np.nan])
    orders = {False: [4, 2, 0, 3, 1, 5], True: [1, 5, 0, 3, 2, 4]}
    for descending, order in orders.items():
        (places,) = evaluate("argsort", sample(x, descending=descending))
        assert places.tolist() == order
        (values,) = evaluate("sort", sample(x, descending=descending))
        np.testing.assert_array_equal(values, x[order])
        _, first = evaluate("topk", sample(x, k=3, largest=descending))
        assert first.tolist() == order[:3]
    assert evaluate("argmax", sample(x))[0] == 1
    assert evaluate("argmin", sample(np.array([1.0, 0.0, 0.0])))[0] == 1


def test_an_index_that_is_out_of_range() -> None:
    x, index = np.array([10.0, 20.0, 30.0]), np.array([-1, 0, 2, 3])
    assert evaluate("take", sample(x, index, axis=0))[0].tolist() == [10, 10, 30, 30]
    assert evaluate("gather", sample(x, index, axis=0))[0].tolist() == [10, 10, 30, 30]
    assert evaluate("scatter_add", sample(x, index, np.ones(4), axis=0))[0].tolist() == [11, 20, 31]
    assert evaluate("segment_sum", sample(np.ones(4), index, count=3))[0].tolist() == [1, 0, 1]
    assert evaluate("segment_max", sample(np.ones(4), index, count=3))[0].tolist() == [1, -np.inf, 1]
    assert evaluate("one_hot", sample(index, count=3))[0].sum(-1).tolist() == [0, 1, 1, 0]


def test_division_rounds_down_and_rounding_goes_to_even() -> None:
    a, b = np.array([7, -7, 7, -7]), np.array([2, 2, -2, -2])
    assert evaluate("floor_divide", sample(a, b))[0].tolist() == [3, -4, -4, 3]
    assert evaluate("remainder", sample(a, b))[0].tolist() == [1, 1, -1, -1]
    assert evaluate("divide", sample(a, b))[0].tolist() == [3.5, -3.5, -3.5, 3.5]
    assert evaluate("round", sample(np.array([0.5, 1.5, 2.5, -0.5])))[0].tolist() == [0, 2, 2, 0]


def test_random_numbers_depend_on_key_path_and_position_alone() -> None:
    key, other = (np.array(k, np.uint32) for k in ([1, 2], [1, 3]))

    def bits(key: Array, path: str, *shape: int) -> list[int]:
        return evaluate("random_bits", sample(key, shape=shape, path=path))[0].reshape(-1).tolist()

    longest = bits(key, "a.drop", 4, 5)
    assert len(set(longest)) == 20
    assert bits(key, "a.drop", 7) == longest[:7]
    assert set(bits(other, "a.drop", 20)).isdisjoint(longest)
    assert set(bits(key, "b.drop", 20)).isdisjoint(longest)


def test_random_numbers_are_distributed_as_they_say() -> None:
    key = np.array([5, 0], np.uint32)
    (uniform,) = evaluate("random_uniform", sample(key, shape=(100, 100), path="u"))
    assert 0 <= uniform.min() <= uniform.max() < 1
    np.testing.assert_allclose([uniform.mean(), uniform.var()], [1 / 2, 1 / 12], atol=0.01)
    np.testing.assert_array_equal(uniform, uniform.astype(np.float32))
    (normal,) = evaluate("random_normal", sample(key, shape=(300, 300), path="n"))
    np.testing.assert_allclose([normal.mean(), normal.var(), (normal**4).mean()], [0, 1, 3], atol=0.1)
    for p in (0.0, 0.3, 1.0):
        (hits,) = evaluate("random_bernoulli", sample(key, p=p, shape=(100, 100), path="b"))
        np.testing.assert_allclose(hits.mean(), p, atol=0.02)
