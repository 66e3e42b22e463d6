"""A transformer block written by hand in integers, beside the same block in floats."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.backends.load import compile
from architrave.ir import build
from architrave.ir.interpret import interpret
from architrave.ir.op import sample
from architrave.ir.ops.integer_norm import UNIT
from architrave.passes.quantize.integers.table import eps_in_steps, exponentials
from tests.docs.pages import ROOT
from tests.ir.apply import Array, evaluate

HEADS, WIDTH, EPS = 4, 64, 1e-5
Weights = dict[str, Array]


def drawn() -> tuple[Weights, Array]:
    """Weights of a block in floats, and what it is given."""
    rng: Any = np.random.default_rng(0)
    weights: Weights = {}
    layers = {f"attention.{name}_proj": (WIDTH, WIDTH) for name in "qkv"}
    for name, shape in {
        **layers,
        "attention.out_proj": (WIDTH, WIDTH),
        "fc1": (128, WIDTH),
        "fc2": (WIDTH, 128),
    }.items():
        weights[f"{name}.weight"] = rng.normal(0, 1.5 / math.sqrt(shape[1]), shape)
        weights[f"{name}.bias"] = rng.normal(0, 0.1, shape[0])
    for name in ("norm1", "norm2"):
        weights[f"{name}.weight"], weights[f"{name}.bias"] = rng.normal(1, 0.2, WIDTH), rng.normal(0, 0.2, WIDTH)
    return weights, rng.normal(0, 1, (4, 16, WIDTH)) * rng.uniform(0.3, 2, WIDTH)


def run(w: Weights, x: Array) -> dict[str, Array]:
    """The block in floats: everything that it computes on the way, by the part that makes it."""

    def linear(name: str, x: Array) -> Array:
        at[name] = x @ w[f"{name}.weight"].T + w[f"{name}.bias"]
        return at[name]

    def norm(name: str, x: Array) -> Array:
        standard = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + EPS)
        at[name] = standard * w[f"{name}.weight"] + w[f"{name}.bias"]
        return at[name]

    at = {"x": x}
    y = norm("norm1", x)
    q, k, v = (linear(f"attention.{n}_proj", y).reshape(-1, 16, HEADS, 16).swapaxes(1, 2) for n in "qkv")
    at["attention.scores"] = q @ k.swapaxes(2, 3) / math.sqrt(16)
    powers = np.exp(at["attention.scores"])
    at["attention.mixed"] = powers / powers.sum(-1, keepdims=True) @ v
    mixed = at["attention.mixed"].swapaxes(1, 2).reshape(x.shape)
    at["add1"] = x + linear("attention.out_proj", mixed)
    y = linear("fc1", norm("norm2", at["add1"]))
    at["gelu"] = y * np.vectorize(lambda t: 0.5 * math.erfc(-t / math.sqrt(2)))(y)
    at["add2"] = at["add1"] + linear("fc2", at["gelu"])
    return at


def integers(w: Weights, at: dict[str, Array]) -> Weights:
    """The weights of the block in integers: scales are such that the largest number is 127 steps."""
    scale = {name: float(np.abs(value).max()) / 127 for name, value in at.items()}
    new: Weights = {}

    def rescaled(name: str, of: float, to: float) -> None:
        new[f"{name}.multiplier"], new[f"{name}.shift"] = evaluate("fixed_point", sample(np.array(of / to)))

    def whole(path: str, x: Array, step: float, dtype: Any) -> None:
        new[path] = np.rint(x / step).astype(dtype)

    def linear(name: str, source: float) -> None:
        step = float(np.abs(w[f"{name}.weight"]).max()) / 127
        whole(f"{name}.weight", w[f"{name}.weight"], step, np.int8)
        whole(f"{name}.bias", w[f"{name}.bias"], step * source, np.int32)
        rescaled(f"{name}.rescale_0", step * source, scale[name])

    def norm(name: str, source: float) -> None:
        step = float(np.abs(w[f"{name}.weight"]).max()) / (2**15 - 1)
        result = step * math.sqrt(WIDTH) / 2**UNIT
        whole(f"{name}.weight", w[f"{name}.weight"], step, np.int16)
        whole(f"{name}.bias", w[f"{name}.bias"], result, np.int32)
        new[f"{name}.eps"] = computed(eps_in_steps(EPS, WIDTH, build.full(source, shape=[])))
        rescaled(f"{name}.rescale_0", result, scale[name])

    def add(name: str, x: float, y: float) -> None:
        for path, step in ((f"{name}.x_multiplier", x), (f"{name}.y_multiplier", y)):
            new[path] = np.array(round(step / max(x, y) * 2**20), np.int32)
        rescaled(f"{name}.rescale_0", max(x, y) / 2**20, scale[name])

    norm("norm1", scale["x"])
    for part in "qkv":
        linear(f"attention.{part}_proj", scale["norm1"])
    q, k, v = (scale[f"attention.{part}_proj"] for part in "qkv")
    rescaled("attention.scores", q * k / math.sqrt(16), scale["attention.scores"])
    new["attention.exponentials"] = computed(exponentials(build.full(scale["attention.scores"], shape=[]), 16))
    rescaled("attention.mixed", v / 255, scale["attention.mixed"])
    linear("attention.out_proj", scale["attention.mixed"])
    add("add1", scale["x"], scale["attention.out_proj"])
    norm("norm2", scale["add1"])
    linear("fc1", scale["norm2"])
    steps = np.arange(-128, 128) * scale["fc1"]
    gelu = steps * np.vectorize(lambda t: 0.5 * math.erfc(-t / math.sqrt(2)))(steps)
    whole("gelu.table", np.clip(gelu, -128 * scale["gelu"], 127 * scale["gelu"]), scale["gelu"], np.int8)
    linear("fc2", scale["gelu"])
    add("add2", scale["add1"], scale["fc2"])
    return {path: np.asarray(value) for path, value in new.items()}


def computed(value: Any) -> Array:
    return interpret(build.graph("constant", [], [value])).outputs[0]


@pytest.mark.parametrize("target", ["numpy", "torch", "jax"])
def test_same_bytes_and_little_noise(target: str) -> None:
    pytest.importorskip(target)
    graph = architrave.load(str(ROOT / "examples" / "integer_block.arch"))
    assert not any(v.dtype.is_float for node in graph.nodes for v in node.outputs)
    floats, x = drawn()
    at = run(floats, x)
    steps = [float(np.abs(at[name]).max()) / 127 for name in ("x", "add2")]
    weights, q = integers(floats, at), np.rint(x / steps[0]).astype(np.int8)
    (wanted,) = interpret(graph, [q], weights).outputs
    (found,) = compile(graph, target).run(weights, q).outputs
    assert found.dtype == np.int8
    assert found.tobytes() == wanted.tobytes()
    noise = wanted * steps[1] - at["add2"]
    assert 10 * math.log10(np.square(at["add2"]).sum() / np.square(noise).sum()) > 25
