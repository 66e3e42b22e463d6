"""The parts of which programs are written: expressions, sizes, templates, layout."""

import numpy as np
import pytest

from architrave.backends.base import backend
from architrave.backends.code import Code, infix, literal, prefix
from architrave.backends.layout import wrapped
from architrave.backends.load import compile
from architrave.backends.merge import merge, template
from architrave.backends.names import Names
from architrave.backends.sizes import Sizes
from architrave.ir import build
from architrave.ir.autodiff import with_gradients
from architrave.ir.dims import floor_div, symbol
from architrave.ir.interpret import interpret
from architrave.models import loads

A, B, C = Code("a"), Code("b"), Code("c")
SUM, PRODUCT = infix(A, "+", B), infix(A, "*", B)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (infix(SUM, "*", C), "(a + b) * c"),
        (infix(A, "-", infix(B, "-", C)), "a - (b - c)"),
        (infix(infix(A, "-", B), "-", C), "a - b - c"),
        (infix(infix(A, "**", B), "**", C), "(a ** b) ** c"),
        (infix(literal(-2), "**", B), "(-2) ** b"),
        (infix(A, "**", literal(-2)), "a ** -2"),
        (prefix("-", PRODUCT), "-(a * b)"),
        (infix(infix(A, "<", B), "==", C), "(a < b) == c"),
        (infix(infix(A, "&", B), "<", C), "a & b < c"),
        (prefix("~", infix(A, "<", B)), "~(a < b)"),
        (infix(A, "/", prefix("-", B)), "a / -b"),
    ],
)
def test_parentheses_stand_where_they_must(code, text):
    assert code.text == text


N, H, W, P = (symbol(name) for name in ("N", "H", "W", "P"))
SHAPES = (("x", (N, 3, H, floor_div(W - 1, 2) + 1)), ("y", (2 * P + 1,)))


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (7, "7"),
        (N, "N"),
        (H * N * 2, "2 * H * N"),
        (floor_div(H - 1, 2) + 1, "(H + 1) // 2"),
        (floor_div(W - 1, 2) + 1, "W"),
        (2 * floor_div(W - 1, 2) + 2, "2 * W"),
        (2 * P + 1, "N"),
        (P, "(N - 1) // 2"),
        (P * P - 1, "(N - 1) // 2 * ((N - 1) // 2) - 1"),
        (symbol("Q"), None),
        (W, None),
    ],
)
def test_sizes_are_computed_from_shapes(size, text):
    sizes = Sizes(SHAPES, Names())
    code = sizes.code(size)
    assert (code.text if code is not None else None) == text


def test_sizes_that_are_used_are_read_first():
    sizes = Sizes(SHAPES, Names(["N"]))
    assert [str(sizes.code(s)) for s in (N, H, P)] == ["N_2", "H", "(N_3 - 1) // 2"]
    assert sizes.lines() == ["N_2, _, H, _ = x.shape", "N_3 = y.shape[0]"]


MERGED = [
    # What differs is named by the static argument with that value, a multiple of it is written as one.
    (
        ["a = nn.Linear(8, 32)  # f:1", "a = nn.Linear(16, 64)  # f:2"],
        [{"width": 8}, {"width": 16}],
        "a = nn.Linear(width, 4 * width)  # f:1",
        (("8",), ("16",)),
    ),
    # Else by its role in a known call or its keyword.
    (
        ["nn.Conv2d(3, 8, 1, stride=1)", "nn.Conv2d(4, 9, 1, stride=2)"],
        [{}, {}],
        "nn.Conv2d(in_channels, out_channels, 1, stride=stride)",
        (("3", "8", "1"), ("4", "9", "2")),
    ),
    # Numbers in names and strings are no numbers; truth values are.
    (['x1 = f("1", True)', 'x1 = f("1", False)'], [{}, {}], 'x1 = f("1", size)', (("True",), ("False",))),
    # A multiple that is part of an expression keeps its parentheses.
    (["f(2, x / 4)", "f(3, x / 6)"], [{"n": 2}, {"n": 3}], "f(n, x / (2 * n))", (("2",), ("3",))),
    (["y = 1e-05 * x", "y = 0.5 * x"], [{"eps": 1e-5}, {"eps": 0.5}], "y = eps * x", (("1e-05",), ("0.5",))),
]


