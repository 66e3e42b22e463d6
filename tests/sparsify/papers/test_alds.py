"""Row `alds`: the layer-wise decomposition whose largest relative error is least under a budget of parameters."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import architrave
from architrave.factorize import METHODS, Choices, Plan, at_level, factorize, within
from architrave.factorize.layers import extent, layers
from architrave.ir import cost
from architrave.ir.interpret import interpret
from architrave.ir.ops.leaves import path_of
from architrave.passes import apply

RNG = np.random.default_rng(94)
GRAPH = architrave.loads(
    """from std.conv import conv2d
from std.linear import linear

model M()(x: [N, 6, 7, 7]) -> [N, 5] {
    y = x -> a: conv2d(16, 3, stride = 2) -> relu -> b: conv2d(24, [3, 1], padding = [1, 0], bias = false) -> relu
    return mean(y, axis = [2, 3]) -> head: linear(5)
}"""
)
WEIGHTS = architrave.init(GRAPH, 0, np.float64)


def folded(kernel: np.ndarray) -> np.ndarray:
    """f x (c * k1 * k2)."""
    return kernel.reshape(len(kernel), -1)


def cut_to(path: str, slices: int, rank: int) -> tuple[np.ndarray, int]:
    """The kernel after decomposition, folded, and how many numbers its two maps hold."""
    made = apply(GRAPH, f"alds{{ranks={path}:{slices}x{rank} grow=true}}")
    weights = made.weights(WEIGHTS)
    held = [w for name, w in weights.items() if name.startswith((f"{path}.down", f"{path}.up.weight"))]
    back = apply(made.graph, f"inference,reparam{{grow=true only={path}.*}},hoist,clean")
    merged = next(w for name, w in back.weights(weights).items() if name.startswith(path) and w.ndim > 1)
    return folded(merged), sum(w.size for w in held)


def test_full_rank_and_one_slice_is_the_network_itself() -> None:
    made = apply(GRAPH, "alds{rank=1000 grow=true}")
    assert len(made.journal.changes) == 3
    x = RNG.normal(size=(2, 6, 7, 7))
    found, wanted = (
        interpret(graph, [x], weights).outputs[0]
        for graph, weights in ((made.graph, made.weights(WEIGHTS)), (GRAPH, WEIGHTS))
    )
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("path", "rank"), [("a", 1), ("a", 7), ("b", 5), ("head", 3)])
def test_the_spectral_error_of_truncation_is_the_next_singular_value(path: str, rank: int) -> None:
    old = folded(WEIGHTS[f"{path}.weight"])
    new, _ = cut_to(path, 1, rank)
    sigma = np.linalg.svd(old, compute_uv=False)
    np.testing.assert_allclose(np.linalg.norm(old - new, 2), sigma[rank], atol=1e-5)


@pytest.mark.parametrize(
    ("path", "slices", "rank"), [("a", 3, 2), ("a", 2, 5), ("b", 4, 3), ("b", 1, 2), ("head", 4, 1)]
)
def test_sizes_and_errors_of_slices(path: str, slices: int, rank: int) -> None:
    """A layer holds `j (k f + c k1 k2)` numbers; each slice loses its next singular value."""
    kernel = WEIGHTS[f"{path}.weight"]
    new, size = cut_to(path, slices, rank)
    f, c, taps = len(kernel), kernel.shape[1], int(np.prod(kernel.shape[2:]))
    assert size == rank * (slices * f + c * taps)
    old = folded(kernel)
    for before, after in zip(np.hsplit(old, slices), np.hsplit(new, slices), strict=True):
        sigma = np.linalg.svd(before, compute_uv=False)
        np.testing.assert_allclose(np.linalg.norm(before - after, 2), sigma[rank], atol=1e-5)


@pytest.mark.parametrize("by", ["parameters", "macs"])
@pytest.mark.parametrize("keep", [0.3, 0.5, 0.8])
def test_the_budget_is_met_and_no_layer_loses_more_than_is_reported(by: str, keep: float) -> None:
    found = factorize(GRAPH, WEIGHTS, Plan("alds", keep, by))  # type: ignore[arg-type]
    assert found.after[by] <= keep * found.before[by]
    assert found.after == {
        "parameters": cost.parameters(found.graph),
        "macs": cost.multiply_adds(found.graph, {"N": 1}),
    }
    back = apply(found.graph, "inference,reparam{grow=true},hoist,clean")
    merged = back.weights(found.weights)
    for cut in found.cuts:
        old = folded(WEIGHTS[cut.path])
        new = folded(next(w for name, w in merged.items() if name.startswith(cut.layer.place) and w.ndim > 1))
        error = np.linalg.norm(old - new, 2) / np.linalg.norm(old, 2)
        assert error <= cut.bound + 1e-9
        assert cut.bound <= found.level
        np.testing.assert_allclose(np.linalg.norm(old - new) / np.linalg.norm(old), cut.error, atol=1e-9)


def test_nothing_better_exists() -> None:
    """All combinations of slices and ranks of two layers, one by one: none within the budget has a smaller maximum."""
    choices: dict[str, Choices] = {}
    every: list[list[tuple[int, float]]] = []
    for layer in layers(GRAPH)[1:]:
        path = path_of(layer.weight)
        size = extent(GRAPH, layer, "parameters")
        choices[path] = METHODS["alds"].choices(layer, WEIGHTS[path], size, "spectral")
        old = folded(WEIGHTS[path])
        f, wide = old.shape
        all_of_it = [(old.size, 0.0)]
        for slices in (k for k in range(1, 17) if layer.inputs % k == 0):
            sigma = np.stack([np.linalg.svd(part, compute_uv=False) for part in np.hsplit(old, slices)])
            beyond = np.append(sigma.max(axis=0), 0.0) * np.sqrt(slices) / np.linalg.norm(old, 2)
            all_of_it += [(j * (slices * f + wide), float(beyond[j])) for j in range(1, sigma.shape[1] + 1)]
        every.append(all_of_it)
    whole = sum(found.dense for found in choices.values())
    for budget in (whole // 4, whole // 2, whole - 100):
        best = min(max(a[1], b[1]) for a, b in itertools.product(*every) if a[0] + b[0] <= budget)
        found = within(choices, 0, budget, whole, "parameters")
        np.testing.assert_allclose(found.level, best, atol=1e-7)
        assert sum(each.size(found.level) for each in choices.values()) <= budget
        assert found == at_level(choices, found.level)
