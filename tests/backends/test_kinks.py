"""Gradients where there are several to choose from: the table of docs/numerics.md, row by row, on every backend."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.backends.load import compile
from architrave.ir import build
from architrave.ir.autodiff import with_gradients
from architrave.ir.autodiff.reverse import copied
from architrave.ir.graph import Graph, Value
from architrave.ir.interpret import interpret
from architrave.ir.types import DType

PAGE = Path(__file__).parents[2] / "docs" / "numerics.md"
INF, NAN = math.inf, math.nan


@dataclass(frozen=True)
class Kink:
    """A function at a point, and the gradient there of the sum of its results."""

    function: Callable[..., Value]
    inputs: tuple[list[Any], ...]
    gradients: tuple[list[Any], ...]

    def graph(self) -> Graph:
        arrays = [np.array(x) for x in self.inputs]
        inputs = [build.input(f"x{i}", f"[{', '.join(map(str, x.shape))}]") for i, x in enumerate(arrays)]
        return build.graph("Kink", inputs, [build.sum(self.function(*inputs))])


def kink(function: Callable[..., Value], *pairs: tuple[list[Any], list[Any]]) -> Kink:
    """`pairs` are an input and its gradient."""
    return Kink(function, tuple(x for x, _ in pairs), tuple(g for _, g in pairs))


def op(name: str, **attributes: Any) -> Callable[..., Value]:
    return lambda *operands: getattr(build, name)(*operands, **attributes)


def constant(*numbers: int) -> Value:
    """A vector of 0 and 1, as of an index."""
    places = build.arange(size=len(numbers))
    ones = [build.equal(places, i) for i, number in enumerate(numbers) if number]
    return build.cast(reduce(build.logical_or, ones), DType.I64)


def weighted(function: Callable[[Value], Value]) -> Callable[[Value], Value]:
    """Times 1, 2, 3..., which tells one result from another."""
    return lambda x: (y := function(x)) * (build.cast(build.arange(size=y.shape[0]), y.dtype) + 1)


def reading(padding: str) -> Callable[[Value], Value]:
    """`grid_sample` of the image 1, 2, 4 at three points, between centres."""

    def read(points: Value) -> Value:
        image = build.reshape(build.cumsum(build.full(value=1.0, shape=[3], dtype=points.dtype), 0), [1, 1, 3])
        image = image + build.maximum(image - 2, 0)
        image = build.expand(image, [3, 1, 3])
        return build.grid_sample(image, points, padding=padding, align_corners=True)

    return read


def of_library(loss: str) -> Callable[[Value, Value], Value]:
    """A loss of the library, summed."""

    def applied(x: Value, y: Value) -> Value:
        text = f'model Loss()(x: [2], y: [2]) -> [] = {loss[:-1]}, reduction = "sum")'
        graph = architrave.loads(f"from std.loss import {loss.partition('(')[0]}\n\n{text}")
        return copied(graph, (x, y))[0]

    return applied


KINKS: dict[str, list[Kink]] = {
    "`relu` at 0, `hard_sigmoid` at -3 and 3": [
        kink(op("relu"), ([-1.0, 0.0, -0.0, 1.0], [0.0, 0.0, 0.0, 1.0])),
        kink(op("hard_sigmoid"), ([-4.0, -3.0, 0.0, 3.0, 4.0], [0.0, 0.0, 1 / 6, 0.0, 0.0])),
    ],
    "`relu6`, `hard_tanh`, `hard_shrink`, `soft_shrink`, `threshold` where pieces meet": [
        kink(op("relu6"), ([-1.0, 0.0, 3.0, 6.0, 7.0], [0.0, 0.0, 1.0, 0.0, 0.0])),
        kink(op("hard_tanh"), ([-1.0, 0.0, 1.0], [0.0, 1.0, 0.0])),
        kink(op("hard_shrink"), ([-0.5, 0.0, 0.5, 0.75], [0.0, 0.0, 0.0, 1.0])),
        kink(op("soft_shrink"), ([-0.5, 0.0, 0.5, 0.75], [0.0, 0.0, 0.0, 1.0])),
        kink(op("threshold", threshold=1.0, value=5.0), ([0.0, 1.0, 2.0], [0.0, 0.0, 1.0])),
    ],
    "`hard_swish` at -3 and 3": [kink(op("hard_swish"), ([-3.0, 0.0, 3.0], [0.0, 0.5, 1.0]))],
    "`abs`, `norm`, `std`, `hypot`, `atan2` at 0": [
        kink(op("abs"), ([-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0])),
        kink(op("norm"), ([0.0, 0.0], [0.0, 0.0])),
        kink(op("norm", axes=[1]), ([[0.0, 0.0], [3.0, 4.0]], [[0.0, 0.0], [0.6, 0.8]])),
        kink(op("norm", order=1.0), ([0.0, -2.0], [0.0, -1.0])),
        kink(op("norm", order=3.0), ([0.0, 0.0], [0.0, 0.0])),
        kink(op("hypot"), ([0.0, 0.0, 3.0], [0.0, 0.0, 0.6]), ([0.0, 2.0, 4.0], [0.0, 1.0, 0.8])),
        kink(op("atan2"), ([0.0, 1.0], [0.0, 0.5]), ([0.0, 1.0], [0.0, -0.5])),
        kink(op("std"), ([2.0, 2.0, 2.0], [0.0, 0.0, 0.0])),
        kink(op("std", correction=1), ([0.1, 0.1], [0.0, 0.0])),
    ],
    "`elu`, `leaky_relu`, `prelu` at 0": [
        kink(op("elu", alpha=0.5), ([0.0, 1.0], [0.5, 1.0])),
        kink(op("leaky_relu", slope=0.25), ([-1.0, 0.0, 1.0], [0.25, 0.25, 1.0])),
        kink(op("prelu"), ([-1.0, 0.0, 1.0], [0.25, 0.25, 1.0]), ([0.25], [-1.0])),
        kink(op("celu", alpha=2.0), ([0.0, 1.0], [1.0, 1.0])),
        kink(op("selu"), ([0.0], [1.0507009873554805 * 1.6732632423543772])),
    ],
    "`clip` at a bound": [
        kink(op("clip", lo=-1.0, hi=1.0), ([-2.0, -1.0, 0.0, 1.0, 2.0], [0.0, 1.0, 1.0, 1.0, 0.0])),
        kink(op("clip", lo=0.0), ([-1.0, 0.0, 1.0], [0.0, 1.0, 1.0])),
        kink(op("clip", hi=0.0), ([-1.0, 0.0, 1.0], [1.0, 1.0, 0.0])),
    ],
    "`maximum`, `minimum` of equals": [
        kink(op("maximum"), ([1.0, 2.0, 3.0], [0.5, 1.0, 1.0]), ([1.0, 1.0, 1.0], [0.5, 0.0, 0.0])),
        kink(op("minimum"), ([1.0, 2.0, 3.0], [0.5, 0.0, 0.0]), ([1.0, 1.0, 1.0], [0.5, 1.0, 1.0])),
        kink(lambda x: build.maximum(x, 0), ([-1.0, 0.0, 1.0], [0.0, 0.5, 1.0])),
        kink(lambda x: build.minimum(0, x), ([-1.0, 0.0, 1.0], [1.0, 0.5, 0.0])),
        kink(op("maximum"), ([INF, INF], [0.5, 1.0]), ([INF, 0.0], [0.5, 0.0])),
    ],
    "`max`, `min`, `segment_max`, `scatter_max` of equals; `norm` of infinite order": [
        kink(op("max"), ([1.0, 3.0, 3.0, 2.0], [0.0, 0.5, 0.5, 0.0])),
        kink(op("min", axes=[1]), ([[1.0, 1.0, 1.0], [3.0, 2.0, 3.0]], [[1 / 3] * 3, [0.0, 1.0, 0.0]])),
        kink(op("max", axes=[0], keep=True), ([-INF, -INF], [0.5, 0.5])),
        kink(op("norm", order=INF), ([-2.0, 2.0, 1.0], [-0.5, 0.5, 0.0])),
        kink(lambda x: build.segment_max(x, constant(0, 0, 1), count=2), ([3.0, 3.0, 1.0], [0.5, 0.5, 1.0])),
        kink(
            lambda x, y: build.scatter_max(x, constant(0, 0, 1), y, axis=0),
            ([3.0, 1.0], [1 / 3, 0.0]),
            ([3.0, 3.0, 2.0], [1 / 3, 1 / 3, 1.0]),
        ),
    ],
    "`max_pool`, `adaptive_max_pool`, `cummax`, `cummin` of equals": [
        kink(op("cummax", axis=0), ([1.0, 1.0, 0.0, 2.0, 2.0], [3.0, 0.0, 0.0, 2.0, 0.0])),
        kink(op("cummin", axis=0), ([1.0, 1.0, 2.0, 0.0, 0.0], [3.0, 0.0, 0.0, 2.0, 0.0])),
        kink(op("cummax", axis=0), ([-INF, -INF, 1.0], [2.0, 0.0, 1.0])),
        kink(op("adaptive_max_pool", size=[2]), ([[[1.0, 1.0, 1.0]]], [[[1.0, 1.0, 0.0]]])),
        kink(op("max_pool", kernel=[2]), ([[[1.0, 1.0, 0.0, 2.0]]], [[[1.0, 0.0, 0.0, 1.0]]])),
        kink(op("max_pool", kernel=[2, 2]), ([[[[1.0, 1.0], [1.0, 1.0]]]], [[[[1.0, 0.0], [0.0, 0.0]]]])),
        kink(op("max_pool", kernel=[3], stride=[1], padding=[[1, 1]]), ([[[5.0, 5.0, 5.0]]], [[[2.0, 1.0, 0.0]]])),
    ],
    "`grid_sample` by a point on a cell": [
        kink(reading(padding), ([[[0.0]], [[-1.0]], [[1.0]]], [[[2.0]], [[at_start]], [[at_end]]]))
        for padding, at_start, at_end in (("zeros", 1.0, -4.0), ("border", 0.0, 0.0), ("reflection", 0.0, 0.0))
    ],
    "`l1` of equals, `huber` at `delta`, `hinge` and `triplet` at the margin": [
        kink(of_library("l1(x, y)"), ([1.0, 3.0], [0.0, 1.0]), ([1.0, 2.0], [0.0, -1.0])),
        kink(of_library("huber(x, y, delta = 2)"), ([2.0, 1.0], [2.0, 1.0]), ([0.0, 0.0], [-2.0, -1.0])),
        kink(of_library("hinge(x, y)"), ([1.0, 0.5], [0.0, -1.0]), ([1.0, 1.0], [0.0, -0.5])),
        kink(of_library("triplet(x, y, 2 * y)"), ([0.0, 0.0], [0.0, 0.0]), ([1.0, 0.0], [0.0, 0.0])),
    ],
    "`sort`, `topk` of equals": [
        kink(weighted(op("sort")), ([2.0, 1.0, 2.0, 1.0], [3.0, 1.0, 4.0, 2.0])),
        kink(weighted(op("sort", descending=True)), ([2.0, 1.0, 2.0, 1.0], [1.0, 3.0, 2.0, 4.0])),
        kink(weighted(lambda x: build.topk(x, k=2)[0]), ([2.0, 1.0, 2.0, 2.0], [1.0, 0.0, 2.0, 0.0])),
        kink(weighted(lambda x: build.topk(x, k=2, largest=False)[0]), ([1.0, 2.0, 1.0, 1.0], [1.0, 0.0, 2.0, 0.0])),
    ],
    "`median`, `quantile` of equals": [
        kink(op("median"), ([2.0, 1.0, 2.0, 2.0], [0.5, 0.0, 0.5, 0.0])),
        kink(op("quantile", q=0.25), ([3.0, 3.0, 4.0, 3.0, 3.0], [0.0, 1.0, 0.0, 0.0, 0.0])),
    ],
    "`prod`, `cumprod` with zeros": [
        kink(op("prod"), ([2.0, 0.0, 3.0], [0.0, 6.0, 0.0])),
        kink(op("prod"), ([0.0, 0.0, 3.0], [0.0, 0.0, 0.0])),
        kink(op("cumprod", axis=0), ([2.0, 0.0, 3.0], [1.0, 8.0, 0.0])),
        kink(op("cumprod", axis=0), ([0.0, 0.0, 3.0], [1.0, 0.0, 0.0])),
    ],
    "`x ** 0`; `0 ** y` by `y >= 0`": [
        kink(lambda x: x**0, ([0.0, 2.0], [0.0, 0.0])),
        kink(lambda x: x**1, ([0.0, 2.0], [1.0, 1.0])),
        kink(lambda x: x**2, ([0.0, -2.0], [0.0, -4.0])),
        kink(lambda x: x**2.5, ([0.0, 1.0], [0.0, 2.5])),
        kink(
            op("power"),
            ([0.0, 0.0, 0.0, 2.0], [0.0, 1.0, 0.0, 0.0]),
            ([0.0, 1.0, 2.0, 0.0], [0.0, 0.0, 0.0, math.log(2)]),
        ),
        kink(op("power"), ([-2.0, -2.0], [-4.0, 12.0]), ([2.0, 3.0], [NAN, NAN])),
    ],
    "`sqrt`, `x ** p` with `p` below 1, `log`, `rsqrt`, `1 / x`, `cbrt` at 0; `asin`, `acos` at 1": [
        kink(op("sqrt"), ([0.0, 4.0], [INF, 0.25])),
        kink(lambda x: x**0.5, ([0.0, 4.0], [INF, 0.25])),
        kink(op("log"), ([0.0, 2.0], [INF, 0.5])),
        kink(op("rsqrt"), ([0.0, 4.0], [-INF, -0.0625])),
        kink(op("cbrt"), ([0.0, 8.0], [INF, 1 / 12])),
        kink(op("asin"), ([-1.0, 0.0, 1.0], [INF, 1.0, INF])),
        kink(op("acos"), ([-1.0, 0.0, 1.0], [-INF, -1.0, -INF])),
        kink(lambda x: 1 / x, ([0.0, 2.0], [-INF, -0.25])),
    ],
    "the side of a `where` that is not chosen": [
        kink(lambda x: build.where(x > 0, x, 0.0), ([-1.0, NAN, 2.0], [0.0, 0.0, 1.0])),
        kink(lambda x: build.where(build.isfinite(x), x * x, 0.0), ([INF, NAN, 3.0], [NAN, NAN, 6.0])),
        kink(lambda x: build.log(build.where(x > 0, x, 1.0)), ([-1.0, 0.0, 2.0], [0.0, 0.0, 0.5])),
        kink(lambda x: build.where(x > 0, build.sqrt(x), 0.0), ([0.0, 4.0], [NAN, 0.25])),
        kink(lambda x: build.where(x > 0, build.log(x), 0.0), ([0.0, 4.0], [NAN, 0.25])),
    ],
    "`floor`, `ceil`, `round`, `trunc`, `sign`, `//`, comparisons, casts to integers": [
        *(kink(op(name), ([-1.5, 0.0, 2.0], [0.0, 0.0, 0.0])) for name in ("floor", "ceil", "round", "trunc", "sign")),
        kink(lambda x, y: x // y, ([3.0, 2.0], [0.0, 0.0]), ([2.0, 2.0], [0.0, 0.0])),
        kink(lambda x: build.cast(x > 0, x.dtype), ([0.0, 1.0], [0.0, 0.0])),
    ],
    "`a % b`, `fmod`, `frac` where `b` divides `a`": [
        kink(lambda x, y: x % y, ([3.0, 4.0], [1.0, 1.0]), ([2.0, 2.0], [-1.0, -2.0])),
        kink(op("fmod"), ([-3.0, 4.0], [1.0, 1.0]), ([2.0, 2.0], [1.0, -2.0])),
        kink(op("frac"), ([-1.5, 2.0], [1.0, 1.0])),
    ],
    "`softplus`, `sigmoid`, `softmax`, `logsumexp` far out": [
        kink(op("softplus"), ([-1000.0, 0.0, 1000.0, INF, -INF], [0.0, 0.5, 1.0, 1.0, 0.0])),
        kink(op("sigmoid"), ([-1000.0, 0.0, 1000.0, INF, -INF], [0.0, 0.25, 0.0, 0.0, 0.0])),
        kink(weighted(op("softmax")), ([0.0, -INF, 0.0], [-0.5, 0.0, 0.5])),
        kink(op("logsumexp"), ([0.0, -INF, 0.0], [0.5, 0.0, 0.5])),
        kink(op("logsumexp"), ([1000.0, 1000.0], [0.5, 0.5])),
        kink(op("logsumexp"), ([-INF, -INF], [NAN, NAN])),
    ],
    "`stop_gradient`": [kink(lambda x: x * build.stop_gradient(x), ([3.0], [3.0]))],
}
CASES = [(row, number) for row, kinks in KINKS.items() for number in range(len(kinks))]


def rows() -> list[str]:
    """The first column of the table in the section on kinks."""
    section = PAGE.read_text(encoding="utf-8").partition("## Gradients at kinks")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [line.split(" | ")[0].removeprefix("| ") for line in lines[1:]]


def test_every_row_of_the_page_is_tested():
    assert list(KINKS) == rows()


@pytest.mark.parametrize(("row", "number"), CASES)
def test_the_graph_gives_the_gradient_of_the_page(row: str, number: int) -> None:
    case = KINKS[row][number]
    graph = case.graph()
    found = interpret(with_gradients(graph), [*map(np.array, case.inputs), np.array(1.0)]).outputs[1:]
    check(found, case, str(graph))


@pytest.mark.parametrize(("row", "number"), CASES)
@pytest.mark.parametrize("target", ["numpy", "torch", "jax"])
def test_backends_give_the_gradient_of_the_page(target: str, row: str, number: int) -> None:
    if target != "numpy":
        pytest.importorskip(target)
    case = KINKS[row][number]
    program = compile(case.graph(), target)
    inputs = [np.array(x) for x in case.inputs]
    check(program.gradients({}, *inputs, cotangents=[np.array(1.0)]).inputs, case, program.source)


def check(found: Any, case: Kink, about: str) -> None:
    for gradient, wanted in zip(found, case.gradients, strict=True):
        np.testing.assert_allclose(gradient, wanted, rtol=1e-12, atol=1e-15, err_msg=about)
