"""What papers say of the library's re-parameterized blocks, and that backends agree on all of them."""

from __future__ import annotations

import numpy as np
import pytest

import architrave
from architrave.backends.agree.verification import verify
from architrave.ir.autodiff import with_gradients
from architrave.ir.cost import depth, parameters
from architrave.ir.graph import Graph
from architrave.ir.interpret import interpret
from tests.reparam.blocks import IMPORTS, drawn, network, operators, run, value

RNG = np.random.default_rng(0)


AGREEING = {
    "repmlp": ("x -> repmlp(6, 2, groups = 2)", "x: [N, 4, 4, 6]"),
    "repmlp, folded": ("x -> repmlp(3, 2, [1, 3, 5], reduction = 2, folded = true)", "x: [N, 2, 4, 2]"),
    "mpbn": ("3 * x -> lif(normalized_fire(0.5)) -> linear(2)", "x: [N, T, 4]"),
    "mpbn, elementwise": ("3 * x -> lif(normalized_fire(elementwise = true)) -> lif", "x: [N, 3, 2, 3]"),
    "slab": ("x -> scheduled_norm(10) -> simplified_linear_attention(2, 3, 3) -> rep_norm", "x: [N, 6, 4]"),
    "rezero": ("x -> rezero(mlp(5)) -> rezero_transformer_layer(2, 8, dropout = 0.1)", "x: [N, T, 4]"),
    "matrixkan": ("x -> kan_linear(3) -> kan_linear(2, 4, 5, basis = recursive_basis)", "x: [N, 4]"),
    "shallow": ("x -> residual_stack([mlp(3), mlp(5)], parallel = true) -> residual_stack([mlp(2)])", "x: [N, 4]"),
    "unified": ("x -> unified_norm -> linear(5) -> unified_norm(2, gap = 1.01)", "x: [N, T, 4]"),
    "hopfield": ("(x, x) -> hopfield(2, steps = 3) -> hopfield_layer(5, 2) -> hopfield_pooling(3)", "x: [N, T, 4]"),
    "scalecrafter": ("x -> redilated_conv2d(3, 3, 2) -> redilated_conv2d(2, 3, 1.5)", "x: [N, 2, 6, 4]"),
    "scalecrafter, dispersed": ("x -> dispersed_conv2d(3)", "x: [N, 2, 6, 4]"),
    "crms": ("x -> crms_norm", "x: [N, 4]"),
}


@pytest.mark.usefixtures("quick_jax")
@pytest.mark.parametrize("name", AGREEING)
def test_backends_agree(name: str) -> None:
    pytest.importorskip("torch")
    report = verify(network(*AGREEING[name]))
    assert report.ok, str(report)


# RepMLP


@pytest.mark.parametrize(("groups", "kernels"), [(1, [1, 3]), (2, [3]), (4, [1, 3, 5])])
def test_repmlp_folds_into_one_matrix(groups: int, kernels: list[int]) -> None:
    bodies = [f"x -> repmlp(8, 4, {kernels}, {groups}{more})" for more in ("", ", folded = true")]
    plain, folded = (network(body, "x: [N, 4, 8, 4]") for body in bodies)
    weights, x = drawn(plain), RNG.normal(size=(3, 4, 8, 4))
    assert architrave.init(plain).keys() == architrave.init(folded).keys()
    expected, found = (run(graph, weights, x) for graph in (plain, folded))
    np.testing.assert_allclose(found.outputs[0], expected.outputs[0], rtol=1e-10, atol=1e-10)
    expected, found = (run(graph, weights, x, training=True) for graph in (plain, folded))
    np.testing.assert_array_equal(found.outputs[0], expected.outputs[0])
    assert found.updates.keys() == expected.updates.keys()


def test_the_matrix_of_a_convolution_is_zero_where_the_kernel_does_not_reach() -> None:
    (n, k, h) = (2, 3, 5)
    body = f"""as_dense(reshape(eye({n * h * h}), [{n * h * h}, {n}, {h}, {h}]), conv2d({k}, 3, bias = false))"""
    graph = architrave.loads(f"from std.repmlp import as_dense\n{IMPORTS}\nmodel M()(x: [1]) = {body}\n")
    dense = run(graph, drawn(graph), np.zeros(1)).outputs[0].reshape(n, h, h, k, h, h)
    rows, columns = np.indices((h, h)).reshape(2, h * h)
    near = (abs(rows[:, None] - rows) <= 1) & (abs(columns[:, None] - columns) <= 1)
    reached = (dense != 0).any((0, 3)).reshape(h * h, h * h)
    np.testing.assert_array_equal(reached, near)


# ReZero


def test_rezero_starts_as_the_identity_of_any_depth() -> None:
    depths = 1000
    graph = architrave.loads(f"""{IMPORTS}
    model M()(x: [N, 4]) {{
        for i in 0..{depths} {{
            x = x -> layer[i]: rezero(linear(4))
        }}
        return x
    }}""")
    weights, x = architrave.init(graph, dtype=np.float64), np.repeat(RNG.normal(size=(1, 4)), 4, axis=0)
    y, *_, by_x = interpret(with_gradients(graph), [x, np.eye(4)], weights).outputs
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(by_x, np.eye(4))
    assert parameters(graph) == depths * (4 * 4 + 4 + 1)


