"""set-evolution: masks that start as Erdős–Rényi graphs and evolve; with RigL, which differs in what grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.arrays import Array
from architrave.ir.source import ArchitraveError
from architrave.passes import apply
from architrave.sparsity.execution.formats import sparse_execution
from architrave.sparsity.learning.dynamic import SET, Rewiring, RigL, degrees, erdos_renyi_masks
from architrave.sparsity.masks.masked import density, layers, masks, with_masks
from architrave.sparsity.scores.methods import METHODS
from architrave.sparsity.scores.plan import Plan, Task
from architrave.train import AdamW, Dataset, Folder, Loop, Objective, Recipe, Schedule, Trainer, open_data, run
from architrave.train.step import MEMORY
from tests.sparsify.networks import DIGITS

NETWORK = architrave.loads("""
from std.linear import linear
from std.norm import batch_norm

model Net()(x: [N, 40]) -> [N, 4] {
    return x -> a: linear(30) -> n: batch_norm -> relu -> b: linear(30) -> relu -> c: linear(4)
}
""")
MASKED = apply(NETWORK, "mask")
EPSILON = 3


def data(count: int = 64) -> Dataset:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 40)).astype(np.float32)
    return Dataset((x,), np.argmax(x[:, :4] + x[:, 4:8], axis=1))


def trainer(backend: str = "numpy", dtype: str = "float32", **settings: Any) -> Trainer:
    start = with_masks(
        MASKED.graph, MASKED.weights(architrave.init(NETWORK)), erdos_renyi_masks(layers(MASKED.graph), EPSILON)
    )
    recipe = Recipe(AdamW(), Objective("cross_entropy"), decay=0.1, **settings)
    target = data().target_type(MASKED.graph)
    return Trainer(MASKED.graph, recipe, Schedule(1e-2, 100), target, backend=backend, dtype=dtype, weights=start)


def test_the_first_masks_have_epsilon_places_for_each_neuron() -> None:
    """`p = eps * (n_in + n_out) / (n_in * n_out)`: the count is the expected one, exactly."""
    found = erdos_renyi_masks(layers(MASKED.graph), 20)
    assert {path: int(m.sum()) for path, m in found.items()} == {"a.weight": 1200, "b.weight": 900, "c.weight": 120}
    found = erdos_renyi_masks(layers(MASKED.graph), EPSILON, seed=1)
    assert {path: int(m.sum()) for path, m in found.items()} == {"a.weight": 210, "b.weight": 180, "c.weight": 102}
    outputs, inputs = degrees(found["a.weight"])
    assert outputs.shape == (30,)
    assert inputs.shape == (40,)
    assert outputs.sum() == inputs.sum() == 210
    # Degrees of an Erdős–Rényi graph are binomial: within 3 deviations on average.
    p = 210 / 1200
    assert abs(outputs.mean() - 40 * p) < 1e-9
    assert outputs.var() < 3 * 40 * p * (1 - p)
    again = erdos_renyi_masks(layers(MASKED.graph), EPSILON, seed=1)
    assert all((again[path] == mask).all() for path, mask in found.items())


@dataclass
class Watch:
    """Runs another, and keeps what was before and after."""

    inner: Rewiring
    seen: list[tuple[dict[str, Array], dict[str, Array]]] = field(default_factory=list)

    def __call__(self, one: Trainer, batch: Sequence[Any]) -> None:
        before = one.states()
        self.inner(one, batch)
        self.seen.append((before, one.states()))


@pytest.mark.parametrize("settings", [{}, {"accumulate": 2}], ids=["", "accumulated"])
@pytest.mark.parametrize("inner", [SET(every=2), RigL(every=2, until=100)], ids=["SET", "RigL"])
def test_each_rewiring_keeps_the_counts(inner: Rewiring, settings: dict[str, int]) -> None:
    watch = Watch(inner)
    run(trainer(**settings), data(), Loop(3, 16, refresh=[watch]))
    assert len(watch.seen) == 12
    for step, (before, after) in enumerate(watch.seen, 1):
        for path in ("a.weight", "b.weight", "c.weight"):
            old, new = before[f"{path}_mask"], after[f"{path}_mask"]
            assert old.sum() == new.sum()
            assert (after[path][~new] == 0).all()
            grown, gone = new & ~old, old & ~new
            assert grown.any() == (step % 2 == 0)
            assert not after[path][grown].any()
            for slot in ("mean", "square"):
                assert not after.get(f"{MEMORY}.{slot}.{path}", np.zeros(old.shape))[grown | gone].any()
            unmoved = ~grown & ~gone
            np.testing.assert_array_equal(after[path][unmoved], before[path][unmoved])


def test_what_set_drops_is_nearest_to_zero_on_either_side() -> None:
    one = trainer()
    one.train(*data().arrays)
    before = one.states()
    SET(every=1, fraction=0.3)(one, ())
    after = one.states()
    weight, old, new = before["a.weight"], before["a.weight_mask"], after["a.weight_mask"]
    for side in (old & (weight > 0), old & (weight < 0)):
        gone, stays = np.abs(weight[side & ~new]), np.abs(weight[side & new])
        assert len(gone) == round(0.3 * side.sum())
        assert gone.max() <= stays.min()


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_what_rigl_grows_has_the_largest_gradients(backend: str) -> None:
    one, batch = trainer(backend, "float64"), data().arrays
    one.train(*batch)
    slopes = RigL(every=1).slopes(one, batch)
    before = one.states()
    RigL(every=1, fraction=0.2)(one, batch)
    after = one.states()
    for path in ("a.weight", "b.weight"):
        old, new = before[f"{path}_mask"], after[f"{path}_mask"]
        assert (new & ~old).sum() == round(0.2 * old.sum())
        assert np.abs(slopes[path][new & ~old]).min() >= np.abs(slopes[path][~new & ~old]).max()
        assert np.abs(before[path][old & ~new]).max() <= np.abs(before[path][old & new]).min()
    # The gradient of what the masks hide is that of the whole weight: a difference of losses.
    graph = apply(NETWORK, "clean").graph
    place = tuple(np.argwhere(~before["a.weight_mask"])[0])
    losses = []
    for change in (-1e-5, 1e-5):
        weights = {path: np.array(before[path]) for path in architrave.init(NETWORK)}
        weights["a.weight"][place] = change
        scores = architrave.compile(graph, "numpy")(weights, batch[0].astype(np.float64), training=True)
        scores -= np.log(np.exp(scores).sum(1, keepdims=True))
        losses.append(-scores[np.arange(64), batch[1]].mean())
    assert slopes["a.weight"][place] == pytest.approx((losses[1] - losses[0]) / 2e-5, rel=1e-5)


@pytest.mark.parametrize("make", [lambda: SET(every=2), lambda: RigL(every=2, until=20)], ids=["SET", "RigL"])
def test_all_backends_have_the_same_masks(make: Any) -> None:
    runs = [run(trainer(backend, "float64"), data(), Loop(2, 16, refresh=[make()])) for backend in ("numpy", "torch")]
    found, others = (masks(MASKED.graph, outcome.weights) for outcome in runs)
    for path, mask in found.items():
        np.testing.assert_array_equal(mask, others[path])


def test_it_ends_and_dense_weights_stay() -> None:
    one = trainer()
    one.assign({"c.weight_mask": np.ones((4, 30), bool)})
    for step in range(6):
        before = masks(MASKED.graph, one.weights())
        one.train(*data().arrays)
        SET(every=1, until=3)(one, ())
        after = masks(MASKED.graph, one.weights())
        assert (before["a.weight"] != after["a.weight"]).any() == (step < 2)
        assert after["c.weight"].all()


@pytest.mark.parametrize("settings", [{"every": 0}, {"every": 1, "fraction": 1.5}, {"every": 1, "fraction": np.nan}])
def test_settings_that_there_are_not(settings: dict[str, float]) -> None:
    with pytest.raises(ArchitraveError, match="E925"):
        SET(**settings)


def test_a_network_without_masks() -> None:
    target = data().target_type(NETWORK)
    one = Trainer(NETWORK, Recipe(AdamW(), Objective("cross_entropy")), Schedule(1e-2, 10), target)
    one.train(*data().arrays)
    with pytest.raises(ArchitraveError, match="E924"):
        SET(every=1)(one, ())


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
def test_csr_gives_what_masked_dense_code_gives(backend: str) -> None:
    one = trainer()
    run(one, data(), Loop(2, 16, refresh=[SET(every=2)]))
    graph, weights = apply(MASKED.graph, "inference").graph, one.weights()
    stored = sparse_execution(graph, weights, backend, timer=lambda *given: [1.0, *(0.5 for _ in given[3])])
    assert all(choice.format == "csr" for choice in stored.choices[:2])
    dense, sparse = (
        architrave.compile(g, backend)(w, *data().inputs) for g, w in ((graph, weights), (stored.graph, stored.weights))
    )
    assert np.abs(dense - sparse).max() < 1e-6 * max(1, np.abs(dense).max())


def test_digits_from_scratch() -> None:
    """A perceptron that never has more than a tenth of its weights comes within 1.5 points of the dense one."""
    network = architrave.load(DIGITS / "mlp.arch")
    train, test = open_data("digits", network)
    assert test is not None
    masked, target, epochs = apply(network, "mask"), train.target_type(network), 20
    steps = epochs * train.steps(32)
    schedule, recipe = Schedule(1e-2, steps, "cosine", 40), Recipe(AdamW(), Objective("cross_entropy"), decay=0.05)
    dense = masked.weights(architrave.init(network))
    plan = Plan(0.1, "random", distribution="erk")
    sparse = METHODS["random"](Task(masked.graph, dense, plan))
    found = []
    for start, refresh in ((dense, []), (sparse, [SET(train.steps(32) // 2, until=0.75 * steps)])):
        one = Trainer(masked.graph, recipe, schedule, target, weights=start)
        weights = run(one, train, Loop(epochs, 32, refresh=refresh)).weights
        found.append(one.evaluation.run(weights, test)["accuracy"])
    assert density(masks(masked.graph, weights)) == pytest.approx(0.1, abs=1e-4)
    assert found[1] > found[0] - 0.015


@pytest.mark.parametrize("refresh", [SET(every=3), RigL(every=3, until=100)], ids=["SET", "RigL"])
def test_a_run_that_was_cut_off_comes_to_the_same_masks(refresh: Rewiring, tmp_path: Path) -> None:
    whole = run(trainer(), data(), Loop(4, 16, refresh=[refresh])).weights
    run(trainer(), data(), Loop(2, 16, refresh=[refresh], checkpoints=Folder(tmp_path)))
    resumed = run(trainer(), data(), Loop(4, 16, refresh=[refresh], checkpoints=Folder(tmp_path)), resume=True).weights
    for path, array in whole.items():
        np.testing.assert_array_equal(array, resumed[path])
