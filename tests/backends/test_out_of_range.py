"""What is out of range has one meaning on every backend: indices, integers, quotients, casts, sizes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from architrave.backends.load import compile
from architrave.ir import build
from architrave.ir.arrays import dtype_of
from architrave.ir.autodiff import with_gradients
from architrave.ir.graph import Graph, Value
from architrave.ir.interpret import interpret
from architrave.ir.source import ArchitraveError
from architrave.ir.types import DType, TensorType

TARGETS = ("oracle", "numpy", "torch", "jax")
NAN, INF = float("nan"), float("inf")
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Case:
    """A function of arrays, what it gives, and what flows back to the first array from ones."""

    function: Callable[..., Value]
    inputs: tuple[Any, ...]
    result: Any
    gradient: Any = None

    def arrays(self) -> list[Array]:
        """With one float more, so that programs compute in float64, and integers have 64 bits in JAX, too."""
        return [*map(np.asarray, self.inputs), np.zeros(1)]

    def graph(self) -> Graph:
        types = [TensorType(dtype_of(x), x.shape) for x in self.arrays()]
        inputs = [build.input(f"x{i}", type) for i, type in enumerate(types)]
        return build.graph("Case", inputs, [self.function(*inputs[:-1])])


def op(name: str, **attributes: Any) -> Callable[..., Value]:
    return lambda *operands: getattr(build, name)(*operands, **attributes)


def full(value: float, count: int) -> Value:
    return build.full(value=value, shape=[count])  # type: ignore[no-any-return]


X, ROWS, INDEX = [10.0, 20.0, 30.0], [[1.0], [2.0], [4.0], [8.0]], [-1, 0, 2, 3]
SIGNED, INTEGERS = ("int8", "int16", "int32", "int64"), ("int8", "int16", "int32", "int64", "uint8", "uint32")
BIG = [NAN, INF, -INF, 1e30, -1e30, 300.5, -300.5, 0.5]


def wrapped(dtype: str, *values: int) -> Array:
    """Python's integers in fewer bits."""
    bits = np.iinfo(dtype).bits
    return np.array([v % 2**bits for v in values], f"uint{bits}").astype(dtype)


def overflow(dtype: str) -> Case:
    most = int(np.iinfo(dtype).max)
    found = wrapped(dtype, most + 1, most * 2, most * most, -most, most**3)
    return Case(lambda x: build.concat(x + 1, x * 2, x * x, -x, x**3, axis=0), (np.array([most], dtype),), found)


