"""Decompositions: what they promise, and which of the possible signs they choose."""

import numpy as np
import pytest

from architrave.ir.op import OPS, Sample, sample
from architrave.ir.source import ArchitraveError
from architrave.ir.types import TensorType
from tests.ir.apply import Array, evaluate


def good(name: str) -> list[Sample]:
    return [s for s in OPS[name].samples() if s.error is None]


def turned(x: Array) -> Array:
    return np.swapaxes(x, -1, -2)


def leading(v: Array) -> list[float]:
    """The first entry of each column that is nearly as large as any."""
    columns = turned(v).reshape(-1, v.shape[-2]) if v.size else []
    return [next(x for x in column if abs(x) >= 0.9 * np.abs(column).max()) for column in columns]


def close(a: Array, b: Array) -> None:
    np.testing.assert_allclose(a, b, atol=1e-12)


@pytest.mark.parametrize("case", good("qr"), ids=str)
def test_qr(case: Sample) -> None:
    (a,), (q, r) = case.draw(), evaluate("qr", case)
    close(q @ r, a)
    close(turned(q) @ q, np.broadcast_to(np.eye(q.shape[-1]), (*q.shape[:-2], q.shape[-1], q.shape[-1])))
    close(np.tril(r, -1), 0)
    assert (np.diagonal(r, 0, -2, -1) >= 0).all()


@pytest.mark.parametrize("case", good("svd"), ids=str)
def test_svd(case: Sample) -> None:
    (a,), (u, s, vt) = case.draw(), evaluate("svd", case)
    close(u * s[..., None, :] @ vt, a)
    for matrix in (turned(u) @ u, vt @ turned(vt)):
        close(matrix, np.broadcast_to(np.eye(s.shape[-1]), matrix.shape))
    assert (s >= 0).all()
    assert (np.diff(s) <= 0).all()
    assert all(x > 0 for x in leading(u))


@pytest.mark.parametrize("case", good("eigh"), ids=str)
def test_eigh(case: Sample) -> None:
    (a,), (w, v) = case.draw(), evaluate("eigh", case)
    close(v * w[..., None, :] @ turned(v), (a + turned(a)) / 2)
    assert (np.diff(w) >= 0).all()
    assert all(x > 0 for x in leading(v))


@pytest.mark.parametrize("case", good("cholesky")[:5], ids=str)
def test_cholesky(case: Sample) -> None:
    (a,), (lower,) = case.draw(), evaluate("cholesky", case)
    close(lower @ turned(lower), (a + turned(a)) / 2)
    close(np.triu(lower, 1), 0)


@pytest.mark.parametrize("case", good("triangular_solve"), ids=str)
def test_triangular_solve(case: Sample) -> None:
    (a, b), (x,) = case.draw(), evaluate("triangular_solve", case)
    options = {"lower": True, "transposed": False, "unit": False, **case.attributes}
    a = np.tril(a) if options["lower"] else np.triu(a)
    a = a - a * np.eye(a.shape[-1]) + np.eye(a.shape[-1]) if options["unit"] else a
    known = np.isfinite(x)
    found = (turned(a) if options["transposed"] else a) @ x
    close(found[known], np.broadcast_to(b, found.shape)[known])


def test_signs_do_not_depend_on_rounding() -> None:
    """Entries that are equal but for rounding, of opposite signs: the first is the leading one."""
    _, v = evaluate("eigh", sample(np.array([[2.0, 1.0], [1.0, 2.0]])))
    close(v, np.array([[1.0, 1.0], [-1.0, 1.0]]) / np.sqrt(2))


def test_a_size_that_is_not_known_may_hide_the_shape_of_factors() -> None:
    from architrave.ir.type_parser import parse_type

    def shapes(text: str) -> list[str]:
        results = OPS["qr"]().infer(parse_type(text))
        assert isinstance(results, tuple)
        return [str(r) for r in results if isinstance(r, TensorType)]

    assert shapes("[N, 3, 2]") == ["[N, 3, 2]", "[N, 2, 2]"]
    assert shapes("[N, N]") == ["[N, N]", "[N, N]"]
    with pytest.raises(ArchitraveError, match="smaller"):
        shapes("[N, 3]")
