"""Complex numbers in the programs of every backend."""

import numpy as np
import pytest

import architrave
from architrave.backends.load import compile
from architrave.ir import build
from architrave.ir.types import DType

BACKENDS = ("numpy", "torch", "jax")
Z = np.array([1 + 2j, -0.5 + 0.25j, -3 - 1j])


def framework(target: str) -> str:
    if target != "numpy":
        pytest.importorskip(target)
    return target


@pytest.mark.parametrize("target", BACKENDS)
@pytest.mark.parametrize(("precision", "whole"), [("float32", "complex64"), ("float64", "complex128")])
def test_complex_numbers_follow_the_precision_of_the_run(target: str, precision: str, whole: str) -> None:
    text = "model M()(x: [N], z: complex[N]) -> complex[N] = cast(x, complex) * z + complex(x, 0.5)"
    x = np.ones(3, precision)
    found = compile(architrave.loads(text), framework(target)).run({}, x, Z).outputs[0]
    assert found.dtype == whole
    np.testing.assert_allclose(found, Z + 1 + 0.5j, rtol=1e-6)


@pytest.mark.parametrize("target", BACKENDS)
def test_gradients_are_those_by_both_parts(target: str) -> None:
    """Of `|z| ** 2` that is `2 z`, and of `Re(z * z)` it is `2 conj(z)`."""
    z = build.input("z", "complex[3]")
    for loss, wanted in ((build.abs(z) * build.abs(z), 2 * Z), (build.real(z * z), 2 * Z.conj())):
        program = compile(build.graph("loss", [z], [loss]), framework(target))
        (gradient,) = program.gradients({}, Z).inputs
        assert gradient is not None
        np.testing.assert_allclose(gradient, wanted, rtol=1e-12)


@pytest.mark.parametrize("target", BACKENDS)
def test_an_expression_of_constants_alone_may_be_long(target: str) -> None:
    x = build.input("x", "[N]")
    turn = build.complex(*(build.full(number, [], DType.FLOAT) for number in (0.125, 0.0625)))
    found = compile(build.graph("turned", [x], [build.real(x * turn)]), framework(target)).run({}, np.ones(2)).outputs
    np.testing.assert_allclose(found[0], [0.125, 0.125])
