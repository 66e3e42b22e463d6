"""Windows, resolutions and grids against PyTorch's, values and gradients in float64, and backend against backend."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.autodiff import with_gradients
from architrave.ir.graph import Graph
from architrave.ir.interpret import interpret

torch = pytest.importorskip("torch")
F = torch.nn.functional

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 4, 6, 9))
LINE, VOLUME = RNG.normal(size=(2, 4, 7)), RNG.normal(size=(2, 4, 3, 4, 5))
TIED = np.round(X)
COLUMNS = RNG.normal(size=(2, 12, 20))
POINTS, DEEP = 1.5 * RNG.normal(size=(2, 3, 4, 2)), RNG.normal(size=(2, 5, 1, 2, 3))
LATTICE = np.stack(np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 6)), -1)[None].repeat(2, 0)
FLAT, SOLID = RNG.normal(size=(2, 2, 3)), RNG.normal(size=(2, 3, 4))

IMPORTS = """
from std.norm import local_response_norm, instance_norm
from std.spatial import unfold, fold, adaptive_avg_pool, adaptive_max_pool, lp_pool, channel_shuffle
from std.spatial import pixel_shuffle, pixel_unshuffle, depth_to_space, space_to_depth
"""

Case = tuple[tuple[Array, ...], Callable[..., Any]]

CASES: dict[str, Case] = {
    "unfold(x, [2, 3], [2, 1], [1, 2], [1, 2])": ((X,), lambda x: F.unfold(x, (2, 3), (1, 2), (1, 2), (2, 1))),
    "unfold(x, 3)": ((X,), lambda x: F.unfold(x, 3)),
    "fold(x, [5, 6], [2, 2])": ((COLUMNS,), lambda x: F.fold(x, (5, 6), 2)),
    "fold(x, [4, 6], [2, 3], padding = [0, 1], stride = [1, 1], dilation = [2, 1])": (
        (RNG.normal(size=(2, 12, 12)),),
        lambda x: F.fold(x, (4, 6), (2, 3), dilation=(2, 1), padding=(0, 1)),
    ),
    "fold(unfold(x, 3, 2, 1), [6, 9], 3, 2, 1)": ((X,), lambda x: F.fold(F.unfold(x, 3, 1, 1, 2), (6, 9), 3, 1, 1, 2)),
    "adaptive_avg_pool(x, [4, 5])": ((X,), lambda x: F.adaptive_avg_pool2d(x, (4, 5))),
    "adaptive_avg_pool(x, 3)": ((VOLUME,), lambda x: F.adaptive_avg_pool3d(x, 3)),
    "adaptive_avg_pool(x, 10)": ((LINE,), lambda x: F.adaptive_avg_pool1d(x, 10)),
    "adaptive_max_pool(x, [4, 5])": ((X,), lambda x: F.adaptive_max_pool2d(x, (4, 5))),
    "adaptive_max_pool(x, [5, 3]) + 0": ((TIED,), lambda x: F.adaptive_max_pool2d(x, (5, 3))),
    "adaptive_max_pool(x, 2)": ((VOLUME,), lambda x: F.adaptive_max_pool3d(x, 2)),
    "adaptive_max_pool(x, 1)": ((LINE,), lambda x: F.adaptive_max_pool1d(x, 1)),
    "lp_pool(x, 2.0, [2, 3])": ((X,), lambda x: F.lp_pool2d(x, 2, (2, 3))),
    "lp_pool(x, 3.0, 2, 1)": ((np.abs(LINE),), lambda x: F.lp_pool1d(x, 3, 2, 1)),
    "pixel_shuffle(x, 2)": ((X,), lambda x: F.pixel_shuffle(x, 2)),
    "pixel_unshuffle(x, 3)": ((X,), lambda x: F.pixel_unshuffle(x, 3)),
    "depth_to_space(space_to_depth(x, 3), 3)": ((X,), lambda x: x),
    "channel_shuffle(x, 2)": ((VOLUME,), lambda x: F.channel_shuffle(x, 2)),
    "local_response_norm(x, 3, 0.5, 0.7, 2.0)": ((X,), lambda x: F.local_response_norm(x, 3, 0.5, 0.7, 2.0)),
    "local_response_norm(x, 4)": ((LINE,), lambda x: F.local_response_norm(x, 4)),
    "instance_norm(1e-3)(x)": ((X,), lambda x: F.instance_norm(x, eps=1e-3)),
    "op.affine_grid(x, [3, 1])": ((FLAT,), lambda x: F.affine_grid(x, (2, 1, 3, 1), align_corners=False)),
    "op.affine_grid(x, [2, 4], true)": ((FLAT,), lambda x: F.affine_grid(x, (2, 1, 2, 4), align_corners=True)),
    "op.affine_grid(x, [2, 3, 1])": ((SOLID,), lambda x: F.affine_grid(x, (2, 1, 2, 3, 1), align_corners=False)),
    "op.affine_grid(x, [2, 4, 3], true)": ((SOLID,), lambda x: F.affine_grid(x, (2, 1, 2, 4, 3), align_corners=True)),
}


def sampled(mode: str, padding: str, align: bool, x: Array, grid: Array) -> tuple[str, Case]:
    """A call of `grid_sample`, and PyTorch's."""
    call = f'op.grid_sample(x, y, "{mode}", "{padding}", {str(align).lower()})'

    def theirs(x: Any, grid: Any) -> Any:
        return F.grid_sample(x, grid, mode=mode, padding_mode=padding, align_corners=align)

    return call, ((x, grid), theirs)


