"""The digits: a small set of real images that comes as a Python package."""

from __future__ import annotations

from typing import Any

import numpy as np

from architrave.ir.source import error
from architrave.train.data.dataset import Dataset


def digits() -> Dataset:
    """1,797 handwritten digits of 8 x 8 pixels, scaled to mean 0 and variance 1: those that scikit-learn ships.

    Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits" (1998), the test part of the UCI repository's.
    Raises E568 without scikit-learn.
    """
    try:
        from sklearn import datasets  # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        raise error("E568", "the digits are part of scikit-learn", hint="pip install 'architrave[data]'") from None
    library: Any = datasets
    found = library.load_digits()
    pixels = np.asarray(found.images, np.float32)
    labels = tuple(map(str, found.target_names))
    return Dataset(((pixels - pixels.mean()) / pixels.std(),), np.asarray(found.target, np.int64), "digits", labels)
