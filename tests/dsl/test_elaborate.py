"""What docs/language.md says of sections 3 to 5 and 9 to 11, tried on small models."""

from pathlib import Path

import numpy as np
import pytest

from architrave.dsl.elaborate.model import elaborate
from architrave.dsl.expectations import check
from architrave.dsl.modules import load_file, load_text
from architrave.ir.source import ArchitraveError
from tests.dsl.elaborated import graph, model, ops, paths, run, value

X = np.arange(12.0).reshape(3, 4) - 5


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
