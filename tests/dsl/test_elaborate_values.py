"""Static values and the functions of section 13 of docs/language.md, each at least once."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from architrave.dsl.elaborate.builtins import BUILTINS
from architrave.dsl.elaborate.values import Builtin, Namespace
from tests.dsl.elaborated import Array, static, value

X = np.array([[1.0, -2.0, 3.0, -4.0], [0.5, 0.25, -0.75, 2.0], [5.0, 6.0, 7.0, 8.0]])

STATIC = {
    "1 + 2 * 3 - 4": 3,
    "7 / 2": 3.5,
    "7 // 2 + 7 % 4": 6,
    "-7 // 2": -4,
    "2 ** 10": 1024,
    "2 ** -1": 0.5,
    "-2 ** 2": -4,
    "not (1 < 2)": False,
    "1 == 1.0": True,
    "1 == true": False,
    "none == none": True,
    "[1, 2] == [1, 2]": True,
    '"a" != "b"': True,
    "true and 3 > 2 or false": True,
    "if 1 > 2 { 3 } else if 2 > 1 { 4 } else { 5 }": 4,
    "[1, 2] + [3]": [1, 2, 3],
    "[1, 2, 3][-1]": 3,
    "[1, 2, 3, 4][1:]": [2, 3, 4],
    "[1, 2, 3, 4][::2]": [1, 3],
    "(1, (2, 3))[1][0]": 2,
    "[a * b for (a, b) in [(1, 2), (3, 4)]]": [2, 12],
    "[i for i in 2..5]": [2, 3, 4],
    "len([1, 2])": 2,
    "list(range(1, 7, 2))": [1, 3, 5],
    "sum([1, 2, 3])": 6,
    "prod([2, 3])": 6,
    "max(1, 5, 3) + min([4, 2])": 7,
    "int(-2.7) + round(2.5) + floor(2.9) + ceil(2.1)": 5,
    "float(3)": 3.0,
    "sqrt(16) + log2(8)": 7.0,
    "exp(0) + log(1) + tanh(0) + abs(-1)": 2.0,
    "bool(0)": False,
    "str(3)": "3",
    "clip(7, 0, 6) + maximum(1, 2) + minimum(1, 2)": 9,
    "reversed([1, 2])": [2, 1],
    "is_list([1]) and not is_list(1)": True,
    "any([false, true]) and all([true])": True,
    "((a, b) => a - b)(5, 3)": 2,
    "(3, 4) -> (a, b) => a * b": 12,
    "pi > 3.14": True,
    "inf > 1e308": True,
    '"a" + "b"': "ab",
}


@pytest.mark.parametrize("expression", STATIC)
def test_static(expression: str) -> None:
    found = static(expression)
    assert found == STATIC[expression]
    assert type(found) is type(STATIC[expression])


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


S = X.T @ X + 2 * np.eye(4)
DCT = np.sqrt([0.25, 0.5, 0.5, 0.5]) * np.cos(np.outer(np.arange(4) + 0.5, np.arange(4)) * np.pi / 4)
SQUARE = "(transpose(x) @ x + 2 * eye(4))"

TENSORS: dict[str, Any] = {
    "x + 1": X + 1,
    "2 - x": 2 - X,
    "x * x / 2": X * X / 2,
    "x // 2": X // 2,
    "x % 3": X % 3,
    "x ** 2": X**2,
    "x @ transpose(x)": X @ X.T,
    "-x": -X,
    "where(not (x > 0) and (x < -1 or x == 0.5), 1, 0)": ((X <= 0) & ((X < -1) | (X == 0.5))).astype(float),
    "where((x >= 0.5) == (x != 1), 1, 0)": ((X >= 0.5) == (X != 1)).astype(float),
    "abs(x)": abs(X),
    "sign(x)": np.sign(X),
    "exp(x)": np.exp(X),
    "expm1(x) - log1p(abs(x))": np.expm1(X) - np.log1p(abs(X)),
    "log(abs(x))": np.log(abs(X)),
    "log2(abs(x))": np.log2(abs(X)),
    "sqrt(abs(x)) * rsqrt(abs(x))": np.ones_like(X),
    "sin(x) + cos(x) + tan(x)": np.sin(X) + np.cos(X) + np.tan(X),
    "tanh(x)": np.tanh(X),
    "sigmoid(x)": 1 / (1 + np.exp(-X)),
    "erf(x)": np.vectorize(math.erf)(X),
    "floor(x) + ceil(x) + round(x)": np.floor(X) + np.ceil(X) + np.round(X),
    "relu(x)": np.maximum(X, 0),
    "gelu(x)": X * 0.5 * (1 + np.vectorize(math.erf)(X / math.sqrt(2))),
    "silu(x)": X / (1 + np.exp(-X)),
    "softplus(x)": np.log1p(np.exp(X)),
    "elu(x)": np.where(X > 0, X, np.expm1(X)),
    "leaky_relu(x, slope = 0.5)": np.where(X > 0, X, X / 2),
    "selu(x)": 1.0507009873554805 * np.where(X > 0, X, 1.6732632423543772 * np.expm1(X)),
    "hard_sigmoid(x)": np.clip(X / 6 + 0.5, 0, 1),
    "hard_swish(x)": X * np.clip(X / 6 + 0.5, 0, 1),
    "mish(x)": X * np.tanh(np.log1p(np.exp(X))),
    "clip(x, 0, 6)": np.clip(X, 0, 6),
    "maximum(x, 1) + minimum(x, 1)": np.maximum(X, 1) + np.minimum(X, 1),
    "max(x, 1, -x)": np.maximum(np.maximum(X, 1), -X),
    "where(isnan(x) or not isfinite(x), 1, 0)": np.zeros_like(X),
    "where(logical_not(x > 0), 1, 0)": (X <= 0).astype(float),
    "cast(cast(x, i64), f32)": np.trunc(X),
    "stop_gradient(x)": X,
    "identity(x)": X,
    "sum(x)": X.sum(),
    "sum(x, axis = 1, keep = true)": X.sum(1, keepdims=True),
    "mean(x, axis = [0, 1])": X.mean(),
    "var(x, axis = 0)": X.var(0),
    "var(x, axis = 0, correction = 1)": X.var(0, ddof=1),
    "std(x, axis = -1)": X.std(-1),
    "max(x, axis = 1) - min(x, axis = 1)": X.max(1) - X.min(1),
    "prod(x, axis = 0)": X.prod(0),
    "where(any(x > 6, axis = 1) or all(x > 0.2, axis = 1), 1, 0)": np.array([0.0, 0.0, 1.0]),
    "argmax(x, axis = 1) - argmin(x, axis = 1)": X.argmax(1) - X.argmin(1),
    "logsumexp(x, axis = 1)": np.log(np.exp(X).sum(1)),
    "count_nonzero(x)": 12,
    "median(x, axis = 1) + quantile(x, 0.25)": np.median(X, 1) + np.quantile(X, 0.25),
    "cummax(x, axis = 0) - cummin(x)": np.maximum.accumulate(X, 0) - np.minimum.accumulate(X, 1),
    "norm(x, axis = 1)": np.linalg.norm(X, axis=1),
    "softmax(x, axis = -1)": softmax(X),
    "log_softmax(x)": np.log(softmax(X)),
    "cumsum(x, axis = 1)": X.cumsum(1),
    "cumprod(x, axis = 0)": X.cumprod(0),
    "sort(x, axis = 1)": np.sort(X, 1),
    "argsort(x, axis = 1)": np.argsort(X, 1, kind="stable"),
    "topk(x, 2, axis = -1)": (np.sort(X, 1)[:, :-3:-1], np.argsort(-X, 1, kind="stable")[:, :2]),
    "moments(x, axes = 0)": (X.mean(0), X.var(0)),
    "moments(x, axes = all_but(0))": (X.mean(1), X.var(1)),
    "reshape(x, [N, 2, -1])": X.reshape(3, 2, 2),
    "transpose(x, [1, 0])": X.T,
    "flatten(unsqueeze(x, 2))": X,
    "flatten(x, start = 0)": X.reshape(-1),
    "squeeze(unsqueeze(x, [0, 3]))": X,
    "expand(x[:, :1], [N, 4])": np.repeat(X[:, :1], 4, 1),
    'rearrange(x, "n (a b) -> b (n a)", a = 2)': X.reshape(3, 2, 2).transpose(2, 0, 1).reshape(2, 6),
    'reduce(x, "n (a b) -> n b", sum, a = 2)': X.reshape(3, 2, 2).sum(1),
    'repeat(x, "n c -> n (c k)", k = 2)': X.repeat(2, 1),
    'rearrange(x, "... c -> c ...")': X.T,
    'x -> rearrange("n c -> c n")': X.T,
    "concat([x, x], axis = 1)": np.concatenate([X, X], 1),
    "stack([x, x], axis = 1)": np.stack([X, X], 1),
    "split(x, 2, axis = 1)": (X[:, :2], X[:, 2:]),
    "split(x, [1, 3], axis = 1)": (X[:, :1], X[:, 1:]),
    'pad(x, [[0, 0], [1, 2]], mode = "constant", value = 7)': np.pad(X, [(0, 0), (1, 2)], constant_values=7),
    'pad(x, [[0, 0], [1, 1]], mode = "reflect")': np.pad(X, [(0, 0), (1, 1)], mode="reflect"),
    "roll(x, 1, 1)": np.roll(X, 1, 1),
    "flip(x, 1)": X[:, ::-1],
    "tril(x) + triu(x, 1)": X,
    "matmul(x, eye(4))": X,
    'einsum(x, x, "n c, m c -> n m")': X @ X.T,
    'einsum(x, "... width -> width ...")': X.T,
    "gather(x, argsort(x, axis = 1), axis = 1)": np.sort(X, 1),
    "take(x, cast(arange(2), i64), axis = 1)": X[:, :2],
    "scatter_add(x, cast(x, i64) * 0, x, axis = 1)": X + np.pad(X.sum(1, keepdims=True), [(0, 0), (0, 3)]),
    "segment_sum(x, arange(N) // 2, 2)": np.stack([X[:2].sum(0), X[2]]),
    "segment_softmax(0 * x, arange(N) // 2, 2)": np.repeat([[0.5], [0.5], [1.0]], 4, 1),
    "scatter(x, 0 * argsort(x, axis = 0), x, axis = 0)": np.concatenate([X[2:], X[1:]]),
    "scatter_max(x, 0 * argsort(x, axis = 0), 0 * x, axis = 0)": np.concatenate([np.maximum(X[:1], 0), X[1:]]),
    "embedding_bag(x, constant([[0, 1], [2, 2]], dtype = i64))": np.stack([X[0] + X[1], 2 * X[2]]),
    "searchsorted(constant([-1.0, 0.0, 2.0]), x[1])": np.array([2, 2, 1, 2]),
    "bucketize(x[1], constant([-1.0, 0.0, 2.0]), right = true)": np.array([2, 2, 1, 3]),
    "diagonal(transpose(x) @ x, k = 1)": np.diagonal(X.T @ X, 1),
    "diag_embed(x[0], k = -1)": np.diag(X[0], -1),
    "repeat_interleave(x, 2, axis = 0)": np.repeat(X, 2, 0),
    'pad(x, [[0, 0], [1, 1]], mode = "replicate")': np.pad(X, ((0, 0), (1, 1)), mode="edge"),
    'pad(x, [[1, 1], [0, 0]], mode = "circular")': np.pad(X, ((1, 1), (0, 0)), mode="wrap"),
    "roll(x, [1, -1], [0, 1])": np.roll(X, (1, -1), (0, 1)),
    "segment_mean(x, arange(N) // 2, 2)": np.stack([X[:2].mean(0), X[2]]),
    "segment_max(x, arange(N) // 2, 2)": np.stack([X[:2].max(0), X[2]]),
    "one_hot(arange(3), 4)": np.eye(4)[:3],
    "zeros([2, 3]) + ones([3]) + full([2, 1], 5)": np.full((2, 3), 6.0),
    "arange(3)": np.arange(3),
    "linspace(0, 1, 5)": np.linspace(0, 1, 5),
    "constant([[1, 2], [3, 4]])": np.array([[1.0, 2.0], [3.0, 4.0]]),
    "x[:, 0]": X[:, 0],
    "x[..., 1:3]": X[..., 1:3],
    "x[-1]": X[-1],
    "x[:, ::2]": X[:, ::2],
    "x[1:, -3:-1]": X[1:, -3:-1],
    "x * len(x) + x.shape[1] + x.rank + N": X * 3 + 4 + 2 + 3,
    "x / (x.size / N)": X / 4,
    "op.softmax(x, axis = 1)": softmax(X),
    "op.relu(x = x)": np.maximum(X, 0),
    "sum([x, x])": 2 * X,
    f"cholesky({SQUARE}) + eigh({SQUARE})[1] * 0 + slogdet({SQUARE})[1] * 0": np.linalg.cholesky(S),
    f"solve({SQUARE}, x[0])": np.linalg.solve(S, X[0]),
    f"triangular_solve({SQUARE}, transpose(x))": np.linalg.solve(np.tril(S), X.T),
    f"{SQUARE} @ inverse({SQUARE}) + det({SQUARE})": np.eye(4) + np.linalg.det(S),
    f"matrix_exp({SQUARE} * 0) @ matrix_power({SQUARE}, 3)": S @ S @ S,
    f"qr({SQUARE})[0] @ qr({SQUARE})[1]": S,
    f"svd({SQUARE})[1]": np.linalg.svd(S)[1],
    f"lstsq({SQUARE}, x[0]) - pinv({SQUARE}) @ x[0]": np.zeros(4),
    "real(complex(x, 1) * complex(0, x))": -X,
    "imag(conj(cast(x, complex)) + complex(0, x))": X,
    "abs(complex(x, x)) / exp(log(2) / 2)": np.abs(X),
    "sinh(x) * cosh(x) + square(x)": np.sinh(X) * np.cosh(X) + X**2,
    "asin(x / 9) + acos(x / 9) + atan(x) + atanh(x / 9)": math.pi / 2 + np.arctan(X) + np.arctanh(X / 9),
    "asinh(x) + acosh(1 + abs(x))": np.arcsinh(X) + np.arccosh(1 + abs(X)),
    "exp2(x) + log10(abs(x)) + cbrt(x)": np.exp2(X) + np.log10(abs(X)) + np.cbrt(X),
    "relu6(x) + hard_tanh(x, -2, 2) + threshold(x, 1)": np.clip(X, 0, 6) + np.clip(X, -2, 2) + X * (X > 1),
    "hard_shrink(x, 1) - soft_shrink(x, 1)": np.sign(X) * (abs(X) > 1),
    "celu(x, alpha = 2) + prelu(x, full([1], 0.5))": np.maximum(2 * X, X / 2) + np.minimum(2 * np.expm1(X / 2), 0),
    "log_sigmoid(x) + softplus(-x) + softsign(x)": X / (1 + abs(X)),
    "tanh_shrink(x) + tanh(x)": X,
    "sinc(x) + erf(erfinv(x / 9))": np.sinc(X) + X / 9,
    "lgamma(1 + abs(x))": np.vectorize(math.lgamma)(1 + abs(X)),
    "digamma(x + 9) - digamma(x + 8) + polygamma(x + 9, 1) - polygamma(x + 8, n = 1)": 1 / (X + 8) - 1 / (X + 8) ** 2,
    "glu(x)": X[:, :2] / (1 + np.exp(-X[:, 2:])),
    "reciprocal(x) + trunc(x) + frac(x)": 1 / X + X,
    "where(isinf(x), 1, 0)": np.zeros_like(X),
    "hypot(x, 2) + logaddexp(x, 0) + fmod(x, 2)": np.hypot(X, 2) + np.logaddexp(X, 0) + np.fmod(X, 2),
    "lerp(x, 2, 0.25) + nan_to_num(x, posinf = 1)": 0.75 * X + 0.5 + X,
    "angle(complex(x, 1)) - atan2(1, x)": np.zeros_like(X),
    "real(ifft(fft(x)) + ifft2(fft2(x)))": 2 * X,
    "irfft(rfft(x)) + irfft2(rfft2(x))": 2 * X,
    'abs(fft(x, n = 6, axis = 0, norm = "ortho"))': np.abs(np.fft.fft(X, 6, 0, "ortho")),
    "abs(fft2(x, sizes = [2, 2], axes = [1, 0]))": np.abs(np.fft.fft2(X, (2, 2), (1, 0))),
    "dct(x, ortho = true)": X @ DCT,
    "fftshift(x) + ifftshift(x, axis = 0)": np.fft.fftshift(X) + np.fft.ifftshift(X, 0),
    "fftfreq(5, d = 0.5)": np.fft.fftfreq(5, 0.5),
    "rfftfreq(6)": np.fft.rfftfreq(6),
    "bitwise_and(arange(4), 3) + bitwise_or(arange(4), 8) + bitwise_xor(arange(4), 1)": np.array([9, 10, 15, 16]),
    "shift_left(arange(3), 2) - shift_right(bitwise_not(arange(3)), 1) + shift_right(8, arange(3), logical = true)": (
        np.array([9, 9, 12])
    ),
    "popcount(arange(4)) + clz(cast(arange(4), u8))": np.array([8, 8, 7, 8]),
    "bitcast(cast(x, f32), i32) - 65536 * cast(bitcast(cast(x, bf16), i16), i32)": np.zeros_like(X),
    "vjp((y) => y * y, x, 3)": 6 * X,
    "random.uniform([2], 3, 3) + random.normal([2]) * 0 + random.bernoulli(1, [2])": np.full(2, 4.0),
}


@pytest.mark.parametrize("expression", TENSORS)
def test_tensor(expression: str) -> None:
    found, wanted = value(expression, X), TENSORS[expression]
    if not isinstance(wanted, tuple):
        found, wanted = (found,), (wanted,)
    for a, b in zip(found, wanted, strict=True):
        assert np.shape(a) == np.shape(b)
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_every_function_is_tried() -> None:
    tried = " ".join([*STATIC, *TENSORS])
    functions = [name for name, function in BUILTINS.items() if isinstance(function, Builtin)]
    initializers = {"normal", "uniform", "orthogonal"}
    for name in functions:
        known = name in initializers or name.startswith(("kaiming", "xavier", "trunc")) or name == "sequential"
        assert known or re.search(rf"\b{name}\(", tried), name


def test_every_function_of_the_page_exists() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "language.md").read_text(encoding="utf-8")
    section = page[page.index("## 13.") : page.index("## 14.")]
    listed = {word for text in re.findall(r"^- .*$", section, re.MULTILINE) for code in re.findall(r"`([^`]+)`", text)
              for word in re.findall(r"\b([a-z]\w+)(?:\(|\s|$)", re.sub(r"\(.*?\)", "(", code))}  # fmt: skip
    words = {"list", "none", "axis", "keep", "false", "dtype"}
    library = {"calculus", "gradient", "jvp", "implicit", "ode"}
    missing = {name for name in listed if name not in BUILTINS} - words - library
    assert not missing
    assert isinstance(BUILTINS["random"], Namespace)