@pytest.mark.parametrize(("texts", "static", "text", "arguments"), MERGED)
def test_texts_that_differ_in_numbers_become_one(texts, static, text, arguments):
    templates = [template(t) for t in texts]
    assert templates[0].shape == templates[1].shape
    merged = merge(templates, static, Names())
    assert merged is not None
    assert (merged.text({}), merged.arguments) == (text, arguments)


@pytest.mark.parametrize(
    ("a", "b"), [("f(1)", "g(1)"), ('f("a")', 'f("b")'), ("f(x1)", "f(x2)"), ("f(1, 2)", "f(1)"), ("f(-1)", "f(1)")]
)
def test_texts_that_differ_otherwise_stay_two(a, b):
    assert template(a).shape != template(b).shape


def test_long_calls_are_laid_out():
    line = f"    y = call({', '.join(f'argument_{i}=f({i}, [1, 2])' for i in range(6))})[0]  # a.arch:1"
    first, *inside, last = wrapped(line)
    assert (first, last) == ("    y = call(  # a.arch:1", "    )[0]")
    assert inside == [f"        argument_{i}=f({i}, [1, 2])," for i in range(6)]


@pytest.mark.parametrize("line", ["y = short(1, 2)", "y = " + "x" * 200, f'f("{"a, b" * 60}")'])
def test_what_cannot_be_parted_stays_whole(line):
    assert wrapped(line) == [line]


SELECTED = [
    ("x[:, 0]", "x[:, 0]"),
    ("x[:, 0:2]", "x[:, :2]"),
    ("x[0, :, 2]", "x[0, :, 2]"),
    ("x[:, 0:1]", "x[:, :1]"),
    ("x[..., 1]", "x[:, :, 1]"),
]


@pytest.mark.parametrize(("source", "text"), SELECTED)
@pytest.mark.parametrize("target", ["numpy", "torch", "jax"])
def test_single_elements_are_indexed(target, source, text):
    emitted = backend(target).emit(loads(f"model M()(x: [4, 3, 5]) -> [*_] {{ return exp({source}) }}"))
    assert f".exp({text})" in emitted


@pytest.mark.parametrize("target", ["numpy", "torch"])
def test_two_loops_over_several_sequences_keep_their_steps_apart(target):
    """The second loop may take the first one's variables anew, but not one of them twice."""
    x, y = (build.input(name, "[3, 4]") for name in "xy")
    backward = with_gradients(build.graph("M", [x, y], [build.cumprod(x, axis=0), build.cumprod(y, axis=0)]))
    inputs = np.random.default_rng(0).normal(size=(4, 3, 4))
    for found, wanted in zip(compile(backward, target)({}, *inputs), interpret(backward, inputs).outputs, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("target", ["numpy", "torch", "jax"])
def test_the_precision_is_that_of_an_input_that_is_used_up(target):
    backward = with_gradients(loads("model M()(x: [3]) = softmax(cast(x, f64))"))
    inputs = np.array([0.1, 0.2, 0.3]), np.array([1.0, -1.0, 0.5])
    (_, wanted), (_, found) = interpret(backward, inputs).outputs, compile(backward, target)({}, *inputs)
    np.testing.assert_allclose(found, wanted, rtol=1e-14)


@pytest.mark.parametrize("target", ["numpy", "torch", "jax"])
def test_a_constant_inside_a_composite_gets_a_variable_where_the_line_is_long(target):
    x = "x" * 40
    graph = loads(f"model M()({x}: i64[5]) -> [*_] = op.segment_mean({x} % 3, {x}, count=4)")
    found = compile(graph, target)({}, np.array([0, 1, 1, 3, 2]))
    np.testing.assert_array_equal(found, [0, 1, 2, 0])


def test_jax_computes_with_constants_itself():
    """NumPy would warn of the division, and promote otherwise."""
    graph = loads("model M()(x: [2]) = x + cast(constant([1, 2], dtype=i64) % constant([0, 1], dtype=i64), float)")
    assert "jnp.asarray(CONSTANT_1) % jnp.asarray(CONSTANT_2)" in backend("jax").emit(graph)
