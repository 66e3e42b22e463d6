"""Matrices without an answer: NaN in the place of theirs alone, on every backend, and no exception."""

import numpy as np
import pytest

import architrave.ir.ops  # noqa: F401  # fills the registry
from architrave.backends.load import compile
from architrave.ir.interpret import interpret
from architrave.ir.op import OPS, sample
from tests.ir.apply import applied

FINE = np.array([[2.0, 0.5], [0.5, 1.0]])
SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])
INDEFINITE = np.array([[1.0, 2.0], [2.0, 1.0]])
UNKNOWN = np.array([[1.0, np.nan], [np.nan, 1.0]])
ENDLESS = np.array([[np.inf, 0.0], [0.0, 1.0]])

CASES = {
    "cholesky": (INDEFINITE, UNKNOWN),
    "solve": (SINGULAR, UNKNOWN),
    "triangular_solve": (np.array([[0.0, 0.0], [1.0, 1.0]]),),
    "inverse": (SINGULAR, UNKNOWN),
    "svd": (UNKNOWN, ENDLESS),
    "eigh": (UNKNOWN, ENDLESS),
    "slogdet": (UNKNOWN,),
    "qr": (UNKNOWN,),
    "matrix_exp": (UNKNOWN, ENDLESS),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("target", ["numpy", "torch", "jax"])
def test_a_matrix_without_an_answer(target: str, name: str) -> None:
    if target != "numpy":
        pytest.importorskip(target)
    a = np.stack([FINE, *CASES[name], FINE])
    inputs = (a, np.ones((2, 1))) if "solve" in name else (a,)
    graph = applied(OPS[name](), sample(*inputs).types)
    wanted = interpret(graph, inputs).outputs
    for found, expected in zip(compile(graph, target).run({}, *inputs).outputs, wanted, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)
        assert np.isfinite(expected[[0, -1]]).all()
        assert np.isnan(expected[1:-1]).any()


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
@pytest.mark.parametrize("target", ["numpy", "torch", "jax"])
def test_half_precision_goes_through_single(target: str, precision: str) -> None:
    if target != "numpy":
        pytest.importorskip(target)
    import ml_dtypes

    dtype = np.dtype(ml_dtypes.bfloat16 if precision == "bfloat16" else precision)
    a = FINE.astype(dtype)
    for name in ("cholesky", "inverse", "svd", "eigh", "qr", "slogdet", "matrix_exp", "pinv", "solve"):
        inputs = (a, a) if name == "solve" else (a,)
        graph = applied(OPS[name](), sample(*([FINE] * len(inputs))).types)
        wanted = interpret(graph, [x.astype(float) for x in inputs]).outputs
        for found, expected in zip(compile(graph, target).run({}, *inputs).outputs, wanted, strict=True):
            assert found.dtype == dtype
            np.testing.assert_allclose(found.astype(float), expected, rtol=0.02, atol=0.02)