def quotients(dtype: str) -> dict[str, Case]:
    least = int(np.iinfo(dtype).min)
    a, b = np.array([[7], [-7], [least]], dtype), np.array([0, -1, -2], dtype)
    down = np.array([wrapped(dtype, 0, -v, v // -2) for v in (7, -7, least)])
    rest = np.array([[0, 0, v % -2] for v in (7, -7, least)], dtype)
    return {
        f"// of {dtype}": Case(op("floor_divide"), (a, b), down),
        f"% of {dtype}": Case(op("remainder"), (a, b), rest),
        f"// 0 of {dtype}": Case(lambda x: x // 0, (a,), np.zeros((3, 1), dtype)),
        f"// -1 of {dtype}": Case(lambda x: x // -1, (a,), down[:, 1:2]),
        f"% 0 of {dtype}": Case(lambda x: x % 0, (a,), np.zeros((3, 1), dtype)),
        f"7 // of {dtype}": Case(lambda x: build.floor_divide(7, x), (b,), np.array([0, -7, -4], dtype)),
        f"negative powers of {dtype}": Case(
            op("power"),
            (np.array([2, 1, -1, 0, -3], dtype), np.array([[-1], [-2], [-3]], dtype)),
            [[0, 1, (-1) ** n, 0, 0] for n in (1, 2, 3)],
        ),
        f"x ** -1 of {dtype}": Case(lambda x: x**-1, (np.array([2, 1, -1, 0], dtype),), np.array([0, 1, -1, 0], dtype)),
    }


def cast(dtype: DType, name: str) -> Case:
    low, high = np.iinfo(name).min, np.iinfo(name).max
    found = [0, high, low, high, low, min(300, high), max(-300, low), 0]
    return Case(op("cast", dtype=dtype), (BIG,), np.array(found, name), [0.0] * len(BIG))


CASES: dict[str, Case] = {
    # Reading clamps.
    "take": Case(op("take", axis=0), (X, INDEX), [10.0, 10, 30, 30], [2, 0, 2]),
    "take with a narrow index": Case(op("take", axis=0), (X, np.array([-128, 127], np.int8)), [10.0, 30], [1, 0, 1]),
    "take along the last axis": Case(op("take", axis=1), ([[1.0, 2.0]], [-7, 7]), [[1.0, 2]], [[1, 1]]),
    "gather": Case(op("gather", axis=0), (X, INDEX), [10.0, 10, 30, 30], [2, 0, 2]),
    "embedding_bag": Case(op("embedding_bag"), (ROWS, [[-1, 9]]), [[9.0]], [[1], [0], [0], [1]]),
    # Writing leaves out.
    "scatter": Case(lambda x, i: build.scatter(x, i, full(7, 4), axis=0), (X, INDEX), [7.0, 20, 7], [0, 1, 0]),
    "scatter_add": Case(lambda x, i: build.scatter_add(x, i, full(1, 4), axis=0), (X, INDEX), [11.0, 20, 31], [1] * 3),
    "scatter_max": Case(
        lambda x, i: build.scatter_max(x, i, full(25, 4), axis=0), (X, INDEX), [25.0, 20, 30], [0, 1, 1]
    ),
    "what scatter reads": Case(
        lambda s, i: build.scatter(full(0, 3), i, s, axis=0), ([1.0, 2.0, 4.0, 8.0], INDEX), [2.0, 0, 4], [0, 1, 1, 0]
    ),
    "what scatter_add reads": Case(
        lambda s, i: build.scatter_add(full(0, 3), i, s, axis=0),
        ([1.0, 2.0, 4.0, 8.0], INDEX),
        [2.0, 0, 4],
        [0, 1, 1, 0],
    ),
    "segment_sum": Case(op("segment_sum", count=3), (ROWS, INDEX), [[2.0], [0], [4]], [[0], [1], [1], [0]]),
    "segment_mean": Case(op("segment_mean", count=3), (ROWS, INDEX), [[2.0], [0], [4]], [[0], [1], [1], [0]]),
    "segment_max": Case(op("segment_max", count=3), (ROWS, INDEX), [[2.0], [-INF], [4]], [[0], [1], [1], [0]]),
    "segment_softmax": Case(op("segment_softmax", count=3), (ROWS, INDEX), [[0.0], [1], [1], [0]], [[0]] * 4),
    "max_unpool": Case(op("max_unpool", size=[3]), ([1.0, 2.0, 4.0, 8.0], INDEX), [2.0, 0, 4], [0, 1, 1, 0]),
    "one_hot": Case(op("one_hot", count=3), (INDEX,), [[0.0, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]]),
    "one_hot of a narrow index": Case(
        op("one_hot", count=2, dtype=DType.I64), (np.array([255, 1], np.uint8),), [[0, 0], [0, 1]]
    ),
    **{f"overflow of {dtype}": overflow(dtype) for dtype in INTEGERS},
    **{name: case for dtype in SIGNED for name, case in quotients(dtype).items()},
    "// 0 of u32": Case(
        op("floor_divide"), (np.array([5, 7], np.uint32), np.array([0, 2], np.uint32)), np.array([0, 3], np.uint32)
    ),
    "% 0 of u8": Case(
        op("remainder"), (np.array([5, 7], np.uint8), np.array([0, 2], np.uint8)), np.array([0, 1], np.uint8)
    ),
    **{f"cast to {name}": cast(dtype_of(np.zeros(0, name)), name) for name in INTEGERS},
    "cast to truth values": Case(op("cast", dtype=DType.BOOL), (BIG,), [True] * len(BIG)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("target", TARGETS)
def test_result(target: str, name: str) -> None:
    case = CASES[name]
    graph, wanted = case.graph(), np.asarray(case.result)
    (found,) = (
        interpret(graph, case.arrays()) if target == "oracle" else program(graph, target).run({}, *case.arrays())
    ).outputs
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.gradient is not None])
@pytest.mark.parametrize("target", TARGETS)
def test_gradient(target: str, name: str) -> None:
    case = CASES[name]
    graph = case.graph()
    if graph.outputs[0].dtype.is_integer:
        pytest.skip("nothing flows back through integers")
    ones = np.ones(np.shape(case.result))
    if target == "oracle":
        found = interpret(with_gradients(graph), [*case.arrays(), ones]).outputs[1]
    else:
        found = program(graph, target).gradients({}, *case.arrays(), cotangents=[ones]).inputs[0]
    np.testing.assert_array_equal(found, np.asarray(case.gradient, float))


SIZES: dict[str, tuple[str, Callable[[Value], Value], int, str]] = {
    "a negative size": ("[N]", lambda x: full(1, x.shape[0] - 5), 3, "E307"),  # type: ignore[arg-type]
    "a window that does not fit": ("[1, 1, N]", op("max_pool", kernel=[5]), 3, "E307"),
    "nothing to choose from": (
        "[N]",
        lambda x: build.argmax(build.slice(x, [1], x.shape, [1])),
        1,
        "E310",
    ),
}


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("target", TARGETS)
def test_a_size_that_only_the_run_tells(target: str, name: str) -> None:
    type, function, size, code = SIZES[name]
    x = build.input("x", type)
    graph = build.graph("Sizes", [x], [function(x)])
    array = np.ones([1] * (x.rank - 1) + [size])
    with pytest.raises(ArchitraveError) as problem:
        interpret(graph, [array]) if target == "oracle" else program(graph, target).run({}, array)
    assert problem.value.diagnostics[0].code == code


def program(graph: Graph, target: str) -> Any:
    if target != "numpy":
        pytest.importorskip(target)
    return compile(graph, target)
