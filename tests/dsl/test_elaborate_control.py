"""What docs/language.md says of `training`, control, random numbers and search spaces, tried on small models."""

import numpy as np
import pytest

from architrave.dsl.modules import load_text
from architrave.dsl.space import space_size
from architrave.ir.mode import specialize
from architrave.ir.source import ArchitraveError
from tests.dsl.elaborated import graph, model, ops, paths, run, weights_of

X = np.arange(12.0).reshape(3, 4) - 5


# ---------------------------------------------------------------- `training`

MODES = {
    "assignment": ("y = x\nif training { y = x * 2 }\nreturn y", 2, 1),
    "in inference alone": ("y = x\nif not training { y = x * 3 }\nreturn y", 1, 3),
    "both sides": ("if training { y = x * 2 } else { y = x * 3 }\nreturn y", 2, 3),
    "else if": ("if training { y = x * 2 } else if true { y = x * 3 } else { y = x }\nreturn y", 2, 3),
    "a value": ("k = if training { 2 } else { 3 }\nreturn x * k", 2, 3),
    "a static branch": ("k = 1\nif training { k = 2 }\nreturn x * k", 2, 1),
    "a result": ("if training { return x * 2 }\nreturn x * 3", 2, 3),
    "nested": ("y = x\nif training { y = y * 2\nif training { y = y * 2 } }\nreturn y", 4, 1),
    "twice": ("y = x\nif training { y = y * 2 }\nif training { y = y * 2 } else { y = y * 3 }\nreturn y", 4, 3),
    "in a fn": ("return f(x)", 2, 3),
    "in an argument": ("return x * (if training { 2 } else { 3 })", 2, 3),
    "in a loop": ("y = x\nfor i in 0..2 {\nif training { y = y * 2 }\n}\nreturn y", 4, 1),
    "in a scan": ("scan i in 0..2, carry (y = x) {\nif training { y = y * 2 } else { y = y * 3 }\n}\nreturn y", 4, 9),
    "what is emitted": (
        "scan i in 0..2 {\nif training { emit x * 2 as ys } else { emit x * 3 as ys }\n}\nreturn ys[0]",
        2,
        3,
    ),
    "a list": ("l = [x]\nif training { l = l + [x] }\nreturn sum(l)", 2, 1),
}


@pytest.mark.parametrize("case", MODES)
def test_training(case: str) -> None:
    body, training, inference = MODES[case]
    net = graph(body, before="fn f(x: [*S]) -> [*S] {\nif training { return x * 2 }\nreturn x * 3\n}")
    for mode, factor in ((True, training), (False, inference)):
        np.testing.assert_allclose(run(net, X, training=mode).outputs[0], X * factor)
        assert "mode" not in ops(specialize(net, mode))


def test_states_of_both_modes() -> None:
    body = (
        "state n: [] = zeros\nk = if training { 1 } else { 5 }\nn := n + k\nif training { n := n * 10 }\nreturn x * n"
    )
    net = graph(body)
    assert run(net, X, weights={"n": np.array(0.0)}, training=True).updates == {"n": 10}
    assert run(net, X, weights={"n": np.array(0.0)}).updates == {"n": 5}


def test_an_abandoned_try_leaves_nothing_behind() -> None:
    body = (
        "y = x -> linear(4)\nstate n: [] = zeros\nn := n + 1\nconstraint params <= 5\n"
        "return y * (if training { n } else { 1 })"
    )
    net = graph(body)
    assert paths(net) == ["linear_0.weight", "linear_0.bias", "n"]
    assert run(net, X, weights=weights_of(net, 0), training=True).updates == {"n": 1}
    assert net.constraints == ("params <= 5",)


# ---------------------------------------------------------------- 6. control