def test_a_transformer_of_12_layers_has_12_more_numbers() -> None:
    graph = architrave.loads(f"""{IMPORTS}
    model M()(x: [N, T, 8]) {{
        for i in 0..12 {{
            x = x -> layers[i]: rezero_transformer_layer(2, 16)
        }}
        return x
    }}""")
    weights, x = architrave.init(graph), RNG.normal(size=(2, 5, 8)).astype(np.float32)
    assert sum(array.size for path, array in weights.items() if path.endswith("resweight")) == 12
    np.testing.assert_array_equal(run(graph, weights, x).outputs[0], x)


# Serial and parallel residual branches


def stacks(branches: str) -> tuple[Graph, Graph]:
    parallel, serial = (network(f"x -> residual_stack({branches}, {p})", "x: [N, 5]") for p in ("true", "false"))
    return parallel, serial


def test_parallel_branches_lose_what_is_quadratic() -> None:
    parallel, serial = stacks("[linear(5, bias = false) for i in 0..6]")
    assert parameters(parallel) == parameters(serial)
    assert (depth(parallel), depth(serial)) == (1, 6)
    weights, x = drawn(parallel), RNG.normal(size=(20, 5))
    ratios = []
    for eps in (1e-3, 1e-2):
        small = {path: eps * weight for path, weight in weights.items()}
        one, other = (run(graph, small, x).outputs[0] for graph in (parallel, serial))
        ratios.append(abs(one - other).max() / eps**2)
    assert ratios[1] == pytest.approx(ratios[0], rel=0.1)


def test_one_branch_is_both() -> None:
    parallel, serial = stacks("[mlp(7)]")
    assert parallel == serial


# ScaleCrafter


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_a_redilated_convolution_is_the_original_on_each_phase(factor: int) -> None:
    plain = network("x -> m: conv2d(4, 3)", "x: [N, 3, H, W]")
    wide = network(f"x -> m: redilated_conv2d(4, 3, {factor})", "x: [N, 3, H, W]")
    weights, x = drawn(plain), RNG.normal(size=(2, 3, 6 * factor, 5 * factor))
    y = run(wide, {path.replace("m.", "m.conv."): array for path, array in weights.items()}, x).outputs[0]
    for a, b in np.ndindex(factor, factor):
        expected = run(plain, weights, x[..., a::factor, b::factor]).outputs[0]
        np.testing.assert_allclose(y[..., a::factor, b::factor], expected, rtol=1e-14, atol=1e-14)
    assert parameters(plain) == parameters(wide)


def test_a_factor_of_one_changes_nothing() -> None:
    plain, wide = (network(f"x -> {block}", "x: [N, 3, H, W]") for block in ("conv2d(4)", "m: redilated_conv2d(4)"))
    weights, x = drawn(plain), RNG.normal(size=(2, 3, 4, 5))
    given = {path.replace("conv2d_0.", "m.conv."): array for path, array in weights.items()}
    np.testing.assert_array_equal(run(wide, given, x).outputs[0], run(plain, weights, x).outputs[0])
    assert operators(plain) == operators(wide)


@pytest.mark.parametrize(("nearness", "same"), [("0.0", "redilated_conv2d(4, 3, 2)"), ("1e12", "conv2d(4)")])
def test_a_dispersed_kernel_lies_between_the_dilated_and_the_original(nearness: str, same: str) -> None:
    dispersed = network(f"x -> m: dispersed_conv2d(4, nearness = {nearness})", "x: [N, 3, H, W]")
    other = network(f"x -> m: {same}", "x: [N, 3, H, W]")
    weights, x = drawn(dispersed), RNG.normal(size=(2, 3, 6, 7))
    renamed = dict(zip(architrave.init(other), weights.values(), strict=True))
    expected = run(other, renamed, x).outputs[0]
    np.testing.assert_allclose(run(dispersed, weights, x).outputs[0], expected, rtol=1e-9, atol=1e-9)


def test_guidance_adds_a_multiple_of_the_difference() -> None:
    x, y, z = RNG.normal(size=(3, 2, 4))
    np.testing.assert_allclose(value("damped_guidance(x, y, z, 7.5)", x, y, z), x + 7.5 * (y - z), rtol=1e-14)


def test_a_factor_between_integers_keeps_a_constant_image() -> None:
    graph = network("x -> m: redilated_conv2d(1, 3, 1.5, bias = false)", "x: [1, 1, 12, 12]")
    (path,) = architrave.init(graph)
    kernel, x = RNG.normal(size=(1, 1, 3, 3)), np.ones((1, 1, 12, 12))
    y = run(graph, {path: kernel}, x).outputs[0]
    np.testing.assert_allclose(y[..., 3:-3, 3:-3], kernel.sum(), rtol=1e-12)
