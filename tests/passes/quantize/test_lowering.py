"""The rules of the pass `integer`, one by one: what they make, and what they decline and why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from architrave.ir import build
from architrave.ir.graph import Graph, Value
from architrave.ir.interpret import interpret
from architrave.passes import apply
from architrave.passes.pipeline import Transformed
from architrave.passes.static import Static

SCALE, ZERO = 0.05, -7


def rounded(x: Value, scale: float = SCALE, zero: int | None = ZERO, **options: Any) -> Value:
    """A tensor, rounded by numbers that are part of the network."""
    offset = None if zero is None else build.full(zero, [], "i32")
    result: Value = build.fake_quantize(x, build.full(scale, []), offset, **options)
    return result


def lowered(inputs: list[Value], output: Value) -> tuple[Graph, Transformed]:
    graph = build.graph("net", inputs, [output])
    return graph, apply(graph, "integer,simplify,dead")


def names(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes]


def floats_between(graph: Graph) -> set[str]:
    """The operators that make floats of what depends on the input, but for the way out."""
    static = Static(graph)
    made = {node.op.name for node in graph.nodes if node.outputs[0] not in static and node.outputs[0].dtype.is_float}
    return made - {"input", "dequantize"}


X = build.input("x", "[N, 4, 6, 6]")
FLAT = build.input("x", "[N, 4]")
RNG: Any = np.random.default_rng(0)


def kernel(*shape: int) -> Value:
    """A weight, rounded along its outputs."""
    array = RNG.normal(size=shape).astype(np.float32)
    scale = np.abs(array).reshape(shape[0], -1).max(1).reshape(-1, *(1,) * (len(shape) - 1)) / 127
    result: Value = build.fake_quantize(constant(array), constant(scale), narrow=True)
    return result


def constant(array: Any) -> Value:
    from architrave.ir.graph import apply as applied
    from architrave.ir.storage import constant_of
    from architrave.ir.types import DType

    return applied(constant_of(np.asarray(array, np.float64), DType.FLOAT, np.shape(array)))


CASES = {
    "conv": (X, lambda x: build.conv(x, kernel(8, 4, 3, 3), constant(RNG.normal(size=8)), padding=[[1, 1], [1, 1]])),
    "depthwise": (X, lambda x: build.conv(x, kernel(4, 1, 3, 3), stride=[2, 2], groups=4)),
    "linear": (FLAT, lambda x: build.linear(x, kernel(5, 4), constant(RNG.normal(size=5)))),
    "relu": (X, lambda x: build.relu(build.conv(x, kernel(8, 4, 1, 1)))),
    "relu6": (X, lambda x: build.relu6(build.conv(x, kernel(8, 4, 1, 1)))),
    "clip": (X, lambda x: build.clip(build.conv(x, kernel(8, 4, 1, 1)), lo=-0.3, hi=0.2)),
    "moved": (X, lambda x: build.reshape(build.max_pool(x, kernel=[2, 2]), [-1, 9])),
    "number": (X, lambda x: build.conv(x, kernel(8, 4, 1, 1)) * 0.125),
    "matmul": (X, lambda x: x @ rounded(x, 0.03, 2)),
    "turned": (X, lambda x: build.einsum(x, x, equation="...td,...sd->...ts")),
    "times": (X, lambda x: x * rounded(x, 0.03, 2)),
    "norm": (
        X,
        lambda x: build.batch_norm(
            x, *(constant(v) for v in ([0.1, 0, 2, -1], [1, 0.3, 2, 4.0], [1, -2, 0, 0.5], [0, 1, 3, -1]))
        ),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_integers_come_within_a_step_of_what_was_rounded(name: str) -> None:
    x, network = CASES[name]
    graph, made = lowered([x], rounded(network(rounded(x)), 0.04, 3))
    assert floats_between(made.graph) == set(), str(made.graph)
    given = RNG.normal(size=tuple(3 if i == 0 else int(str(s)) for i, s in enumerate(x.shape))) * 3
    (wanted,), (found,) = (interpret(g, [given], {}).outputs for g in (graph, made.graph))
    steps = np.rint((found - wanted) / 0.04)
    assert np.abs(steps).max() <= 1
    # One apart are those alone that lie near a tie.
    assert (steps != 0).mean() < 0.02


DECLINED = {
    "32 bits might not hold the sum of 70000 products": lambda: (
        build.input("x", "[N, 70000]"),
        lambda x: build.linear(rounded(x), rounded(build.param("w", "[3, 70000]"), zero=None)),
    ),
    "is known in the run alone": lambda: (
        build.input("x", "[N, 4, M]"),
        lambda x: build.einsum(rounded(x), rounded(x), equation="...td,...sd->...ts"),
    ),
    "its weight is not rounded": lambda: (FLAT, lambda x: build.linear(rounded(x), build.param("w", "[3, 4]"))),
    "one of its operands is not rounded": lambda: (
        FLAT,
        lambda x: build.linear(x, rounded(build.param("w", "[3, 4]"))),
    ),
    "more than 8 bits": lambda: (FLAT, lambda x: build.linear(rounded(x, bits=12), kernel(3, 4))),
    "has a zero point, or scales for groups": lambda: (
        FLAT,
        lambda x: build.linear(rounded(x), rounded(build.param("w", "[3, 4]"))),
    ),
    "more than one scale": lambda: (
        FLAT,
        lambda x: build.linear(build.fake_quantize(x, constant([1, 2, 3, 4.0])), kernel(3, 4)),
    ),
}


@pytest.mark.parametrize("reason", DECLINED)
def test_what_stays_in_floats_says_why(reason: str) -> None:
    x, network = DECLINED[reason]()
    _, made = lowered([x], network(x))
    assert [entry.reason for entry in made.journal.declined if reason in str(entry.reason)]
    assert {"linear", "einsum"} & set(names(made.graph))


def test_a_tensor_that_is_rounded_twice_alike_stays() -> None:
    setting = build.full(SCALE, []), build.full(ZERO, [], "i32")
    once = build.fake_quantize(X, *setting)
    _, made = lowered([X], build.fake_quantize(build.transpose(once, [0, 2, 3, 1]), *setting))
    assert names(made.graph).count("quantize") == 1
    assert "requantize" not in names(made.graph)
