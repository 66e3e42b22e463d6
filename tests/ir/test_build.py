"""Building graphs from Python: operators by name, what they refuse, types from text."""

import contextlib
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from architrave.ir import build
from architrave.ir.dims import symbol
from architrave.ir.graph import Graph, Value
from architrave.ir.interpret import interpret
from architrave.ir.op import OPS
from architrave.ir.source import ArchitraveError
from architrave.ir.types import DType, TensorType

X = build.input("x", "[N, 3, 8, 8]")
W = build.param("w", "[4, 3, 3, 3]")
B = build.param("b", "[4]")


def test_a_network_is_built_and_runs() -> None:
    x = build.input("x", "[N, 3]")
    weight, bias = build.param("fc.weight", "[2, 3]"), build.param("fc.bias", "[2]")
    seen = build.state("seen", "[]")
    y = build.relu(build.linear(x, weight, bias))
    graph = build.graph("net", [x], [y], updates=[(seen, seen + 1.0)])
    assert [v.op.path for v in graph.weights] == ["fc.weight", "fc.bias", "seen"]  # type: ignore[attr-defined]
    values = {"fc.weight": np.ones((2, 3)), "fc.bias": np.array([-7.0, 1.0]), "seen": np.array(4.0)}
    result = interpret(graph, [np.array([[1.0, 2.0, 3.0]])], values)
    assert result.outputs[0].tolist() == [[0, 7]]
    assert result.updates["seen"] == 5


def test_arguments_go_by_position_and_by_name() -> None:
    ways = [
        build.conv(X, W, B, (2, 2), ((1, 1), (1, 1))),
        build.conv(X, W, B, stride=[2, 2], padding=[[1, 1], [1, 1]]),
        build.call("conv", x=X, weight=W, bias=B, padding=((1, 1), (1, 1)), stride=(2, 2)),
        build.conv(X, bias=B, weight=W, stride=[np.int64(2), 2], padding=[(1, 1), [1, 1]]),
    ]
    assert len({way.node.hash for way in ways}) == 1
    assert build.conv(X, W, None).node.operands == (X, W)
    assert (
        build.concat(X, X, 1).type == build.concat(X, X, axis=1).type == TensorType(DType.FLOAT, (symbol("N"), 6, 8, 8))
    )


def test_numbers_are_lifted_and_converted() -> None:
    assert build.add(X, 1).node.operands[1].type == TensorType(DType.FLOAT, ())
    assert build.add(build.input("i", "i32[2]"), 1).dtype is DType.I32
    assert build.add(build.input("i", "i32[2]"), 0.5).dtype is DType.FLOAT
    assert build.leaky_relu(X, slope=1).op == OPS["leaky_relu"](slope=1.0)
    assert build.clip(X, lo=0, hi=6.0).op == OPS["clip"](lo=0, hi=6.0)
    assert build.cast(X, "bf16").dtype is DType.BF16
    assert build.multiply(X, symbol("N")).node.operands[1].op == OPS["full"](value=symbol("N"), shape=())


def test_several_results_are_a_tuple() -> None:
    values, places = build.topk(X, 2)
    assert (values.node, values.index, places.index) == (places.node, 0, 1)


REFUSED: list[tuple[str, Callable[[], Any], str]] = [
    ("E210", lambda: build.call("rellu", X), "did you mean `relu`?"),
    ("E211", lambda: build.conv(X), "`conv` needs the tensor `weight`"),
    ("E211", lambda: build.softmax(X, 1, 2), "takes at most 2 arguments, not 3"),
    ("E211", lambda: build.layer_norm(X, None, B), "cannot take `bias` without `weight`"),
    ("E212", lambda: build.softmax(X, 1, axis=1), "gets `axis` twice"),
    ("E212", lambda: build.relu(X, x=X), "gets `x` twice"),
    ("E213", lambda: build.relu("x"), "`x` of `relu` must be a tensor, not a str"),
    ("E213", lambda: build.relu([X]), "not a list"),
    ("E214", lambda: build.conv(X, W, strid=(1, 1)), "did you mean `stride`?"),
    ("E214", lambda: build.cast(X), "`cast` needs `dtype`"),
    ("E215", lambda: build.softmax(X, axis=1.5), "`axis` of `softmax` must be `int`, not `1.5`"),
    ("E215", lambda: build.softmax(X, axis=True), "must be `int`, not `true`"),
    ("E215", lambda: build.softmax(X, axis=None), "must be `int`, not `none`"),
    ("E215", lambda: build.conv(X, W, stride=2), "must be `[int, ...]`, not `2`"),
    ("E215", lambda: build.conv(X, W, padding=[1, 1]), "must be `[[int, int], ...]`, not `[1, 1]`"),
    ("E215", lambda: build.conv(X, W, padding=[[1, 1, 1]]), "must be `[[int, int], ...]`"),
    ("E215", lambda: build.gelu(X, approximate="erf"), 'must be `"none" or "tanh"`, not `"erf"`'),
    ("E215", lambda: build.transpose(X, X), "not `a Value`"),
    ("E215", lambda: build.cast(X, "f31"), "must be `dtype`"),
    ("E215", lambda: build.leaky_relu(X, 10**400), "must be `float`"),
    ("E215", lambda: build.sum(X, keep=1), "must be `bool`, not `1`"),
    ("E215", lambda: build.call("scan", X, body=1, carries=1, sequences=0, length=2), "must be `Graph`, not `1`"),
    ("E302", lambda: build.softmax(X, axis=4), "there is no axis 4"),
    ("E307", lambda: build.full(1.0, [-1]), "must be at least 0"),
]


