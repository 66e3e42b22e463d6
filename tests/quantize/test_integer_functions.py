"""How far functions of integers are from those of floats, in steps of the result: half a step, and little more."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from architrave.ir import build
from architrave.ir.graph import Graph, Value, apply
from architrave.ir.interpret import interpret
from architrave.ir.op import OPS, sample
from architrave.ir.ops.integer_norm import UNIT
from architrave.ir.ops.quantize import Quantize
from architrave.ir.types import DType
from architrave.passes.quantize.integers.functions import LEVELS, POWER_BITS
from architrave.passes.quantize.integers.held import Held
from architrave.passes.quantize.integers.table import eps_in_steps, exponentials, table
from tests.ir.apply import Array, evaluate

LENGTHS = (1, 7, 64, 384, 768, 4096, 16384)


def computed(value: Value) -> Array:
    """A value that depends on constants alone."""
    (result,) = interpret(build.graph("g", [], [value])).outputs
    return result


def scalar(number: float) -> Value:
    return build.full(number, shape=[])  # type: ignore[no-any-return]


def requantized(total: Array, scale: float) -> Array:
    """A sum in steps of `scale`, as 16 bits, so that nothing is cut off."""
    multiplier, shift = evaluate("fixed_point", sample(np.array(scale)))
    return evaluate("requantize", sample(total.astype(np.int32), multiplier, shift, bits=16))[0]


def rows(count: int, seed: int) -> Array:
    """Rows of 8 bits: normal ones, wide and narrow, with one large element, of extremes, and constant ones."""
    rng: Any = np.random.default_rng(seed)
    normal = [rng.normal(rng.integers(-40, 40), width, count) for width in (2, 8, 30, 60)]
    outlier = rng.normal(0, 3, count)
    outlier[count // 2] = 127
    extremes = [rng.choice([-128, 127], count), np.full(count, -128), np.full(count, 127), np.arange(count) % 2]
    return np.clip(np.rint(np.stack([*normal, outlier, *extremes])), -128, 127).astype(np.int8)


def layer_norm(x: Array, eps: float) -> Array:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps)


def rms_norm(x: Array, eps: float) -> Array:
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps)


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
@pytest.mark.parametrize("count", LENGTHS)
def test_norms(name: str, count: int) -> None:
    rng: Any = np.random.default_rng(count)
    q, scale, eps = rows(count, count), 0.03, 1e-5
    weight = rng.normal(1, 0.3, count)
    wanted = {"layer_norm": layer_norm, "rms_norm": rms_norm}[name](q * scale, eps) * weight
    fine = np.abs(weight).max() / (2**15 - 1)
    steps = computed(eps_in_steps(eps, count, scalar(scale)))
    operands = (q, steps, np.rint(weight / fine).astype(np.int16))
    (total,) = evaluate(f"{name}_integer", sample(*operands))
    # As 8 bits would hold most of it: 4 standard deviations either way.
    step = 4 / 127
    found = requantized(total, fine * math.sqrt(count) / 2**UNIT / step)
    off = np.abs(found - wanted / step)
    # A unit vector of n elements has steps of sqrt(n) / 2**15, and its root is right to a part in 2**14.9.
    kept = math.sqrt(count) / 2**16 * np.abs(weight).max() + np.abs(wanted).max() / 2**14.5
    assert off.max() <= 0.5 + kept / step
    assert off[:4].max() <= 0.5 + math.sqrt(count) / 1000


@pytest.mark.parametrize("count", [1, 7, 64, 197, 1024, 4096])
@pytest.mark.parametrize("scale", [0.01, 0.05, 0.2])
def test_softmax(count: int, scale: float) -> None:
    q = rows(count, count)
    bits, levels = POWER_BITS, LEVELS
    (shares,) = evaluate(
        "softmax_integer", sample(q, computed(exponentials(scalar(scale), bits)), bits=bits, levels=levels)
    )
    powers = np.exp((q - q.max(-1, keepdims=True).astype(float)) * scale)
    wanted = powers / powers.sum(-1, keepdims=True)
    found = requantized(shares, 255 / levels)
    assert np.abs(found - wanted * 255).max() <= 0.5 + 255 * (0.51 / levels + min(count, 400) / 2 ** (bits + 1))
    assert np.abs(shares.sum(-1) / levels - 1).max() <= count / 2 / levels


FUNCTIONS = ("gelu", "silu", "sigmoid", "tanh", "exp", "hard_swish", "erf", "mish", "softplus", "elu", "log_sigmoid")


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_tables_hold_what_rounding_gives(name: str, dtype: Any) -> None:
    every = np.arange(256).astype(dtype)
    q, zero, out = build.input("q", f"{'i' if dtype is np.int8 else 'u'}8[256]"), 7, 0.021
    held = Held(q, scalar(0.04), build.full(zero, shape=[], dtype=DType.I32))
    function = OPS[name]()
    settings = scalar(out), build.full(-20, shape=[], dtype=DType.I32)
    by_table = build.lookup(q, table(lambda x: apply(function, x), held, Quantize(), *settings))
    direct = apply(Quantize(), apply(function, held.number()), *settings)
    found, wanted = interpret(Graph("g", (q,), (by_table, direct)), [every]).outputs
    assert found.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("axes", [(1,), (0, 1)])
def test_means(axes: tuple[int, ...]) -> None:
    rng: Any = np.random.default_rng(0)
    x = rng.integers(0, 256, (60, 49, 3)).astype(np.uint8)
    (mean,) = evaluate("mean_integer", sample(x, np.array(99, np.int32), axes=axes))
    for ratio in (0.3, 1.0, 2.7):
        found = requantized(mean, ratio / 256)
        assert np.abs(found - (x.mean(axes) - 99) * ratio).max() <= 0.5 + ratio / 500


@pytest.mark.parametrize(("by_a", "by_b"), [(1.0, 1.0), (0.7, 0.0031), (0.02, 1.9)])
def test_sums(by_a: float, by_b: float) -> None:
    a, b = np.arange(-128, 128).astype(np.int8)[:, None], np.arange(256).astype(np.uint8)
    largest = max(by_a, by_b)
    multipliers = [np.array(round(by / largest * 2**20), np.int32) for by in (by_a, by_b)]
    bias = np.array(-100 * int(multipliers[1]), np.int32)
    (total,) = evaluate("add_integer", sample(a, b, *multipliers, bias))
    off = np.abs(requantized(total, largest / 2**20) - (a * by_a + (b.astype(int) - 100) * by_b))
    assert off.max() <= 0.501
