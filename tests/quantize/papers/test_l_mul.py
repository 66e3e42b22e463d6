"""Luo and Sun, "Addition is All You Need for Energy-efficient Language Models" (2024)."""

from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir import build
from architrave.ir.graph import Graph
from architrave.ir.interpret import interpret
from architrave.ir.ops.l_mul import LMul, LMulMatmul, correction
from architrave.ir.source import ArchitraveError
from architrave.passes import apply

Array = np.ndarray[Any, Any]
BACKENDS = ("numpy", "torch", "jax")
HEADS = """
from std.attention import self_attention
from std.linear import linear

model Heads()(x: [N, T, 8]) -> [N, T, 4] {
    y = x -> heads: self_attention(2)
    y = y * sigmoid(x)
    return y -> head: linear(4)
}
"""


def of_two(operator: str = "l_mul", a: str = "f32[N]", b: str = "f32[N]", **attributes: Any) -> Graph:
    inputs = build.input("a", a), build.input("b", b)
    return build.graph("Product", inputs, [build.call(operator, *inputs, **attributes)])


def singles(*numbers: float) -> Array:
    return np.array(numbers, np.float32)


def outputs(graph: Graph, *inputs: Array) -> dict[str, Array]:
    """What the oracle gives, and each backend."""
    found = {name: architrave.compile(graph, backend=name).run({}, *inputs).outputs[0] for name in BACKENDS}
    return {"oracle": interpret(graph, list(inputs)).outputs[0], **found}


def closed_form(a: float, b: float, bits: int) -> float:
    """The paper's (1): the mantissas without the product of their fractions."""
    (x, e), (y, f) = np.frexp(a), np.frexp(b)
    return (1 + (2 * x - 1) + (2 * y - 1) + 2.0**-bits) * 2.0 ** (int(e) + int(f) - 2)


@pytest.mark.parametrize(("bits", "wanted"), {1: 1, 2: 2, 3: 3, 4: 3, 5: 4, 7: 4, 23: 4}.items())
def test_the_correction_is_the_papers(bits: int, wanted: int) -> None:
    assert correction(bits) == wanted


def test_the_sum_of_bits_is_the_closed_form_until_mantissas_carry() -> None:
    cases = [(1.25, 1.25, 1.5625), (1.5, 1.25, 1.8125), (1.75, 1.75, 3.125), (-1.25, 2.5, -3.125), (0.5, 8.0, 4.25)]
    a, b, wanted = (singles(*column) for column in zip(*cases, strict=True))
    for found in outputs(of_two(), a, b).values():
        np.testing.assert_array_equal(found, wanted)
    assert [closed_form(1.25, 1.25, 4), closed_form(1.5, 1.25, 4), closed_form(1.75, 1.75, 4)] == [
        1.5625,
        1.8125,
        2.5625,  # which the sum of bits makes 3.125, and is 3.0625 in truth
    ]


@pytest.mark.parametrize("mantissa", [2, 3, 4, 7, 23])
def test_bits_are_the_same_on_every_backend(mantissa: int) -> None:
    rng: Any = np.random.default_rng(mantissa)
    a, b = (rng.integers(0, 2**32, 200_000, dtype=np.uint32).view(np.float32) for _ in range(2))
    bits = {name: y.astype(np.float32).view(np.int32) for name, y in outputs(of_two(mantissa=mantissa), a, b).items()}
    a_number = ~(np.isnan(a) | np.isnan(b) | np.isnan(bits["oracle"].view(np.float32)))
    for name in BACKENDS:
        np.testing.assert_array_equal(bits[name][a_number], bits["oracle"][a_number], name)
        assert np.isnan(bits[name].view(np.float32)[~a_number]).all()


def test_the_error_is_small_on_average() -> None:
    rng: Any = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 100_000)).astype(np.float32)
    (found,) = interpret(of_two(), [a, b]).outputs
    error = found / (a * b) - 1
    assert abs(error.mean()) < 0.01
    assert abs(error).max() < 0.09


def test_zeros_and_infinities_are_guarded() -> None:
    inf, nan = np.inf, np.nan
    cases = [
        *((0.0, 3.0, 0.0), (-0.0, 3.0, -0.0), (2.0**-130, 2.0**100, 0.0), (2.0**-100, 2.0**-100, 0.0)),
        *((inf, -2.0, -inf), (2.0**100, 2.0**100, inf), (-(2.0**127), 1.99, -inf)),
        *((inf, 0.0, nan), (inf, 2.0**-130, nan), (nan, 0.0, nan), (inf, nan, nan)),
    ]
    a, b, wanted = (singles(*column) for column in zip(*cases, strict=True))
    for found in outputs(of_two(), a, b).values():
        np.testing.assert_array_equal(found, wanted)
        np.testing.assert_array_equal(np.signbit(found[:-4]), np.signbit(wanted[:-4]))


