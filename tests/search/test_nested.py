"""Training members that are slices of the largest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from architrave.distil.terms import Logits
from architrave.ir.arrays import Array
from architrave.ir.source import ArchitraveError
from architrave.ir.type_parser import parse_type
from architrave.search.space.members import Member
from architrave.search.supernet.nested import Draw, Sampled, Sandwich, SliceTrainer
from architrave.train import SGD, AdamW, Objective, Recipe, Schedule, Trainer
from tests.search.elastic import IMAGES, TOKENS, drawn, slices

LABELS = parse_type("i64[N]")
RATE = 0.1
RNG: Any = np.random.default_rng(0)
BATCH: tuple[Array, Array] = (RNG.standard_normal((8, 5, 6)), RNG.integers(0, 4, 8))
TOKENS_SLICES = slices(TOKENS)
MEMBERS = [TOKENS_SLICES.costs.space.sample(RNG) for _ in range(3)]


def trainer(draw: Draw, optimizer: Any = None, rate: float = RATE, **options: Any) -> SliceTrainer:
    recipe = Recipe(optimizer or SGD(), Objective("cross_entropy"))
    weights = drawn(TOKENS_SLICES)
    schedule = Schedule(rate, 40)
    return SliceTrainer(TOKENS_SLICES, weights, recipe, schedule, LABELS, draw, dtype="float64", **options)


def learned_alone(member: Member, weights: dict[str, Array]) -> dict[str, Array]:
    """By how much one member by itself changes its weights."""
    mine = TOKENS_SLICES.weights(member, weights)
    recipe = Recipe(SGD(), Objective("cross_entropy"))
    network = TOKENS_SLICES.network(member)
    alone = Trainer(network, recipe, Schedule(RATE, 40), LABELS, dtype="float64", weights=mine)
    alone.train(*BATCH)
    return {path: w - mine[path] for path, w in alone.weights().items()}


def test_gradients_of_members_are_summed_where_their_weights_stand() -> None:
    weights = drawn(TOKENS_SLICES)
    found = trainer(lambda slices, rng: [*MEMBERS])
    assert len(found.train(*BATCH)) == 3
    wanted: dict[str, Array] = weights
    for member in MEMBERS:
        wanted = TOKENS_SLICES.added(member, learned_alone(member, weights), wanted)
    for path, w in found.weights().items():
        np.testing.assert_allclose(w, wanted[path], rtol=1e-9, atol=1e-12)


def test_what_no_member_has_stays() -> None:
    member = TOKENS_SLICES.smallest
    weights, masks = drawn(TOKENS_SLICES), TOKENS_SLICES.masks(member)
    found = trainer(lambda slices, rng: [member])
    found.train(*BATCH)
    for path, w in found.weights().items():
        np.testing.assert_array_equal(w[~masks[path]], weights[path][~masks[path]])


def test_in_place_distillation_learns_from_the_first_member() -> None:
    """A member that is taught by itself has nothing to learn."""
    largest = TOKENS_SLICES.largest
    once = trainer(lambda slices, rng: [largest])
    twice = trainer(lambda slices, rng: [largest, largest], taught=Logits(1.0))
    (loss,) = once.train(*BATCH)
    losses = twice.train(*BATCH)
    assert losses[0] == loss
    assert losses[1] == pytest.approx(0, abs=1e-12)
    for path, w in once.weights().items():
        np.testing.assert_allclose(w, twice.weights()[path], atol=1e-12)


def test_all_members_learn_at_once() -> None:
    members = [TOKENS_SLICES.largest, TOKENS_SLICES.smallest, MEMBERS[0]]
    found = trainer(lambda slices, rng: members, AdamW(), taught=Logits(1.0), rate=0.01)
    losses = [found.train(*BATCH) for _ in range(20)]
    assert losses[-1][0] < 0.7 * losses[0][0]
    assert found.steps == 20


@pytest.mark.parametrize("backend", ["torch", pytest.param("jax", marks=pytest.mark.slow)])
@pytest.mark.parametrize("space", ["images", "tokens"])
def test_backends_train_alike(backend: str, space: str) -> None:
    """Losses, weights, running statistics and what the optimizer remembers, in float64."""
    found = slices(IMAGES) if space == "images" else TOKENS_SLICES
    images: tuple[Array, Array] = (RNG.standard_normal((8, 3, 8, 8)), BATCH[1])
    arrays = images if space == "images" else BATCH
    recipe = Recipe(AdamW(), Objective("cross_entropy"))
    ours, theirs = (
        SliceTrainer(
            found,
            drawn(found),
            recipe,
            Schedule(1e-3, 40),
            LABELS,
            Sandwich(1),
            taught=Logits(1.0),
            dtype="float64",
            backend=each,
        )
        for each in ("numpy", backend)
    )
    for _ in range(2):
        np.testing.assert_allclose(ours.train(*arrays), theirs.train(*arrays), rtol=1e-9, atol=1e-12)
    for path, state in ours.states().items():
        np.testing.assert_allclose(state, theirs.states()[path], rtol=1e-6, atol=1e-8, err_msg=path)


def test_few_programs_are_kept() -> None:
    found = trainer(Sampled(2), compiled=2)
    for _ in range(3):
        found.train(*BATCH)
    assert len(found._programs) == 2


def test_the_same_seed_draws_the_same_members() -> None:
    one, other = (trainer(Sandwich(2), seed=7) for _ in range(2))
    assert [one.drawn(step) for step in range(4)] == [other.drawn(step) for step in range(4)]
    assert one.drawn(0) != trainer(Sandwich(2), seed=8).drawn(0)


def test_running_statistics_are_those_of_the_first_member_until_they_are_taken_anew() -> None:
    found = slices(IMAGES)
    weights = drawn(found)
    images, labels = RNG.standard_normal((8, 3, 8, 8)), RNG.integers(0, 4, 8)
    recipe = Recipe(SGD(), Objective("cross_entropy"))
    schedule = Schedule(1e-30, 40)
    learned = SliceTrainer(found, weights, recipe, schedule, LABELS, Sandwich(1), dtype="float64")
    learned.train(images, labels)
    after = learned.weights()
    alone = Trainer(found.network(found.largest), recipe, schedule, LABELS, dtype="float64", weights=weights)
    alone.train(images, labels)
    np.testing.assert_allclose(after["stem_norm.running_mean"], alone.weights()["stem_norm.running_mean"])
    child = found.child(found.smallest, after, [(images,)])
    stem = child.weights["stem.weight"]
    assert stem.shape[0] == 4
    assert not np.allclose(child.weights["stem_norm.running_var"], after["stem_norm.running_var"][:4])


def test_weights_that_are_not_those_of_the_largest_are_refused() -> None:
    small = TOKENS_SLICES.weights(TOKENS_SLICES.smallest, drawn(TOKENS_SLICES))
    with pytest.raises(ArchitraveError, match="missing"):
        trainer(Sandwich(1)).beside(small)
    with pytest.raises(ArchitraveError, match="misshapen"):
        TOKENS_SLICES.child(TOKENS_SLICES.smallest, small)