LOOPS = {
    "a sequence": ("scan a in x, carry (h = zeros([4])) {\nh = h + a\nemit h * 2 as hs\n}\nreturn hs", 2 * X.cumsum(0)),
    "the last carry": ("scan a in x, carry (h = zeros([4])) { h = h + a }\nreturn h", X.sum(0)),
    "along an axis": (
        "scan a in x, axis = 1, carry (h = zeros([3])) {\nh = h + a\nemit h as hs\n}\nreturn hs",
        X.cumsum(1),
    ),
    "a negative axis": ("scan a in x, axis = -1, carry (h = zeros([3])) { h = h + a }\nreturn h", X.sum(1)),
    "two sequences": (
        "scan a in x, b in x * 2, carry (h = zeros([4])) { h = h + a * b }\nreturn h",
        (2 * X * X).sum(0),
    ),
    "backwards": (
        "scan a in x, reverse = true, carry (h = zeros([4])) {\nh = h + a\nemit h as hs\n}\nreturn hs",
        X[::-1].cumsum(0)[::-1],
    ),
    "a counter": ("scan t in 1..4, carry (y = x) { y = y * t }\nreturn y", X * 6),
    "two results": ("scan a in x {\nemit a as p\nemit -a as q\n}\nreturn p + 2 * q", -X),
    "what stands outside": ("k = x[0] * 2\nscan a in x {\nemit a + k as p\n}\nreturn p", X + 2 * X[0]),
    "nested": (
        "scan a in x, carry (h = 0.0) {\nscan b in a, carry (g = 0.0) { g = g + b }\nh = h + g\n}\nreturn h",
        X.sum(),
    ),
    "in a for": ("for i in 0..2 {\nscan t in 0..2, carry (x = x) { x = x + 1 }\n}\nreturn x", X + 4),
    "while": ("while y < 100, carry (y = 1.0, k = 0), max = 50 {\ny = y * 2\nk = k + 1\n}\nreturn y + k", 128.0 + 7),
    "while, at most": ("while y < 100, carry (y = 1.0), max = 3 { y = y * 2 }\nreturn y", 8.0),
    "for over tuples": ("for (a, b) in [(1, 2), (3, 4)] { x = x * a + b }\nreturn x", (X + 2) * 3 + 4),
    "if": ("if 2 > 1 and x.shape[1] == 4 { x = x + 1 } else { x = x - 1 }\nreturn x", X + 1),
    "no turn": ("scan t in 0..0, carry (y = x) { y = y * 2 }\nreturn y", X),
}


@pytest.mark.parametrize("case", LOOPS)
def test_loops(case: str) -> None:
    body, wanted = LOOPS[case]
    np.testing.assert_allclose(run(graph(body, "x: [3, 4]"), X).outputs[0], wanted)


def test_a_scan_carries_the_states_that_it_updates() -> None:
    net = graph("state n: [] = zeros\nscan a in x {\nn := n + 1\nemit a * n as ys\n}\nreturn ys")
    result = run(net, X, weights={"n": np.array(1.0)})
    np.testing.assert_allclose(result.outputs[0], X * np.array([[2.0], [3.0], [4.0]]))
    assert result.updates == {"n": 4}


def test_a_state_that_a_loop_sets_back() -> None:
    net = graph("state n: [] = zeros\nfirst = n\nn := n + 1\nscan a in x {\nn := first\nemit a as ys\n}\nreturn ys + n")
    result = run(net, X, weights={"n": np.array(5.0)})
    np.testing.assert_allclose(result.outputs[0], X + 5)
    assert not result.updates or result.updates == {"n": 5}


def test_blocks_in_a_scan_share_their_weights() -> None:
    body = (
        "cell = lstm_cell(2)\nh0 = zeros([N, 2])\n"
        "scan a in x, axis = 1, carry (h = h0, c = h0) {\n(h, c) = cell(a, h, c)\nemit h as hs\n}\nreturn hs"
    )
    net = graph(body, "x: [N, T, 3]")
    assert paths(net) == ["cell.weight_ih", "cell.weight_hh", "cell.bias_ih", "cell.bias_hh"]
    assert [str(s) for s in net.outputs[0].shape] == ["N", "T", "2"]


def test_recursion_on_static_parameters() -> None:
    before = (
        "block F(n: int)(x: [N, C]) -> [N, C] {\nif n == 0 { return x -> leaf: linear(C, bias = false) }\n"
        "return (x -> a: F(n - 1)) + (x -> b: F(n - 1))\n}"
    )
    assert paths(graph("return x -> F(2)", before=before)) == [f"F_0.{a}.{b}.leaf.weight" for a in "ab" for b in "ab"]


# ---------------------------------------------------------------- 7. random numbers


