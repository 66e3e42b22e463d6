"""Members that keep what their model demands of them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from architrave.ir import cost
from architrave.ir.source import ArchitraveError
from architrave.models import find_in_text
from architrave.search.space.costs import Costs
from architrave.search.space.feasible import Feasible


def feasible(*constraints: str, latency: object = None) -> Feasible:
    demanded = "\n".join(f"    constraint {text}" for text in constraints)
    text = f"""
from std import linear
model Limited(limit: int = 60)(x: [N, 4]) -> [N, 4] {{
    w = choice w {{ small: 4, middle: 8, large: 16 }}
    x = x -> linear(w) -> relu -> linear(4)
{demanded}
    return x -> choice more {{ yes: linear(4), no: identity }}
}}
"""
    return Feasible(Costs(find_in_text(text), {}, {"N": 1}), latency)  # type: ignore[arg-type]  # a function or nothing


CONSTRAINTS = {
    "params": ("params <= limit", lambda graph: cost.parameters(graph) <= 60),
    "two quantities": ("params < 100 and macs > 40", lambda graph: cost.parameters(graph) < 100),
    "flops": ("flops >= 2 * 80", lambda graph: cost.multiply_adds(graph, {"N": 1}) >= 80),
    "depth": ("depth <= 2", lambda graph: cost.depth(graph) <= 2),
    "memory": ("memory <= 100", lambda graph: cost.memory(graph, {"N": 1}).peak <= 100),
    "a static value": ("w != 8", lambda graph: graph.weights[0].shape[0] != 8),
}


@pytest.mark.parametrize(("constraint", "holds"), CONSTRAINTS.values(), ids=CONSTRAINTS.keys())
def test_constraints(constraint: str, holds: object) -> None:
    found = feasible(constraint)
    space = found.costs.space
    kept = [space.number(member) for member in space if holds(found.costs.member_graph(member))]  # type: ignore[operator]  # of the table
    if constraint.endswith("> 40"):
        kept = [number for number in kept if found.costs.of(space.member(number))["macs"] > 40]
    assert 0 < len(kept) < space.size
    assert [space.number(member) for member in space if member in found] == kept
    rng = np.random.default_rng(0)
    drawn = Counter(space.number(found.sample(rng)) for _ in range(200))
    assert sorted(drawn) == kept


def test_latency_is_measured() -> None:
    times = {"small": 1.0, "middle": 2.0, "large": 3.0}
    found = feasible("latency < 2.5", latency=lambda member: times[member["w"]])
    assert {member["w"] for member in found.costs.space if member in found} == {"small", "middle"}


def test_latency_that_nothing_measures() -> None:
    with pytest.raises(ArchitraveError, match="E955"):
        feasible("latency < 1").sample(np.random.default_rng(0))


def test_a_space_without_feasible_members_names_what_binds() -> None:
    found = feasible("params <= 10", "macs > 0")
    with pytest.raises(ArchitraveError, match=r"E954[\s\S]*break `params <= 10`[\s\S]*params goes from 40 to 168"):
        found.sample(np.random.default_rng(0))


def test_a_constraint_on_nothing() -> None:
    with pytest.raises(ArchitraveError, match=r"E292[\s\S]*`parms`"):
        feasible("parms <= 10").sample(np.random.default_rng(0))
