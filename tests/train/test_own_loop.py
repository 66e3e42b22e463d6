"""Emitted programs in other people's training loops: `torch.optim`, `optax` and plain `jax.grad`.

They come to the losses of our own trainer, dropout and batch normalization included, when given its keys.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  # as PyTorch's own documentation does

from architrave.backends.load import compile
from architrave.train import SGD, AdamW, Optimizer, Schedule
from tests.train.networks import NORMED, mlp_data, network, trainer

BATCH, EPOCHS, RATE = 24, 5, 0.01
DATA = mlp_data()
BATCHES = [arrays for epoch in range(EPOCHS) for arrays in DATA.epoch(BATCH, 0, epoch)]


def ours(optimizer: Optimizer, backend: str) -> list[float]:
    one = trainer(NORMED, DATA, optimizer, backend, schedule=Schedule(RATE, len(BATCHES)))
    return [one.train(*arrays) for arrays in BATCHES]


@pytest.mark.parametrize(
    ("optimizer", "theirs"),
    [
        (SGD(0.9, nesterov=True), lambda p: torch.optim.SGD(p, lr=RATE, momentum=0.9, nesterov=True)),
        (AdamW(), lambda p: torch.optim.AdamW(p, lr=RATE, weight_decay=0.0)),
    ],
    ids=["sgd", "adamw"],
)
def test_the_module_trains_with_torch_optim(
    optimizer: Optimizer, theirs: Callable[[Any], torch.optim.Optimizer]
) -> None:
    program = compile(network(NORMED), "torch").native
    model = program.init(program.Model().double(), 0).train()
    rule, losses = theirs(model.parameters()), []
    for step, (rows, classes) in enumerate(BATCHES):
        rule.zero_grad()
        loss = F.cross_entropy(model(torch.from_numpy(rows), key=(0, step)), torch.from_numpy(classes))
        loss.backward()
        rule.step()
        losses.append(loss.item())
    np.testing.assert_allclose(losses, ours(optimizer, "torch"), rtol=1e-9)
    assert np.mean(losses[-4:]) < np.mean(losses[:4])


@pytest.mark.parametrize(
    ("optimizer", "rule"),
    [
        (SGD(0.9, nesterov=True), optax.sgd(RATE, momentum=0.9, nesterov=True)),
        (AdamW(), optax.adam(RATE)),
        (SGD(), None),
    ],
    ids=["sgd", "adam", "by hand"],
)
def test_the_functions_train_with_optax(optimizer: Optimizer, rule: optax.GradientTransformation | None) -> None:
    program = compile(network(NORMED), "jax").native

    def loss_of(params: Any, state: Any, rows: jax.Array, classes: jax.Array, key: jax.Array) -> Any:
        logits, new = program.apply(params, state, rows, training=True, key=key)
        return optax.softmax_cross_entropy_with_integer_labels(logits, classes).mean(), new

    @jax.jit
    def step(params: Any, state: Any, memory: Any, *given: jax.Array) -> Any:
        (loss, state), slopes = jax.value_and_grad(loss_of, has_aux=True)(params, state, *given)
        if rule is None:
            return loss, jax.tree.map(lambda p, g: p - RATE * g, params, slopes), state, memory
        updates, memory = rule.update(slopes, memory, params)
        return loss, optax.apply_updates(params, updates), state, memory

    losses = []
    with jax.enable_x64(True):
        params, state = program.init(0, np.float64)
        memory = rule.init(params) if rule is not None else None
        for number, (rows, classes) in enumerate(BATCHES):
            key = jnp.array([0, number], jnp.uint32)
            loss, params, state, memory = step(params, state, memory, jnp.asarray(rows), jnp.asarray(classes), key)
            losses.append(float(loss))
    np.testing.assert_allclose(losses, ours(optimizer, "numpy"), rtol=1e-9)


def test_a_trained_network_goes_back_and_forth() -> None:
    """Weights that we trained run in the emitted module, in inference mode, and give what the evaluation says."""
    one = trainer(NORMED, DATA, AdamW(), "torch")
    for arrays in BATCHES[:8]:
        one.train(*arrays)
    model = compile(network(NORMED), "torch").native.Model().double().eval()
    model.load_state_dict({path: torch.from_numpy(w) for path, w in one.weights().items()})
    with torch.no_grad():
        logits = model(torch.from_numpy(DATA.arrays[0]))
    expected = one.evaluation.run(one.weights(), DATA)
    assert float(F.cross_entropy(logits, torch.from_numpy(DATA.arrays[1]))) == pytest.approx(expected["loss"])
    assert float((logits.argmax(1).numpy() == DATA.arrays[1]).mean()) == pytest.approx(expected["accuracy"])
