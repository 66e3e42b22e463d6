"""fedtiny: candidates of one density, chosen by devices, and masks that are adjusted block by block."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.source import ArchitraveError
from architrave.passes import apply
from architrave.sparsity.learning.adjustment import adjusted, blocks, moved, top_gradients
from architrave.sparsity.learning.federated import average, best_candidate, magnitude_candidates
from architrave.sparsity.masks.masked import kept, masks
from architrave.sparsity.scores.slopes import Slopes
from architrave.train import SGD, Dataset, Objective, Recipe, Schedule, Trainer

MASKED = apply(
    architrave.loads("""
    from std.conv import conv2d, global_avg_pool
    from std.linear import linear
    from std.norm import batch_norm

    model Net()(x: [N, 3, 6, 6]) -> [N, 4] {
        x = x -> a: conv2d(16, bias = false) -> an: batch_norm -> relu
        x = x -> b: conv2d(24, stride = 2, bias = false) -> bn: batch_norm -> relu
        return x -> global_avg_pool -> c: linear(32) -> relu -> head: linear(4)
    }
    """),
    "mask",
)
GRAPH = MASKED.graph
SIZE = 16 * 27 + 24 * 144 + 24 * 32 + 4 * 32


def weights() -> dict[str, Any]:
    return architrave.init(GRAPH)


def devices() -> list[Dataset]:
    """Devices with different brightness, and different numbers of examples."""
    found = []
    for i, count in enumerate((24, 40, 16)):
        rng = np.random.default_rng(i)
        x = rng.normal(i, 1.0 + i, size=(count, 3, 6, 6)).astype(np.float32)
        found.append(Dataset((x,), rng.integers(0, 4, count)))
    return found


SIZES = [24, 40, 16]


@pytest.mark.parametrize("density", [0.01, 0.05, 0.3])
def test_candidates_differ_in_their_layers_and_not_in_all(density: float) -> None:
    found = [masks(GRAPH, each) for each in magnitude_candidates(GRAPH, weights(), density, 6)]
    assert {kept(each) for each in found} == {round(density * SIZE)}
    assert len({tuple(int(mask.sum()) for mask in each.values()) for each in found}) > 3
    for each in found:
        for path, mask in each.items():
            size = np.abs(weights()[path])
            assert not mask.any() or mask.all() or size[mask].min() >= size[~mask].max()
    again = [masks(GRAPH, each) for each in magnitude_candidates(GRAPH, weights(), density, 6)]
    assert all((one[path] == two[path]).all() for one, two in zip(found, again, strict=True) for path in one)


def test_the_candidate_with_the_least_loss_is_chosen_and_no_weight_changes() -> None:
    candidates = magnitude_candidates(GRAPH, weights(), 0.1, 4)
    choice = best_candidate(GRAPH, candidates, devices(), backend="numpy")
    assert choice.losses[choice.index] == min(choice.losses)
    assert len(set(choice.losses)) > 1
    for path, array in choice.weights.items():
        if "running" in path:
            assert not np.array_equal(array, candidates[choice.index][path])
        else:
            np.testing.assert_array_equal(array, candidates[choice.index][path])
    # The averages are those over all examples: of the first norm, behind a convolution that all have alike.
    x = np.concatenate([data.inputs[0] for data in devices()])
    whole = best_candidate(GRAPH, candidates, [Dataset((x,), np.zeros(len(x), int))], backend="numpy")
    one = best_candidate(GRAPH, [candidates[0]], devices(), backend="numpy").weights
    other = best_candidate(GRAPH, [candidates[0]], [Dataset((x,), np.zeros(len(x), int))], backend="numpy").weights
    np.testing.assert_allclose(one["an.running_mean"], other["an.running_mean"], rtol=1e-4, atol=1e-5)
    assert len(whole.losses) == 4


def test_an_adjustment_keeps_the_count_of_each_weight() -> None:
    held = magnitude_candidates(GRAPH, weights(), 0.05, 2)[1]
    assert kept(masks(GRAPH, held)) == round(0.05 * SIZE)
    parts = blocks(GRAPH, 3)
    assert parts == [["head.weight"], ["c.weight"], ["a.weight", "b.weight"]]
    for number in range(3):
        before, block = masks(GRAPH, held), parts[number]
        share = 0.15 * (1 + math.cos(math.pi * number / 10))
        numbers = moved(GRAPH, held, block, share)
        buffers = [top_gradients(GRAPH, held, data, numbers, backend="numpy") for data in devices()]
        for buffer in buffers:
            assert {path: len(places) for path, (places, _) in buffer.items()} == numbers
        new = adjusted(GRAPH, held, numbers, buffers, SIZES)
        after = masks(GRAPH, new)
        for path, mask in after.items():
            grown, gone = mask & ~before[path], before[path] & ~mask
            assert grown.sum() == gone.sum() == numbers.get(path, 0)
            assert not new[path][~mask].any()
            assert not new[path][grown].any()
            if gone.any():
                assert np.abs(held[path][gone]).max() <= np.abs(held[path][before[path] & mask]).min()
        assert kept(after) == round(0.05 * SIZE)
        held = new


def test_with_one_device_those_grow_with_the_largest_gradients() -> None:
    held = magnitude_candidates(GRAPH, weights(), 0.2, 1)[0]
    data = devices()[1]
    numbers = {"b.weight": 30}
    buffer = top_gradients(GRAPH, held, data, numbers, backend="numpy")
    new = adjusted(GRAPH, held, numbers, [buffer], [1])
    slope = np.abs(
        Slopes(GRAPH, Objective("cross_entropy"), data.target_type(GRAPH), "numpy").mean(held, list(data.parts(32)))[
            "b.weight"
        ]
    )
    old, mask = held["b.weight_mask"], new["b.weight_mask"]
    assert (mask & ~old).sum() == 30
    assert slope[mask & ~old].min() >= slope[~mask & ~old].max()
    # Nothing moves where nothing was sent.
    nothing = {"b.weight": (np.zeros(0, int), np.zeros(0))}
    same = adjusted(GRAPH, held, numbers, [nothing], [1])
    np.testing.assert_array_equal(same["b.weight_mask"], old)


def test_averages_keep_the_masks() -> None:
    """Each device trains by itself: what is masked stays 0, and the average is weighted by their examples."""
    start = magnitude_candidates(GRAPH, weights(), 0.1, 1)[0]
    trained = []
    for i, data in enumerate(devices()):
        recipe = Recipe(SGD(momentum=0.9), Objective("cross_entropy"))
        one = Trainer(GRAPH, recipe, Schedule(0.05, 10), data.target_type(GRAPH), seed=i, weights=start)
        for arrays in data.epoch(8, i, 0):
            one.train(*arrays)
        trained.append(one.weights())
    found = average(GRAPH, trained, SIZES)
    for path, array in found.items():
        if array.dtype == bool:
            np.testing.assert_array_equal(array, start[path])
            assert not found[path.removesuffix("_mask")][~array].any()
        else:
            expected = sum(n / 80 * w[path].astype(np.float64) for n, w in zip(SIZES, trained, strict=True))
            np.testing.assert_allclose(array, expected, rtol=1e-5, atol=1e-6)
    assert not np.array_equal(found["c.weight"], start["c.weight"])


def test_what_is_refused() -> None:
    one, two = magnitude_candidates(GRAPH, weights(), 0.1, 2)
    with pytest.raises(ArchitraveError, match="E924"):
        average(GRAPH, [one, two], [1, 1])
    for examples in ([1], [1, -1], [0, 0], [1, math.nan]):
        with pytest.raises(ArchitraveError, match="E925"):
            average(GRAPH, [one, one], examples)
    with pytest.raises(ArchitraveError, match="E925"):
        best_candidate(GRAPH, [], devices())
    with pytest.raises(ArchitraveError, match="E925"):
        magnitude_candidates(GRAPH, weights(), 1.5)
    with pytest.raises(ArchitraveError, match="E927"):
        magnitude_candidates(GRAPH, {**weights(), "c.weight": np.full((32, 24), np.nan)}, 0.1)
    with pytest.raises(ArchitraveError, match="E924"):
        adjusted(GRAPH, one, {"c.weight": 3}, [{"c.weight": (np.array([10**6]), np.ones(1))}], [1])
    wrong = Dataset((np.full((8, 3, 6, 6), np.nan, np.float32),), np.zeros(8, int))
    with pytest.raises(ArchitraveError, match="E911"):
        top_gradients(GRAPH, one, wrong, {"c.weight": 3}, backend="numpy")
    with pytest.raises(ArchitraveError, match="E927"):
        best_candidate(GRAPH, [one], [wrong], backend="numpy")
