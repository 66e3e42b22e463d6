"""What docs/language.md says of sections 3 to 11, tried on small models."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from architrave.dsl.elaborate.model import elaborate
from architrave.dsl.expectations import check
from architrave.dsl.modules import load_file, load_text
from architrave.dsl.space import space_size
from architrave.ir.mode import specialize
from architrave.ir.source import ArchitraveError
from tests.dsl.elaborated import graph, model, paths, run, value, weights_of

X = np.arange(12.0).reshape(3, 4) - 5


def ops(net: Any) -> list[str]:
    return [n.op.name for n in net.nodes]


# ---------------------------------------------------------------- 3. dimensions

FITS = {
    "a name binds": ("fn f(a: [N, C], b: [C]) -> [N, C] = a + b", "f(x, x[0])[0]"),
    "an expression": ("fn f(a: [N, C], b: [N, C / 2]) -> [C * N / N] = a[0]", "f(x, x[:, :2])"),
    "floor division": ("fn f(a: [N, C]) -> [C // 3 + 3] = a[0]", "f(x)"),
    "any": ("fn f(a: [_, C]) -> [C] = a[0]", "f(x)"),
    "a pack": ("fn f(a: [*S]) -> [*S] = a", "f(x)[0]"),
    "a pack inside": ("fn f(a: [N, *S, C]) -> [*S, N, C] = a", "f(x)[0]"),
    "an empty pack": ("fn f(a: [C, *S]) -> [C] = a", "f(x[0])"),
    "a pack in a shape": ("fn f(a: [N, *S]) -> [*S] = zeros([1 for s in S]) + a[0]", "f(x)"),
    "a tuple": ("fn f(a: ([C], [C])) -> [C] = a[0] + a[1]", "f((x[0], x[1]))"),
    "a static argument": ("fn f(a: [N, C], n: int) -> [n] = a[0, :n]", "f(x, 4)"),
    "an optional tensor": ("fn f(a: [C], b: [C] = none) -> [C] = if b == none { a } else { a + b }", "f(x[0])"),
    "a const": ("const C = 4\nfn f(a: [N, C]) -> [C] = a[0]", "f(x)"),
    "a block called as a dimension": ("block C()(a: [N]) -> [N] = a\nfn f(a: [N, C]) -> [C] = a[0]", "f(x)"),
}


@pytest.mark.parametrize("case", FITS)
def test_dimensions_that_fit(case: str) -> None:
    before, expression = FITS[case]
    assert value(expression, X, before=before).shape == (4,)


def test_a_symbolic_size_stays_symbolic() -> None:
    net = graph("return reshape(x, [2 * N, -1])", "x: [N, 4, H]")
    assert [str(s) for s in net.outputs[0].shape] == ["2*N", "2*H"]
    assert net.symbols == ("N", "H")


def test_sizes_are_numbers_when_the_network_runs() -> None:
    np.testing.assert_allclose(value("x * N + H / 3", X, names="x: [N, H]"), X * 3 + 4 / 3)


# ---------------------------------------------------------------- 4. declarations


def test_a_fn_with_its_own_gradient() -> None:
    spike = "fn spike(v: [*S], k: float = 2.0) -> [*S] {\nreturn where(v >= 0, 1.0, 0.0)\n} grad (g) {\nreturn g * k\n}"
    net = graph("return spike(x)", before=spike)
    assert ops(net).count("custom_grad") == 1
    np.testing.assert_allclose(run(net, X).outputs[0], X >= 0)


def test_a_gradient_takes_the_dtype_of_its_parameter() -> None:
    spike = "fn f(v: [*S]) -> [*S] {\nreturn where(v >= 0, 1.0, 0.0)\n} grad (g) {\nreturn g\n}"
    assert "custom_grad" in ops(graph("return f(x)", "x: f64[N]", spike))


def test_several_results_are_taken_apart() -> None:
    before = "fn f(x: [C]) -> ([C], ([C], [C])) = (x, (x + 1, x + 2))"
    np.testing.assert_allclose(
        value("a + b * 0 + c", X[0], names="x: [4]", before=before, after="(a, (b, c)) = f(x)"), 2 * X[0] + 2
    )


def test_initializers() -> None:
    body = """
    param a: [2, 3] = normal(0.02)
    param b: [3]
    param c: [3] = 0.5
    param d: [2, 2] = identity
    param e: [3] = (shape) => full(shape, 3) + 1
    param f: [2] = constant([1, 2])
    return zeros([1])"""
    found = {v.op.path: v.op.initial for v in graph(body).weights}
    shown = {p: str(i) if type(i).__name__ == "Initial" else run(i).outputs[0].tolist() for p, i in found.items()}
    assert shown["e"] == [4, 4, 4]
    assert shown["f"] == [1, 2]
    assert list(found) == list("abcdef")


def test_a_weight_may_have_another_name_inside() -> None:
    net = graph('param "scale.weight" as w: [4] = ones\nreturn x * w')
    assert paths(net) == ["scale.weight"]


def test_states_are_updated_in_order() -> None:
    net = graph("state n: [] = zeros\nn := n + 1\ny = x + n\nn := n * 10\nreturn y")
    result = run(net, X, weights={"n": np.array(1.0)})
    np.testing.assert_allclose(result.outputs[0], X + 2)
    assert result.updates == {"n": 20}


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


# ---------------------------------------------------------------- 5. names

NAMED = {
    "counters": ("x = x -> linear(4, bias = false) -> linear(4, bias = false)", "linear_0 linear_1"),
    "an assignment": ("stem = linear(4, bias = false)\nx = stem(x)", "stem"),
    "in place": ("x = x -> stem: linear(4, bias = false)", "stem"),
    "a number": ("for i in 0..2 { x = x -> layer[i]: linear(4, bias = false) }", "layer.0 layer.1"),
    "numbers": ("for i in 1..3 { x = x -> a.b[i][i - 1]: linear(4, bias = false) }", "a.b.1.0 a.b.2.1"),
    "a string": ('for i in 0..2 { x = x -> "layer{i + 1}.{i}": linear(4, bias = false) }', "layer1.0 layer2.1"),
    "nothing": ('x = x -> "": outer', "inner"),
    "inside": ("x = x -> block: outer", "block.inner"),
    "a counter inside": ("x = x -> outer -> outer", "outer_0.inner outer_1.inner"),
    "a lambda": ("x = x -> (a) => a -> linear(4, bias = false)", "linear_0"),
    "a named lambda": ("x = x -> part: ((a) => a -> inner: linear(4, bias = false))", "part.inner"),
    "a tuple of stages": ("(a, b) = x -> (p: linear(4, bias = false), q: linear(4, bias = false))\nx = a + b", "p q"),
    "shared": ("stem = linear(4, bias = false)\nx = stem(stem(x))", "stem"),
    "made outside": ("stem = linear(4, bias = false)\nfor i in 0..3 { x = x -> stem }", "stem"),
    "made inside": ("for i in 0..2 { x = linear(4, bias = false)(x) }", "linear_0 linear_1"),
    "a list": ("l = [linear(4, bias = false) for i in 0..2]\nfor f in l { x = f(x) }", "linear_0 linear_1"),
    "an argument": ("x = x -> r: residual(linear(4, bias = false))", "r.linear_0"),
    "a named argument": ("x = x -> r: residual((a) => a -> fc: linear(4, bias = false))", "r.fc"),
    "an instance that is named first": ("fc = linear(4, bias = false)\nx = x -> r: residual(fc)", "fc"),
    "sequential": ("x = x -> sequential([linear(4, bias = false), relu, softmax(axis = -1)])", "linear_0"),
    "a stage in a conditional": ("x = x -> if true { linear(4, bias = false) } else { relu }", "linear_0"),
    "a fn": ("x = f(x)", "linear_0"),
}


@pytest.mark.parametrize("case", NAMED)
def test_names(case: str) -> None:
    body, wanted = NAMED[case]
    before = (
        "block outer()(x: [N, C]) -> [N, C] = x -> inner: linear(C, bias = false)\n"
        "fn f(x: [N, C]) -> [N, C] = x -> linear(C, bias = false)"
    )
    assert paths(graph(f"{body}\nreturn x", before=before)) == [f"{name}.weight" for name in wanted.split()]


def test_shared_weights_are_one() -> None:
    net = graph("stem = linear(4)\nreturn stem(stem(x))")
    w = np.array([[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]], float)
    result = run(net, X, weights={"stem.weight": w, "stem.bias": np.ones(4)})
    np.testing.assert_allclose(result.outputs[0], (X @ w.T + 1) @ w.T + 1)


def test_equal_blocks_have_their_own_places() -> None:
    net = graph("for i in 0..3 { x = x -> layer[i]: linear(4) }\nreturn x")
    assert paths(net) == [f"layer.{i}.{w}" for i in range(3) for w in ("weight", "bias")]
    assert {n.place.path for n in net.nodes if n.op.name == "param"} == {f"layer.{i}" for i in range(3)}


STAGES = {
    "(x, 2) -> (a, b) => a * b": 2 * X,
    "x -> (relu, identity) -> (a, b) => a - b": np.maximum(X, 0) - X,
    "x -> clip(0, 6)": np.clip(X, 0, 6),
    "x -> softmax(axis = 0) -> sum(axis = 0)": np.ones(4),
    "x -> op.relu": np.maximum(X, 0),
    "x -> residual((a) => a * 2)": 3 * X,
    "x -> twice((a) => a + 1)": X + 2,
    "x -> (if N2 > 1 { relu } else { tanh })": np.maximum(X, 0),
    "[k(x) for k in [relu, (a) => -a]][1]": -X,
    "pair(x)[1]": X + 1,
    "sequential([relu, leaky_relu(slope = 0.5)])(x)": np.maximum(X, 0),
    "apply(clip(lo = 0, hi = 2), x)": np.clip(X, 0, 2),
}


@pytest.mark.parametrize("expression", STAGES)
def test_stages(expression: str) -> None:
    before = (
        "const N2 = 2\nblock twice(body: fn)(x: [*S]) -> [*S] = body(body(x))\n"
        "fn pair(x: [*S]) -> ([*S], [*S]) = (x, x + 1)\nfn apply(f: fn, x: [*S]) -> [*S] = f(x)"
    )
    np.testing.assert_allclose(value(expression, X, before=before), STAGES[expression])


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


# ---------------------------------------------------------------- 9. annotations


def test_facts_reach_the_nodes() -> None:
    net = graph("@quant(4, act = [1, 2])\n@keep\ny = x -> fc: linear(4)\nz = relu(y)\nreturn z")
    facts = {n.op.name: {f.name: (f.args, dict(f.kwargs)) for f in n.facts} for n in net.nodes}
    assert facts["param"] == {"quant": ((4,), {"act": (1, 2)}), "keep": ((), {})}
    assert facts["relu"] == {}


def test_facts_of_blocks_and_models() -> None:
    net = model("@a\nblock B()(x: [N]) -> [N] = relu(x)\n@b\nmodel M()(x: [N]) {\nreturn x -> B\n}\n").graph
    assert [[f.name for f in n.facts] for n in net.nodes if n.op.name == "relu"] == [["b", "a"]]
    assert [f.name for f in net.facts] == ["b"]


# ---------------------------------------------------------------- 10. and 11. expectations and modules


def test_expectations() -> None:
    module = load_text(
        "from std import linear\n"
        "model M(w: int = 3)(x: [N, 4]) -> [N, w] {\nstate s: [2] = zeros\nreturn x -> fc: linear(w)\n}\n"
        "expect M: params == 15 and state == 2\nexpect M(w = 5): output == [N, 5]\n"
        "expect M at (N = 2): output == [2, 3] and macs == 24\nexpect M: space == 1\nexpect M: params < 15\n"
    )
    assert [o.holds for o in check(module)] == [True, True, True, True, False]


def test_modules(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "blocks.arch").write_text(
        'from "../shared.arch" import k\nblock B()(x: [*S]) -> [*S] = x * k\nfn f(x: [*S]) -> [*S] = x + k\n', "utf-8"
    )
    (tmp_path / "shared.arch").write_text("const k = 3\n", "utf-8")
    (tmp_path / "main.arch").write_text(
        'from "./sub/blocks.arch" import B as Tripled\nimport "./sub/blocks.arch" as blocks\n'
        'import "./shared.arch" as shared\n'
        "from std.norm import layer_norm as norm\nimport std.linear as lin\nfrom std import mlp\n"
        "model M()(x: [N, 4]) {\ny = x -> Tripled -> blocks.f\nz = x -> norm -> lin.linear(4) -> mlp(4)\n"
        "return y * shared.k + z * 0\n}\n",
        "utf-8",
    )
    net = elaborate(load_file(tmp_path / "main.arch").models["M"]).graph
    assert paths(net)[0] == "layer_norm_0.weight"
    np.testing.assert_allclose(run(net, X).outputs[0], (X * 3 + 3) * 3)


def test_arguments_of_models() -> None:
    text = "model M(k: float = 1, deep: bool = false)(x: [N, 4]) {\nreturn x * k * (if deep { 2 } else { 1 })\n}\n"
    np.testing.assert_allclose(run(model(text, arguments={"k": 3, "deep": True}).graph, X).outputs[0], X * 6)
    for wrong in ({"depth": 1}, {"deep": 1}, {"k": "a"}):
        with pytest.raises(ArchitraveError, match="E2"):
            model(text, arguments=wrong)