SAMPLED = [
    sampled(*options, x, grid)
    for x, grid in ((X, POINTS), (VOLUME, DEEP), (X, LATTICE))
    for options in itertools.product(
        ("nearest", "bilinear", "bicubic")[: 2 if x is VOLUME else 3], ("zeros", "border", "reflection"), (False, True)
    )
]
"""Far outside, in three dimensions, and at corners and edges, where PyTorch's slopes are ours, too."""


def network(call: str, arrays: tuple[Array, ...]) -> Graph:
    """A model that returns a call; batch and sizes are symbols where nothing says otherwise."""
    typed = ", ".join(f"{name}: {list(array.shape)}" for name, array in zip("xy", arrays, strict=False))
    return architrave.loads(f"{IMPORTS}\nmodel M()({typed}) {{\n    return {call}\n}}\n")


@pytest.mark.parametrize(
    ("call", "case"), [*CASES.items(), *SAMPLED], ids=lambda value: value if isinstance(value, str) else ""
)
def test_parity(call: str, case: Case) -> None:
    arrays, theirs = case
    given = [torch.tensor(a, requires_grad=True) for a in arrays]
    wanted = theirs(*given)
    cotangent = torch.linspace(-1, 2, wanted.numel(), dtype=torch.float64).reshape(wanted.shape)
    slopes = torch.autograd.grad(wanted, given, cotangent)
    found = interpret(with_gradients(network(call, arrays)), [*arrays, cotangent.numpy()], {}).outputs
    for ours, other in zip(found, (wanted, *slopes), strict=True):
        np.testing.assert_allclose(ours, other.detach().numpy(), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize(
    "call", ["fold(unfold(x, 3, 2, 1), [6, 9], 3, 2, 1)", "lp_pool(x, 2.0, [2, 3])", SAMPLED[2][0]]
)
@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
def test_every_backend_has_the_gradient(call: str, backend: str) -> None:
    pytest.importorskip(backend)
    arrays, _ = {**CASES, **dict(SAMPLED)}[call]
    both = with_gradients(network(call, arrays))
    given = [*arrays, np.ones([int(n) for n in both.inputs[-1].shape])]
    for found, wanted in zip(
        architrave.compile(both, backend)({}, *given), interpret(both, given, {}).outputs, strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize(
    "call",
    [
        "unfold(x, [2, 3], 2, 1)",
        "adaptive_avg_pool(x, [4, 3])",
        "adaptive_max_pool(x, [4, 3])",
        'op.grid_sample(x, op.affine_grid(theta, [4, 5], true), align_corners = true, padding = "reflection")',
        'op.grid_sample(x, op.affine_grid(theta, [H, W]), "cubic", "border")',
        "local_response_norm(x, 3)",
    ],
)
def test_symbolic_sizes_change_nothing(call: str) -> None:
    text = f"{IMPORTS}\nmodel M()(x: [{{}}], theta: [{{}}]) {{{{\n    (_, _, H, W) = x.shape\n    return {call}\n}}}}\n"
    known = with_gradients(architrave.loads(text.format("2, 4, 6, 9", "2, 2, 3")))
    symbolic = with_gradients(architrave.loads(text.format("N, C, P, Q", "N, 2, 3")))
    given = [X, FLAT, RNG.normal(size=[int(n) for n in known.outputs[0].shape])]
    wanted = interpret(known, given, {}).outputs
    for a, b in zip(interpret(symbolic, given, {}).outputs, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


def test_depth_to_space_has_the_order_of_tensorflow() -> None:
    x = np.arange(8.0).reshape(1, 8, 1, 1)
    (found,) = interpret(network("depth_to_space(x, 2)", (x,)), [x], {}).outputs
    assert found[0].tolist() == [[[0, 2], [4, 6]], [[1, 3], [5, 7]]]
