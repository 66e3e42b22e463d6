"""Hidden permutations are found in every standard network; what is matched is merged."""

from __future__ import annotations

import numpy as np
import pytest

import architrave
from architrave.backends.agree.trial import trial
from architrave.ir.axes.groups import groups
from architrave.ir.mode import specialize
from architrave.merge.rebasin import match_weights
from architrave.merge.units import permuted
from tests.stdlib.small import SMALL


@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_hidden_permutation_is_found(name: str) -> None:
    graph = specialize(architrave.load(name, **SMALL[name]), training=False)
    known = groups(graph)
    a = trial(graph, dict.fromkeys(graph.symbols, 6), 0, np.float64).weights
    rng = np.random.default_rng(0)
    b = permuted(known, a, {group: rng.permutation(group.size) for group in known.permutable})
    found = match_weights(known, a, b)
    again = permuted(known, b, found.order)
    for path, array in a.items():
        np.testing.assert_array_equal(again[path], array, err_msg=path)
    assert all(later >= earlier for earlier, later in zip(found.likeness, found.likeness[1:], strict=False))