def test_random_numbers_are_keyed_by_place() -> None:
    net = graph("a = random.normal([2])\nb = random.normal([2])\nreturn a - b")
    drawn = [n.op.path for n in net.nodes if n.op.name == "random_normal"]
    assert len(set(drawn)) == 2
    assert not np.allclose(run(net, X).outputs[0], 0)


def test_dropout_differs_by_mode_and_layer() -> None:
    net = graph("return (x -> a: dropout(0.5)) + (x -> b: dropout(0.5))", "x: [64]")
    np.testing.assert_allclose(run(net, np.ones(64)).outputs[0], 2)
    assert {0.0, 2.0, 4.0} == set(run(net, np.ones(64), training=True).outputs[0].tolist())


# ---------------------------------------------------------------- 8. search spaces

CHOICES = {
    "a number": "w = choice c { a: 2, b: 3 }\nreturn x * w",
    "a list": "y = x\nfor k in choice c { a: [2], b: [3] } { y = y * k }\nreturn y",
    "a tensor": "return choice c { a: x * 2, b: x * 3 }",
    "a lambda": "return x -> choice c { a: (v) => v * 2, b: (v) => v * 3 }",
    "a stage with arguments": "return x -> choice c { a: scaled(k = 2), b: scaled(k = 3) }",
    "a stage in a variable": "f = choice c { a: scaled(k = 2), b: (v) => 3 * v }\nreturn x -> f",
    "a block": "return x -> choice c { a: times(2), b: times(3) }",
    "a tuple": "(p, q) = choice c { a: (x, x), b: (x, x * 2) }\nreturn p + q",
    "nested": "return choice c { a: x * 2, b: choice d { e: x * 3, f: x * 4 } }",
    "nested stages": "return x -> choice c { a: times(2), b: choice d { e: times(3), f: times(4) } }",
    "in a condition": "if (choice c { a: true, b: false }) { return x * 2 }\nreturn x * 3",
}
BEFORE = (
    "fn scaled(x: [*S], k: float) -> [*S] = x * k\n"
    "block times(k: float)(x: [*S]) -> [*S] {\nparam w: [] = ones\nreturn x * k * w / w\n}\n"
)


@pytest.mark.parametrize("case", CHOICES)
def test_choices(case: str) -> None:
    text = f"{BEFORE}model M()(x: [N, 4]) {{\n{CHOICES[case]}\n}}\n"
    for decisions, factor in (({}, 2), ({"c": "a"}, 2), ({"c": "b"}, 3)):
        net = model(text, decisions=decisions)
        np.testing.assert_allclose(run(net.graph, X, weights=weights_of(net.graph, 1)).outputs[0], X * factor)
        assert net.choices["c"].labels == ("a", "b")
    kept = model(text, keep_choices=True).graph
    np.testing.assert_allclose(run(kept, X, weights=weights_of(kept, 1)).outputs[0], X * 2)
    static_kind = case in ("a number", "a list", "in a condition")
    assert ("choice" in ops(kept)) is not static_kind


def test_names_of_choices_and_their_alternatives() -> None:
    text = (
        "block cell()(x: [N, C]) -> [N, C] {\nfor i in 0..2 {\n"
        "x = x -> choice op[i] { a: linear(C, bias = false), b: linear(C, bias = false), skip: identity }\n}\n"
        "return x\n}\n"
        "model M()(x: [N, 4]) {\nreturn x -> cell -> cell\n}\n"
    )
    choices = ["cell_0.op.0", "cell_0.op.1", "cell_1.op.0", "cell_1.op.1"]
    assert list(model(text).choices) == choices
    assert paths(model(text).graph) == [f"{c}.a.weight" for c in choices]
    assert paths(model(text, keep_choices=True).graph) == [f"{c}.{a}.weight" for c in choices for a in "ab"]
    assert space_size(load_text("from std import linear\n" + text).models["M"]) == 81


@pytest.mark.parametrize(("decisions", "code"), [({"c": "z"}, "E270"), ({"d": "a"}, "E273")])
def test_decisions_that_mean_nothing(decisions: dict[str, str], code: str) -> None:
    with pytest.raises(ArchitraveError, match=code):
        model("model M()(x: [N]) {\nreturn x * (choice c { a: 1, b: 2 })\n}\n", decisions=decisions)


def test_constraints_are_kept() -> None:
    assert graph("constraint params <= 5e6\nreturn x").constraints == ("params <= 5e6",)
