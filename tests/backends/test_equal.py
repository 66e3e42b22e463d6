"""Are two networks the same function, and if not, where do they part?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import architrave
from architrave.backends.agree.equal import equal
from architrave.ir import build
from architrave.ir.graph import Graph
from architrave.ir.source import ArchitraveError
from architrave.passes import apply

STAGES = """from std import conv2d, batch_norm, linear

block Stage(width: int)(x: [N, C, H, W]) -> [N, width, H, W] {
    return x -> conv: conv2d(width, 3) -> bn: batch_norm -> relu
}

model Net()(x: [N, 3, 6, 6]) -> [N, 5] {
    return x -> stem: Stage(4) -> body: Stage(6) -> op.mean(axes = [2, 3]) -> head: linear(5)
}
"""


def model(body: str, inputs: str = "x: [N, 4]", outputs: str = "[N, 4]") -> Graph:
    return architrave.loads(f"from std import dropout, linear\nmodel M()({inputs}) -> {outputs} = {body}\n")


@pytest.fixture(scope="module")
def net() -> Graph:
    return architrave.loads(STAGES)


SAME = {
    "itself": ("x -> fc: linear(4)", "x -> fc: linear(4)"),
    "a factor of one": ("x -> fc: linear(4) -> gelu", "x -> fc: linear(4) -> gelu -> op.multiply(1)"),
    "double negation": ("-(-x)", "x"),
    "the same random numbers": ("x -> d: dropout(0.5)", "x -> d: dropout(0.5) -> op.add(0)"),
}


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("training", [False, True])
def test_the_same_function(name: str, training: bool) -> None:
    a, b = map(model, SAME[name])
    found = equal(a, b, training=training)
    assert found.ok, str(found)
    assert found.worst <= 1e-10
    assert sorted(found.runs) == [0, 1, 2]
    assert "equal; the worst difference in 3 runs" in str(found)


OTHER = {
    "a factor": ("x * 1.001", "x"),
    "another activation": ("relu(x)", "gelu(x)"),
}


@pytest.mark.parametrize("name", OTHER)
def test_another_function(name: str) -> None:
    a, b = OTHER[name]
    found = equal(model(a), model(b))
    assert not found.ok
    assert "DIFFERENT" in str(found)
    assert list(found.runs) == [0], "the first run that differs is enough"


def test_what_is_never_a_number_decides_nothing() -> None:
    a = model("op.sqrt(-1 - x * x)")
    found = equal(a, a)
    assert not found.ok
    assert "UNDECIDED: no number of" in str(found)
    assert found.to_json()["problem"] == found.unclear
    assert "DIFFERENT" in str(equal(a, model("x")))


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        (model("x"), model("x", "x: [N, 5]", "[N, 5]"), "M takes [N, 4], the other M takes [N, 5]"),
        (model("x"), model("x + y", "x: [N, 4], y: [N, 4]"), "M takes [N, 4], the other M takes [N, 4], [N, 4]"),
        (model("x"), model("x -> fc: linear(3)", outputs="[N, 3]"), "M gives [N, 4], the other M gives [N, 3]"),
        (model("x"), model("x", "x: i64[N, 4]", "i64[N, 4]"), "M takes [N, 4], the other M takes i64[N, 4]"),
        (model("x"), model("x", "x: [N, 4, 1]", "[N, 4, 1]"), "M takes [N, 4], the other M takes [N, 4, 1]"),
    ],
)
def test_networks_of_other_types_are_other_functions(a: Graph, b: Graph, said: str) -> None:
    found = equal(a, b)
    assert not found.ok
    assert found.problem == said
    assert found.to_json()["worst"] is None


def test_sizes_that_one_network_fixes_hold_for_both() -> None:
    open_, fixed = model("relu(x)", "x: [N, 2*K]", "[N, 2*K]"), model("relu(x)", "x: [M, 6]", "[M, 6]")
    for a, b in ((open_, fixed), (fixed, open_)):
        assert equal(a, b).ok
    assert equal(open_, fixed).sizes == {"N": 2, "K": 3}
    assert equal(open_, open_, sizes={"N": 3, "K": 5}).sizes == {"N": 3, "K": 5}
    with pytest.raises(ArchitraveError, match="E519"):
        equal(open_, open_, sizes={"L": 3})


def test_states_are_compared_in_training(net: Graph) -> None:
    assert equal(net, net, training=True).ok
    slower = architrave.loads(STAGES.replace("bn: batch_norm", "bn: batch_norm(momentum = 0.2)"))
    assert equal(net, slower).ok
    found = equal(net, slower, training=True)
    assert not found.ok
    assert {row.kind for row in found.runs[0] if not row.ok} == {"state"}
    without = architrave.loads(STAGES.replace(" -> bn: batch_norm", ""))
    assert "only one of them updates `body.bn.running_mean`" in (equal(net, without, training=True).problem or "")


@pytest.mark.parametrize("passes", ["inference", "clean", "deploy"])
def test_a_network_after_passes(net: Graph, passes: str) -> None:
    made = apply(net, passes)
    found = equal(net, made.graph, weights_b=made.weights, gradients=True)
    assert found.ok, str(found)
    assert [row.kind for row in found.runs[0]] == ["output", "gradient"]


def test_gradients_of_inputs_are_compared() -> None:
    text = "model M()(x: [N, 4]) -> [N, 4] = {}\n"
    a, b = (architrave.loads(text.format(body)) for body in ("x", "op.stop_gradient(x)"))
    assert equal(a, b).ok
    found = equal(a, b, gradients=True)
    assert [row.kind for row in found.runs[0] if not row.ok] == ["gradient"]
    assert "gradient `input x`: differs by 1.0e+00 of the range" in str(found)


def test_where_they_part(net: Graph) -> None:
    made = apply(net, "deploy")

    def spoilt(old: Any) -> Any:
        new = made.weights(old)
        (path,) = (path for path in new if path.startswith("body") and path.endswith("bias"))
        return {**new, path: new[path] + 0.1}

    found = equal(net, made.graph, weights_b=spoilt)
    assert not found.ok
    assert found.parting is not None
    assert found.parting.place.startswith("body")
    assert found.parting.a.span is not None
    assert "applied at <text>:4" in str(found)
    assert found.to_json()["parting"]["place"] == found.parting.place


def test_what_a_pass_moves_is_not_where_they_part() -> None:
    """Inside `first` numbers differ, and are equal again after it."""
    text = """from std import linear
    block Twice(first: float, second: float)(x: [N, 4]) -> [N, 4] = x * first * second
    model M(a: float, b: float, c: float)(x: [N, 4]) -> [N, 4] {
        return x -> first: Twice(a, b) -> relu -> second: Twice(c, 1.0)
    }
    """
    a = architrave.loads(text, a=2.0, b=3.0, c=1.0)
    assert equal(a, architrave.loads(text, a=3.0, b=2.0, c=1.0)).ok
    found = equal(a, architrave.loads(text, a=3.0, b=2.0, c=1.5))
    assert found.parting is not None
    assert found.parting.place == "second"


def test_networks_without_lines_or_places() -> None:
    def made(factor: float) -> Graph:
        x = build.input("x", "[N, 4]")
        return build.graph("net", [x], [build.relu(x * factor)])

    found = equal(made(1.0), made(1.5))
    assert found.parting is not None
    assert (found.parting.place, found.parting.b.span, found.parting.b.op) == ("", None, "multiply")
    assert "they part in `net`" in str(found)


def test_weights_that_only_one_has_are_named() -> None:
    a, b = model("x -> fc: linear(4)"), model("x -> head: linear(4)")
    with pytest.raises(ArchitraveError) as caught:
        equal(a, b)
    text = str(caught.value)
    assert caught.value.diagnostics[0].code == "E808"
    assert "`fc.weight`, `fc.bias`" in text
    assert "`head.weight`, `head.bias`" in text
    assert "--weights-b" in text
    a, b = (model(f"x -> fc: linear({n}) -> op.mean(axes = [1])", outputs="[N]") for n in (4, 5))
    with pytest.raises(ArchitraveError, match=r"of other types in both: `fc\.weight`, `fc\.bias`"):
        equal(a, b)


def test_checkpoints_of_both() -> None:
    a, b = model("x -> fc: linear(4)"), model("x -> head: linear(4)")
    weights = {k: v.astype("f4") for k, v in architrave.init(a).items()}
    renamed = {k.replace("fc", "head"): v for k, v in weights.items()}
    found = equal(a, b, weights, renamed)
    assert found.ok
    assert found.tolerance == 1e-5, "what float32 allows"
    near = {k: v * np.float32(1 + 1e-6) for k, v in renamed.items()}
    assert equal(a, b, weights, near).ok
    assert not equal(a, b, weights, near, tolerance=1e-10).ok
    with pytest.raises(ArchitraveError, match="E512"):
        equal(a, b, weights, weights)
    with pytest.raises(ArchitraveError, match=r"E807.*`fc\.bias`"):
        equal(a, a, {**weights, "fc.bias": weights["fc.bias"] * np.nan})


def test_weights_that_nothing_uses_may_be_anywhere() -> None:
    weights = "param a: [4] = normal(1.0)\n    param b: [3] = zeros\n"
    a = architrave.loads(f"model M()(x: [N, 4]) -> [N, 4] {{\n    {weights}    return x * a\n}}\n")
    b = apply(a, "dead").graph
    assert len(b.weights) == 1
    assert equal(a, b).ok
    assert equal(b, a).ok
