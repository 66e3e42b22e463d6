"""Initial values: known random bits, distributions, scales, and independence of what stands around a weight."""

import hashlib
import math
from statistics import NormalDist

import numpy as np
import pytest

from architrave.ir import draws
from architrave.ir.graph import Graph, make
from architrave.ir.initial import INITIALIZERS, draw, fans, initial
from architrave.ir.initializers import init
from architrave.ir.ops.leaves import Arange, Initial
from architrave.ir.source import ArchitraveError
from architrave.ir.threefry import threefry
from architrave.ir.types import DType
from tests.ir.graphs import param

PI = [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344]


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ([0, 0], [0, 0], [0x6B200159, 0x99BA4EFE]),
        ([0xFFFFFFFF] * 2, [0xFFFFFFFF] * 2, [0x1CB996FC, 0xBB002BE7]),
        (PI[:2], PI[2:], [0xC4923A9C, 0x483DF7A0]),
    ],
)
def test_threefry_gives_the_published_bits(counter: list[int], key: list[int], expected: list[int]) -> None:
    result = threefry(np.array(key, np.uint32)[:, None], np.array(counter, np.uint32)[:, None])
    assert result[:, 0].tolist() == expected


def values(start: Initial, shape: tuple[int, ...], path: str = "w", seed: int = 0) -> np.ndarray:
    weight = param(path, shape, start)
    return init(Graph("g", (), (), (weight,)), seed, np.float64)[path]


@pytest.mark.parametrize("kind", INITIALIZERS)
def test_every_initializer_fills_a_weight(kind: str) -> None:
    start = initial(kind, value=0.25) if kind == "full" else initial(kind)
    value = values(start, (6, 4, 3, 3))
    assert value.shape == (6, 4, 3, 3)
    assert np.isfinite(value).all()


@pytest.mark.parametrize(
    ("start", "mean", "std", "low", "high"),
    [
        (initial("normal", 0.02), 0, 0.02, -0.12, 0.12),
        (initial("normal", std=2, mean=5), 5, 2, -7, 17),
        (initial("trunc_normal", 0.02), 0, 0.02 * 0.87962566, -0.04, 0.04),
        (initial("uniform", -1, 3), 1, 4 / math.sqrt(12), -1, 3),
        (initial("kaiming_normal", nonlinearity="relu"), 0, math.sqrt(2 / 300), -1, 1),
        (initial("kaiming_uniform", a=math.sqrt(5)), 0, 1 / 30, -1 / math.sqrt(300), 1 / math.sqrt(300)),
        (initial("kaiming_normal", mode="fan_out"), 0, math.sqrt(2 / 1000), -1, 1),
        (initial("xavier_uniform"), 0, math.sqrt(2 / 1300), -math.sqrt(6 / 1300), math.sqrt(6 / 1300)),
        (initial("xavier_normal", gain=3), 0, 3 * math.sqrt(2 / 1300), -1, 1),
    ],
    ids=str,
)
def test_distributions(start: Initial, mean: float, std: float, low: float, high: float) -> None:
    value = values(start, (1000, 300))
    assert abs(value.mean() - mean) < 4 * std / math.sqrt(value.size)
    assert value.std() == pytest.approx(std, rel=0.01)
    assert low <= value.min()
    assert value.max() <= high


