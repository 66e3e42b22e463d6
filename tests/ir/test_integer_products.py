"""`requantize` against fractions, and what `fixed_point` and it make of scales together."""

from fractions import Fraction

import numpy as np
import pytest

from architrave.ir.op import OPS, Sample, sample
from tests.ir.apply import evaluate
from tests.ir.integer_products import requantize

GOOD = [case for case in OPS["requantize"].samples() if case.error is None]


@pytest.mark.parametrize("case", GOOD)
def test_requantize_rounds_the_exact_product_once(case: Sample) -> None:
    (found,) = evaluate("requantize", case)
    np.testing.assert_array_equal(found, requantize(*case.draw(), **case.attributes))


def test_fixed_point_is_the_scale() -> None:
    scales = np.float32(10.0) ** np.linspace(-9, 9, 181).astype(np.float32)
    multipliers, shifts = evaluate("fixed_point", sample(scales.astype(np.float64)))
    assert multipliers.min() >= 2**30
    for scale, multiplier, shift in zip(scales, multipliers, shifts, strict=True):
        assert Fraction(int(multiplier), 2 ** int(shift)) == Fraction(float(scale))
