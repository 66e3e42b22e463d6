"""Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization" (2020)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

import architrave
from architrave.passes import apply
from architrave.quantize.adaround import AdaRound, inverse, rectified, soft
from architrave.quantize.descent import Descent, drawn
from architrave.quantize.grid import Grid, shaped
from architrave.quantize.layers import layers
from architrave.quantize.layerwise import Nearest, Task, layerwise
from tests.quantize.networks import convs, error

METHOD = AdaRound(steps=150, weight=1e-3, backend="numpy")


@dataclass
class Watched:
    """A method, and the error of each layer before and after it."""

    errors: list[tuple[float, float]] = field(default_factory=list)

    def __call__(self, task: Task):
        before = task.error(Nearest()(task)[task.layer.path])
        found = METHOD(task)
        self.errors.append((before, task.error(found[task.layer.path])))
        return found


def test_layers_and_the_network_are_nearer_than_by_the_nearest():
    graph, weights, batches = convs()
    quantized = apply(graph, "quantize{bits=3 act=0}")
    held, watched = quantized.weights(weights), Watched()
    found = layerwise(quantized.graph, held, batches, watched)
    assert all(after <= before for before, after in watched.errors)
    assert sum(after < before for before, after in watched.errors) >= 5
    nearest = error(quantized.graph, held, graph, weights, batches)
    assert error(quantized.graph, found, graph, weights, batches) < 0.7 * nearest
    for layer in layers(quantized.graph):
        grid, shape = Grid.of(layer.site, found), shaped(layer.site)
        steps = grid.steps(found[layer.path].reshape(shape))
        position = grid.position(held[layer.path].reshape(shape))
        neighbours = [np.clip(f(position), grid.lo, grid.hi) for f in (np.floor, np.ceil)]
        assert np.all((steps == neighbours[0]) | (steps == neighbours[1]))
        np.testing.assert_array_equal(grid.number(steps), found[layer.path].reshape(shape))


def test_the_start_is_the_float_layer_and_the_end_has_decided():
    graph, weights, batches = convs()
    quantized = apply(graph, "quantize{bits=3 act=0}")
    held = quantized.weights(weights)
    ends = []

    def method(task: Task):
        loss, learned = soft(task.part, task.layer.site)
        position = task.grid.position(task.weight.reshape(shaped(task.layer.site)))
        start = inverse(position - np.floor(position))
        np.testing.assert_allclose(rectified(start), position - np.floor(position), atol=1e-6)
        states = {**task.walk.weights, learned: start, f"{learned}_floor": np.floor(position)}
        program = architrave.compile(loss, "numpy")
        read = {w.op.path: states[w.op.path] for w in loss.weights}
        # Without the regularizer the loss is what the float layer misses: nothing, on what that is given.
        x = task.inputs[0]
        y = architrave.compile(task.part, "numpy")
        exact = {w.op.path: states[w.op.path] for w in task.part.weights}
        assert (
            program(read, x, task.targets[0], np.float32(0), np.float32(2))
            < 1e-8
            < np.mean(np.square(y(exact, x) - task.targets[0]))
        )
        steps = 400
        examples = drawn([np.concatenate(task.inputs), np.concatenate(task.targets)], 16, steps, 0)
        pulls = ((np.float32(0.1 * (i > 50)), np.float32(max(2, 20 - i / 15))) for i in range(steps))
        fed = ((*example, *pull) for example, pull in zip(examples, pulls, strict=True))
        found, _ = Descent(3e-2, backend="numpy").run(loss, states, [learned], fed, steps)
        ends.append(rectified(found[learned]))
        return {}

    layerwise(quantized.graph, held, batches[:1], lambda task: method(task) if not ends else {})
    assert np.all((ends[0] == 0) | (ends[0] == 1))