def test_matrix_products_add_in_one_order_in_blocks_of_rows() -> None:
    rng: Any = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 300, 61)).astype(np.float32), rng.normal(size=(61, 70)).astype(np.float32)
    graph = of_two("l_mul_matmul", "f32[B, M, 61]", "f32[61, 70]")
    found = outputs(graph, a, b)
    for name in BACKENDS:
        np.testing.assert_array_equal(found[name], found["oracle"], name)
    assert abs(found["oracle"] - a @ b).max() < 0.1 * abs(a @ b).max()


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_gradients_are_those_of_the_true_product(backend: str) -> None:
    rng: Any = np.random.default_rng(0)
    a, b, g = rng.normal(size=(3, 5)), rng.normal(size=(5, 4)), rng.normal(size=(3, 4))
    program = architrave.compile(of_two("l_mul_matmul", "[3, 5]", "[5, 4]", mantissa=3), backend=backend)
    by_a, by_b = program.gradients({}, a, b, cotangents=[g]).inputs
    np.testing.assert_allclose(by_a, g @ b.T)
    np.testing.assert_allclose(by_b, a.T @ g)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own, of itself
def test_compiled_programs_have_the_same_bits() -> None:
    torch = pytest.importorskip("torch")
    rng: Any = np.random.default_rng(0)
    a, b = rng.normal(size=(9, 12)).astype(np.float32), rng.normal(size=(12, 7)).astype(np.float32)
    graph = of_two("l_mul_matmul", "f32[9, 12]", "f32[12, 7]", mantissa=4)
    namespace: dict[str, Any] = {}
    exec(architrave.compile(graph, "torch").source, namespace)  # noqa: S102  # our own program
    model = torch.compile(namespace["Product"](), fullgraph=True)
    found = model(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    np.testing.assert_array_equal(found, interpret(graph, [a, b]).outputs[0])


def test_the_pass_swaps_products_and_only_those_it_is_told() -> None:
    graph = architrave.loads(HEADS)
    made = apply(graph, "l-mul{mantissa=7}").graph
    names = {node.op.name for node in made.nodes}
    assert not names & {"linear", "attention", "einsum", "matmul"}
    assert {node.op.mantissa for node in made.nodes if isinstance(node.op, LMul | LMulMatmul)} == {7}
    head = apply(graph, "l-mul{only=head}").graph
    assert sum(isinstance(node.op, LMulMatmul) for node in head.nodes) == 1
    assert any(node.op.name == "attention" for node in head.nodes)


def test_a_network_of_additions_is_close_to_its_products_and_the_same_on_every_backend() -> None:
    graph = architrave.loads(HEADS)
    weights, x = architrave.init(graph), np.random.default_rng(0).standard_normal((2, 5, 8)).astype(np.float32)
    made = apply(graph, "l-mul")
    (exact,), (wanted,) = (interpret(g, [x], weights).outputs for g in (graph, made.graph))
    assert 0 < abs(wanted - exact).max() < 0.1 * abs(exact).max()
    for name in BACKENDS:
        (found,) = architrave.compile(made.graph, backend=name).run(weights, x).outputs
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


SIZES = {"...": "2, 3", "b": "2", "i": "4", "j": "5", "k": "6"}
EINSUMS = {
    "i k, j k -> i j": True,
    "k i, k j -> i j": True,
    "b i k, b k j -> b i j": True,
    "... i k, ... j k -> ... i j": True,
    "... k, k j -> ... j": True,
    "i k, j k -> i k j": False,
    "k, k ->": False,
    "i i, i j -> i j": False,
    "i k, k j -> j i": False,
    "i k, k ... -> i ...": False,
    "... k, ... k -> ...": False,
}


@pytest.mark.parametrize("pattern", EINSUMS)
def test_contractions_that_are_matrix_products_are_swapped_and_others_stay_with_a_reason(pattern: str) -> None:
    terms = [", ".join(SIZES[part] for part in term.split()) for term in pattern.partition("->")[0].split(",")]
    a, b = (build.input(name, f"[{sizes}]") for name, sizes in zip("ab", terms, strict=True))
    graph = build.graph("Sum", [a, b], [build.einsum(a, b, equation=pattern)])
    made = apply(graph, "l-mul")
    assert any(isinstance(node.op, LMulMatmul) for node in made.graph.nodes) == EINSUMS[pattern]
    if not EINSUMS[pattern]:
        assert "is no product of matrices" in str(made.journal.refusals)
        return
    rng: Any = np.random.default_rng(0)
    given = [rng.normal(size=v.shape) for v in (a, b)]
    (exact,), (found,) = (interpret(g, given).outputs for g in (graph, made.graph))
    assert abs(found - exact).max() < 0.1 * abs(exact).max()


def test_a_mantissa_that_float32_has_not_is_an_error() -> None:
    with pytest.raises(ArchitraveError, match="E803"):
        apply(architrave.loads(HEADS), "l-mul{mantissa=24}")
