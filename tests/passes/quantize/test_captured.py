"""Weights that loops and branches contract are rounded before."""

import pytest

import architrave
from architrave.ir.ops.leaves import path_of
from architrave.passes import apply
from architrave.passes.quantize.rounding.sites import sites

LSTM = """
from std.recurrent import lstm
model M()(x: [N, 5, 3]) -> [N, 5, 4] {
    (steps, _) = x -> a: lstm(4)
    return steps
}
"""
NESTED = """
model M()(x: [N, 3, 4]) -> [N, 4] {
    param w: [4, 4] = normal(1.0)
    scan turn in 0..2, carry (total = zeros([N, 4])) {
        scan x_t in x, axis = 1, carry (h = total) {
            h = op.linear(x_t + h, w)
        }
        total = h
    }
    return total
}
"""
BRANCH = """
model M()(x: [N, 4]) -> [N, 4] {
    param w: [4, 4] = normal(1.0)
    if training { y = op.linear(x, w) } else { y = op.linear(2.0 * x, w) }
    return y
}
"""
OTHER_USE = """
model M()(x: [N, 3, 4]) -> [N, 4] {
    param w: [4, 4] = normal(1.0)
    scan x_t in x, axis = 1, carry (h = zeros([N, 4])) {
        h = op.linear(x_t, w) + sum(w)
    }
    return h
}
"""
OTHER_AXIS = """
model M()(x: [N, 3, 4]) -> [N, 4] {
    param w: [4, 4] = normal(1.0)
    scan x_t in x, axis = 1, carry (h = zeros([N, 4])) {
        h = op.linear(x_t, w) + x_t @ w
    }
    return h
}
"""


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        (LSTM, {"a.cell.weight_ih": (16, 1), "a.cell.weight_hh": (16, 1)}),
        (NESTED, {"w": (4, 1)}),
        (BRANCH, {"w": (4, 1)}),
        (OTHER_USE, {}),
        (OTHER_AXIS, {}),
    ],
)
def test_what_is_only_contracted_inside_is_rounded(source: str, wanted: dict[str, tuple[int, ...]]) -> None:
    graph = architrave.loads(source)
    made = apply(graph, "quantize")
    assert {site.path: site.scale_shape for site in sites(made.graph) if site.is_weight} == wanted
    assert {path_of(w) for w in made.graph.weights} >= {f"{path}_scale" for path in wanted}
    assert "only its weights" in str(made.journal.refusals)


def test_options_reach_into_loops() -> None:
    graph = architrave.loads(LSTM)
    assert not [s for s in sites(apply(graph, "quantize{only=op:conv}").graph) if s.is_weight]
    (first, _) = [s for s in sites(apply(graph, "quantize{bits=3 granularity=tensor}").graph) if s.is_weight]
    assert (first.op.bits, first.scale_shape) == (3, ())