@pytest.mark.parametrize("shape", [(5, 5), (3, 7), (7, 3), (4, 2, 3, 3), (20, 2, 3), (1, 1), (3, 1)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    matrix = values(initial("orthogonal", 2.0), shape).reshape(shape[0], -1)
    smaller = matrix @ matrix.T if len(matrix) <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(smaller, 4 * np.eye(len(smaller)), atol=1e-14)


def test_identity_of_a_convolution_returns_its_input() -> None:
    value = values(initial("identity"), (3, 2, 3, 5))
    assert value.sum() == 2
    assert value[0, 0, 1, 2] == value[1, 1, 1, 2] == 1


def test_the_inverse_of_the_normal_distribution() -> None:
    chances = np.array([2.0**-33, 1e-6, 0.02, 0.075, 0.0750001, 0.3, 0.5, 0.8, 0.95, 1 - 2.0**-33])
    expected = [NormalDist().inv_cdf(p) for p in chances.tolist()]
    np.testing.assert_allclose(draws.inverse_normal(chances), expected, rtol=4e-15, atol=1e-16)
    np.testing.assert_allclose(draws.logarithm(chances), np.log(chances), rtol=4e-16)


def test_values_are_these_bits_in_every_version() -> None:
    digest = hashlib.sha256()
    for kind in ("normal", "trunc_normal", "uniform", "orthogonal"):
        digest.update(values(initial(kind), (33, 35), "layer1.0.conv1.weight", 2**40 + 1).astype("<f8").tobytes())
    assert digest.hexdigest()[:16] == "2138717e5fee757a"


def test_a_weight_depends_on_seed_and_path_alone() -> None:
    start = initial("normal")
    alone = values(start, (40, 1000), "b")
    weights = tuple(param(path, (40, 1000), start) for path in ("a", "b"))
    assert (init(Graph("g", (), (), weights), 0, np.float64)["b"] == alone).all()
    assert (values(start, (40_000,), "b") == alone.reshape(-1)).all()
    assert (values(start, (40, 1000), "a") != alone).any()
    assert (values(start, (40, 1000), "b", seed=2**32) != alone).any()


def test_weights_take_their_dtypes() -> None:
    weights = (
        param("chosen", (2, 2), initial("normal")),
        param("named", (2, 2), initial("normal"), DType.F16),
        param("steps", (), initial("zeros"), DType.I64),
    )
    graph = Graph("g", (), (), weights)
    assert [w.dtype for w in init(graph).values()] == [np.float32, np.float16, np.int64]
    double = init(graph, dtype=np.float64)["chosen"]
    assert (init(graph)["chosen"] == double.astype(np.float32)).all()


def test_an_initial_value_may_be_a_graph() -> None:
    half = Graph("start", (), (make(Arange(3, DType.FLOAT), ()).outputs[0] * 0.5,))
    weight = param("w", (3,), half)
    assert init(Graph("g", (), (), (weight,)))["w"].tolist() == [0, 0.5, 1]


def test_fans_are_those_of_pytorch() -> None:
    assert fans("x", (64, 3, 7, 5)) == (3 * 35, 64 * 35)


@pytest.mark.parametrize(
    ("kind", "arguments", "named", "says"),
    [
        ("kaiming_norm", (), {}, "did you mean `kaiming_normal`"),
        ("zeros", (1,), {}, "takes no arguments, not 1"),
        ("full", (), {}, "needs `value`"),
        ("normal", (1.0,), {"std": 2.0}, "`std` twice"),
        ("normal", (), {"sdt": 2.0}, "did you mean `std`"),
        ("normal", ("x",), {}, "must be a number"),
        ("kaiming_normal", (), {"mode": 1.0}, "must be a string"),
    ],
)
def test_wrong_arguments(kind: str, arguments: tuple[float, ...], named: dict[str, float], says: str) -> None:
    with pytest.raises(ArchitraveError, match=says):
        initial(kind, *arguments, **named)


@pytest.mark.parametrize(
    ("start", "shape", "says"),
    [
        (initial("kaiming_normal", mode="fan_on"), (2, 2), "one of fan_in, fan_out"),
        (initial("kaiming_normal", nonlinearity="x"), (2, 2), "no nonlinearity `x`"),
        (initial("orthogonal"), (2,), "at least two axes"),
        (initial("xavier_normal"), (), "at least two axes"),
        (Initial("nonsense"), (), "no initializer"),
    ],
)
def test_wrong_shapes_and_modes(start: Initial, shape: tuple[int, ...], says: str) -> None:
    with pytest.raises(ArchitraveError, match=says):
        draw(start, shape)
