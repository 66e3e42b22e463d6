"""One network, trained on every backend: the same losses and weights, with dropout and batch normalization."""

from __future__ import annotations

import numpy as np
import pytest

from architrave.train import SGD, AdamW, Clipping, Optimizer, Schedule
from tests.train.networks import CONVNET, MLP, convnet_data, mlp_data, trainer

DATA = {CONVNET: convnet_data(), MLP: mlp_data()}
BATCH = 24


def curve(source: str, optimizer: Optimizer, backend: str, steps: int) -> tuple[list[float], dict[str, np.ndarray]]:
    """The losses, and the weights at the end."""
    data = DATA[source]
    one = trainer(
        source,
        data,
        optimizer,
        backend,
        decay=0.01,
        clipping=Clipping(norm=5.0),
        schedule=Schedule(5e-3, steps, "cosine", warmup=5),
        seed=7,
    )
    per_epoch = data.steps(BATCH)
    losses = [
        one.train(*arrays) for epoch in range(steps // per_epoch) for arrays in data.epoch(BATCH, one.seed, epoch)
    ]
    return losses, one.weights()


@pytest.mark.parametrize(
    ("source", "optimizer", "steps"),
    [
        pytest.param(CONVNET, SGD(0.9, nesterov=True), 60, id="convnet-sgd"),
        pytest.param(MLP, AdamW(), 60, id="mlp-adamw"),
        pytest.param(CONVNET, AdamW(), 200, id="convnet-adamw", marks=pytest.mark.slow),
        pytest.param(CONVNET, SGD(0.9), 200, id="convnet-sgd-long", marks=pytest.mark.slow),
    ],
)
def test_loss_curves_agree(source: str, optimizer: Optimizer, steps: int) -> None:
    losses, weights = curve(source, optimizer, "numpy", steps)
    assert len(losses) == steps
    assert np.mean(losses[-8:]) < 0.95 * np.mean(losses[:8])
    for backend in ("torch", "jax"):
        others, theirs = curve(source, optimizer, backend, steps)
        np.testing.assert_allclose(others, losses, rtol=1e-8)
        for path, weight in weights.items():
            np.testing.assert_allclose(theirs[path], weight, rtol=1e-7, atol=1e-7 * np.abs(weight).max())


def test_the_seed_decides() -> None:
    """Another seed has other weights, other batches and another dropout; the same seed has the same bits."""
    first, again = (curve(MLP, SGD(), "numpy", 8) for _ in range(2))
    assert first[0] == again[0]
    data = DATA[MLP]
    seeds = [trainer(MLP, data, SGD(), "numpy", seed=seed).train(*data.arrays) for seed in (0, 1)]
    assert seeds[0] != seeds[1]
    # Dropout differs from step to step: with a rate of next to nothing the loss does, too.
    still = trainer(MLP, data, SGD(), "numpy", schedule=Schedule(1e-30, 9))
    assert len({still.train(*data.arrays) for _ in range(4)}) == 4
