"""ReSTE: the sign with the gradient of a root, which a power brings nearer to it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.interpret import interpret
from architrave.passes import apply
from architrave.passes.quantize.bits.cost import binary_cost
from tests.quantize.papers.binary import Array, drawn, network, slopes, value

RNG: Any = np.random.default_rng(0)
X = np.concatenate([np.linspace(-2, 2, 81), [0.0, 0.1, -0.1, 1.5, -1.5]])


def rooted(power: float, more: str = "") -> dict[str, Array]:
    return slopes(f"rooted(x, full([], {power}){more})", X)


def test_a_power_of_one_is_straight_through() -> None:
    for backend, found in rooted(1.0, ", truncate = 1.0").items():
        np.testing.assert_array_equal(found, slopes("clipped(x)", X)[backend], err_msg=backend)


@pytest.mark.parametrize("power", [1.0, 1.5, 2.0, 3.0])
def test_the_slope_is_that_of_the_root(power: float) -> None:
    size = np.maximum(abs(X), 1e-300)
    expected = np.where(size > 0.1, size ** ((1 - power) / power) / power, 0.1 ** (1 / power) / 0.1)
    for backend, found in rooted(power).items():
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found, expected * (abs(X) <= 1.5), atol=1e-6, err_msg=backend)


def test_the_example() -> None:
    for found in slopes("rooted(x, full([], 2.0))", np.array([0.5, 0.0])).values():
        assert found[0] == pytest.approx(0.70711, abs=5e-6)
        assert np.isfinite(found[1])


def test_the_root_becomes_the_sign() -> None:
    x = RNG.uniform(-1.5, 1.5, size=1000)
    sign = value("rooted(x, full([], 2.0))", x)
    assert set(np.unique(sign)) == {-1.0, 1.0}
    errors = [np.linalg.norm(sign - value(f"root(x, full([], {power}))", x)) for power in (1, 2, 3, 10, 1e3, 1e6)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-3


def test_the_slope_belongs_to_the_root() -> None:
    x = np.concatenate([-1, 1] * RNG.uniform(0.11, 1.49, size=(50, 2)))
    for power in (1.0, 2.0, 3.0):
        step = 1e-6
        up, down = (value(f"root(x, full([], {power}))", x + d) for d in (step, -step))
        np.testing.assert_allclose(slopes(f"rooted(x, full([], {power}))", x)["oracle"], (up - down) / (2 * step), 1e-6)


def test_the_power_grows_while_training() -> None:
    graph = network("x -> a: reste(end = 3.0, steps = 4)")
    weights, x = drawn(graph), RNG.normal(size=(2, 4))
    weights["a.power"] = np.array(1.0)
    seen = []
    for _ in range(6):
        weights |= interpret(graph, [x], weights, training=True).updates
        seen.append(float(weights["a.power"]))
    assert seen == [1.5, 2.0, 2.5, 3.0, 3.0, 3.0]
    assert interpret(graph, [x], weights | {"a.power": np.array(2.0)}).updates == {"a.power": 2.0}


def test_the_network_for_digits_becomes_bits() -> None:
    graph = architrave.load(Path(__file__).parents[3] / "examples" / "digits" / "binary.arch")
    packed = apply(graph, "inference,binary,hoist")
    assert [entry.rule for entry in packed.journal.changes].count("signs-to-bits") == 6
    weights, x = architrave.init(graph), RNG.normal(size=(4, 1, 8, 8))
    new = packed.weights(weights)
    assert sum(w.nbytes for w in weights.values()) > 15 * sum(w.nbytes for w in new.values())
    expected = architrave.compile(graph, backend="numpy")(weights, x)
    found = architrave.compile(packed.graph, backend="numpy")(new, x)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    cost = binary_cost(apply(graph, "inference").graph, {"N": 1})
    assert cost.multiply_adds > 29 * cost.operations
