"""Every method under every way to say how far: costs are as reported, errors within bounds, bad plans refused."""

from __future__ import annotations

import numpy as np
import pytest

import architrave
from architrave.factorize import METHODS, Plan, factorize
from architrave.factorize.layers import extent
from architrave.factorize.report import facts
from architrave.ir import cost
from architrave.ir.interpret import interpret
from architrave.passes import Pipeline

GRAPH = architrave.loads(
    """from std.conv import conv2d
from std.linear import linear
from std.norm import batch_norm

model M()(x: [N, 4, 8, 8]) -> [N, 6] {
    y = x -> stem: conv2d(16, 3, bias = false) -> bn: batch_norm -> relu
    y = y -> down: conv2d(24, 3, stride = 2) -> relu -> point: conv2d(32, 1) -> relu
    y = y -> parted: conv2d(32, 3, groups = 2)
    return mean(y, axis = [2, 3]) -> head: linear(6)
}"""
)
WEIGHTS = architrave.init(GRAPH, 3, np.float64)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("by", ["parameters", "macs"])
def test_a_half_is_left(method: str, by: str) -> None:
    found = factorize(GRAPH, WEIGHTS, Plan(method, 0.5, by))  # type: ignore[arg-type]
    assert 0.4 < found.after[by] / found.before[by] <= 0.5
    assert found.after == {
        "parameters": cost.parameters(found.graph),
        "macs": cost.multiply_adds(found.graph, {"N": 1}),
    }
    for what, before in found.before.items():
        assert sum(cut.before[what] - cut.after[what] for cut in found.cuts) == before - found.after[what]
    assert all(0 <= cut.error < 1 for cut in found.cuts)
    assert str(Pipeline.parse(found.passes)) == found.passes
    assert [layer["path"] for layer in facts(found)["layers"]] == [cut.path for cut in found.cuts]
    x = np.random.default_rng(0).normal(size=(2, 4, 8, 8))
    assert interpret(found.graph, [x], found.weights, training=True).updates.keys() == {
        "bn.running_mean",
        "bn.running_var",
    }


@pytest.mark.parametrize("method", ["svd", "spatial", "alds", "tucker"])
def test_errors_are_kept_and_more_energy_takes_more(method: str) -> None:
    sizes = []
    for energy in (0.5, 0.9, 1.0):
        found = factorize(GRAPH, WEIGHTS, Plan(method, energy=energy))
        assert all(cut.error**2 <= 1 - energy + 1e-9 for cut in found.cuts)
        sizes.append(found.after["parameters"])
    assert sizes[0] < sizes[1] < sizes[2] == found.before["parameters"]
    found = factorize(GRAPH, WEIGHTS, Plan(method, error=0.3))
    assert all(cut.bound <= 0.3 for cut in found.cuts)


def test_what_is_not_chosen_stays() -> None:
    found = factorize(GRAPH, WEIGHTS, Plan("svd", 0.95, only="point|head"))
    assert [cut.path for cut in found.cuts] == ["point.weight", "head.weight"]
    assert "stem.weight" in found.weights


@pytest.mark.parametrize(
    ("plan", "code", "said"),
    [
        (Plan("svd", 0.01), "E930", r"(?s)no ranks leave .* parameters or fewer.*are the fewest that can be reached"),
        (Plan("cp", 0.01, "macs"), "E930", "multiply-adds"),
        (Plan("svd", float("nan")), "E931", "a share from 0 to 1"),
        (Plan("svd", 0.0), "E931", "a share from 0 to 1"),
        (Plan("svd", 1.5), "E931", "a share from 0 to 1"),
        (Plan("svd"), "E931", "how far"),
        (Plan("svd", 0.5, error=0.1), "E931", "how far"),
        (Plan("cp", error=0.1), "E931", "known when it is fitted"),
        (Plan("tuckr", 0.5), "E931", "did you mean `tucker`"),
        (Plan("svd", 0.5, only="bn"), "E931", "nothing in `M` can be taken apart"),
    ],
)
def test_what_cannot_be(plan: Plan, code: str, said: str) -> None:
    with pytest.raises(architrave.ArchitraveError, match=said) as problem:
        factorize(GRAPH, WEIGHTS, plan)
    assert code in str(problem.value)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_weights_that_are_no_numbers(number: float) -> None:
    bad = {**WEIGHTS, "down.weight": np.full_like(WEIGHTS["down.weight"], number)}
    with pytest.raises(architrave.ArchitraveError, match=r"E807.*`down.weight` holds what is not a finite number"):
        factorize(GRAPH, bad, Plan("alds", 0.5))


def test_a_budget_that_is_reached_exactly() -> None:
    """The nearest budget that the error names can be met, and nothing below it."""
    found = factorize(GRAPH, WEIGHTS, Plan("svd", 0.5))
    least = found.before["parameters"] - sum(
        cut.before["parameters"] - METHODS["svd"].cost(cut.layer, (1,), extent(GRAPH, cut.layer, "parameters"))
        for cut in found.cuts
    )
    factorize(GRAPH, WEIGHTS, Plan("svd", least / found.before["parameters"]))
    with pytest.raises(architrave.ArchitraveError, match=f"{least:,} parameters"):
        factorize(GRAPH, WEIGHTS, Plan("svd", (least - 1) / found.before["parameters"]))


def test_weights_that_are_zero_have_rank_one() -> None:
    zero = {path: np.zeros_like(w) for path, w in WEIGHTS.items()}
    found = factorize(GRAPH, zero, Plan("alds", error=0.0))
    assert found.after["parameters"] < found.before["parameters"]
    assert {cut.error for cut in found.cuts} == {0.0}


def test_multiply_adds_of_unknown_sizes() -> None:
    graph = architrave.loads(
        "from std.conv import conv2d\nmodel M()(x: [N, 8, H, W]) = x -> a: conv2d(8, 3) -> b: conv2d(8, 3)"
    )
    weights = architrave.init(graph)
    found = factorize(graph, weights, Plan("svd", 0.5))
    assert found.before.keys() == {"parameters"}
    with pytest.raises(architrave.ArchitraveError, match=r"E931.*depend on"):
        factorize(graph, weights, Plan("svd", 0.5, "macs"))
