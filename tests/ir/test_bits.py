"""Operators on bits against the digits of their operands."""

import numpy as np
import pytest

from architrave.ir.op import OPS, sample
from architrave.ir.types import DType
from tests.ir.apply import evaluate
from tests.ir.bits import BITS


@pytest.mark.parametrize("name", BITS)
def test_digits(name: str) -> None:
    for case in OPS[name].samples():
        if case.error is None:
            (found,) = evaluate(name, case)
            np.testing.assert_array_equal(found, BITS[name](*case.draw(), **case.attributes))


def test_a_float_and_its_bits() -> None:
    (found,) = evaluate("bitcast", sample(np.array([0x7F800000, -0x80000000], np.int32), dtype=DType.F32))
    np.testing.assert_array_equal(found, [np.inf, 0.0])
    assert np.signbit(found).tolist() == [False, True]