@pytest.mark.parametrize(("code", "apply", "message"), REFUSED)
def test_what_does_not_fit_is_refused(code: str, apply: Callable[[], Any], message: str) -> None:
    with pytest.raises(ArchitraveError) as caught:
        apply()
    assert caught.value.diagnostics[0].code == code
    assert message in str(caught.value)


JUNK = [None, True, 0, -1, 10**30, 2.5, float("nan"), "", "i32", [], [[]], [1], [[1, 2]], (1, "a"), {}, X, symbol("N")]


@pytest.mark.parametrize("name", OPS)
def test_no_argument_ends_in_a_traceback(name: str) -> None:
    op = OPS[name]
    for junk in JUNK:
        attempts: list[dict[str, Any]] = [{a: junk} for a in (*op.attributes, *(o.name for o in op.operands))]
        for attributes in (*attempts, dict.fromkeys(op.attributes, junk)):
            for operands in ((), (X,), (X, X), (X, X, X), (junk,)):
                with contextlib.suppress(ArchitraveError):
                    build.call(name, *operands, **attributes)


@pytest.mark.parametrize("name", OPS)
def test_every_operator_is_a_documented_function(name: str) -> None:
    if name in build.__all__ or not name.isidentifier() or name == "while":
        return
    function = getattr(build, name)
    assert function.__doc__ == OPS[name].__doc__
    assert list(inspect.signature(function).parameters) == [
        *(o.name for o in OPS[name].operands),
        *OPS[name].attributes,
    ]
    assert name in dir(build)


def test_there_is_no_function_for_what_is_no_operator() -> None:
    with pytest.raises(AttributeError, match="there is no operator `rellu`"):
        build.rellu  # noqa: B018


def graph_of(*outputs: Value, inputs: tuple[Value, ...] = (X,), **more: Any) -> Graph:
    return build.graph("g", inputs, outputs, **more)


def test_faulty_graphs_are_refused() -> None:
    other = build.input("other", "[2]")
    twin = build.param("b", "[4]")
    state = build.state("s", "[4]")
    cases: list[tuple[str, Callable[[], Graph]]] = [
        ("E216", lambda: graph_of(X, other)),
        ("E216", lambda: graph_of(X, inputs=(X, B))),
        ("E217", lambda: graph_of(B + twin)),
        ("E218", lambda: graph_of(X, updates=[(B, B + 1.0)])),
        ("E218", lambda: graph_of(X, updates=[(state, build.sum(state))])),
    ]
    for code, attempt in cases:
        with pytest.raises(ArchitraveError, match=code):
            attempt()


def test_weights_may_be_given() -> None:
    assert graph_of(X, weights=[B, W]).weights == (B, W)
    assert graph_of(build.conv(X, W)).weights == (W,)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("f32[N, 3, H, W]", "f32[N, 3, H, W]"),
        ("[]", "[]"),
        ("float[2]", "[2]"),
        (" bool [ 1_000 ] ", "bool[1000]"),
        ("i64[2*N + 1, -N + 5]", "i64[2*N + 1, -N + 5]"),
        ("[(H - 1)//2 + 1, 12/4, 7 // 2]", "[(H + 1)//2, 3, 3]"),
        ("[N*(H//2), (N + 1)*(N - 1)]", "[(H//2)*N, N*N - 1]"),
        ("[2*3 - 4 - 1]", "[1]"),
        (f"[{'(' * 5000}N{')' * 5000}]", "[N]"),
    ],
)
def test_types_are_read(text: str, printed: str) -> None:
    type = build.parse_type(text)
    assert str(type) == printed
    assert build.parse_type(printed) == type


@pytest.mark.parametrize(
    "text",
    [
        *("", "f32", "f31[2]", "[N", "N]", "[N,]", "[3 4]", "[(3]", "[3)]", "[3/2]", "[3//0]", "[+]", "[()]", "[3-]"),
        *("[-4]", "[a.b]", "[*3]", "[3(4)]", "[3(]", "[N N]", f"[{'9' * 5000}]", "[N; 2]", "[\x00]", "[²]", "[f('x')]"),
    ],
)
def test_what_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(ArchitraveError, match="E219"):
        build.parse_type(text)


def test_symbolic_sizes_compute_with_tensors_from_either_side():
    n, x = symbol("N"), build.input("x", "[N]")
    assert [v.op.name for v in (n - x, n + x, n * x, x - n)] == ["subtract", "add", "multiply", "subtract"]
