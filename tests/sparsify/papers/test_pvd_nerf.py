"""Fang and others, "One is All: Bridging the Gap Between Neural Radiance Fields Architectures with PVD" (2023)."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import architrave
from architrave.ir.autodiff import grad
from architrave.ir.cost import parameters
from architrave.testing import assert_backends_agree

RNG = np.random.default_rng(0)
STUDENTS = {
    "dense": "voxel_features(4, 6)",
    "low rank": "vm_features(4, 2, 6)",
    "hashed": "hash_features(levels = 3, entries = 32)",
}
TEXT = """
from std.radiance import feature_field, hash_features, hashed, looked_up, nerf_field, render, sinusoidal
from std.radiance import vm_features, volume_distillation, voxel_features

model Distilled(stage: int = 1)(points: [R, S, 3], views: [R, S, 3], lengths: [R, S]) -> [] {
    teacher = (points, views) -> teacher: nerf_field(6, 3, 1, 2, 1)
    student = (points, views) -> student: feature_field(STUDENT, 8)
    return volume_distillation(stage, list(student), list(teacher), lengths)
}

model Rendered()(density: [R, S], colour: [R, S, 3], lengths: [R, S]) = render(density, colour, lengths)

model Trilinear()(grid: [C, D, H, W], points: [P, 3]) = looked_up(grid, points)

model Hashed()(cell: i64[P, 3]) = hashed(cell, 64)

model Encoded()(x: [P, 3]) = sinusoidal(x, 10)
"""


def network(name: str, student: str = "dense", **arguments: object):
    return architrave.loads(TEXT.replace("STUDENT", STUDENTS[student]), name, **arguments)


def rays() -> list[np.ndarray]:
    return [RNG.uniform(-1, 1, (3, 5, 3)), RNG.standard_normal((3, 5, 3)), RNG.uniform(0, 0.5, (3, 5))]


def test_the_network_has_the_parameters_of_nerf():
    assert parameters(architrave.load("nerf")) == 595_844


def test_positions_are_encoded_by_63_numbers():
    x = RNG.standard_normal((2, 3))
    (found,) = architrave.interpret(network("Encoded"), [x]).outputs
    assert found.shape == (2, 63)
    np.testing.assert_allclose(found[:, 9:12], np.sin(2 * x))
    np.testing.assert_allclose(found[:, -3:], np.cos(512 * x))


@pytest.mark.parametrize("scale", [0.1, 1.0, 100.0])
def test_render_weights_are_shares(scale):
    density, lengths = scale * RNG.standard_normal((20, 9)), RNG.uniform(0, 2, (20, 9))
    colour = RNG.uniform(0, 1, (20, 9, 3))
    image, weights = architrave.interpret(network("Rendered"), [density, colour, lengths]).outputs
    assert weights.min() >= 0
    assert weights.sum(axis=1).max() <= 1 + 1e-12
    opaque = 1 - np.exp(-(np.maximum(density, 0) * lengths).sum(axis=1))
    np.testing.assert_allclose(weights.sum(axis=1), opaque, atol=1e-12)
    np.testing.assert_allclose(image, (weights[..., None] * colour).sum(axis=1))


def test_a_grid_gives_at_its_corners_what_it_stores():
    grid = RNG.standard_normal((2, 3, 5, 2))
    cells = list(itertools.product(range(3), range(5), range(2)))
    points = np.array([[-1 + 2 * i / (n - 1) for i, n in zip(cell, (3, 5, 2), strict=True)] for cell in cells])
    (found,) = architrave.interpret(network("Trilinear"), [grid, points]).outputs
    np.testing.assert_array_equal(found, np.array([grid[:, i, j, k] for i, j, k in cells]))
    (centre,) = architrave.interpret(network("Trilinear"), [grid[:, :2, :2], np.zeros((1, 3))]).outputs
    np.testing.assert_allclose(centre[0], grid[:, :2, :2].mean(axis=(1, 2, 3)))


def test_hashes_are_those_of_32_bits():
    cells = RNG.integers(0, 2048, (50, 3))
    (found,) = architrave.interpret(network("Hashed"), [cells]).outputs
    primes = np.array([1, 2654435761, 805459861], np.uint32)
    wrapped = np.bitwise_xor.reduce(cells.astype(np.uint32) * primes, axis=1) % 64
    np.testing.assert_array_equal(found, wrapped)


@pytest.mark.parametrize("student", STUDENTS)
def test_a_student_learns_and_its_teacher_does_not(student):
    losses, inputs = [], rays()
    for stage in (1, 2, 3):
        graph = network("Distilled", student, stage=stage)
        weights = architrave.init(graph) | {f"{who}.density.bias": np.ones(1) for who in ("student", "teacher")}
        losses.append(float(architrave.interpret(graph, inputs, weights).outputs[0]))
        slopes = architrave.interpret(grad(graph, wrt=graph.weights), inputs, weights).outputs
        moved = {w.op.path for w, slope in zip(graph.weights, slopes, strict=True) if slope.any()}
        assert not {path for path in moved if path.startswith("teacher.")}
        assert any(path.startswith("student.") and "features" in path for path in moved)
        assert any("view" in path for path in moved) == (stage > 1)
    assert losses[0] < losses[1] < losses[2]


def test_densities_that_make_no_difference_give_no_gradient():
    graph = network("Distilled", stage=2)
    weights = architrave.init(graph)
    weights["student.density.bias"] = np.array([50.0])
    slopes = architrave.interpret(grad(graph, wrt=graph.weights), rays(), weights).outputs
    found = {w.op.path: slope for w, slope in zip(graph.weights, slopes, strict=True)}
    assert not found["student.density.weight"].any()
    assert found["student.view.hidden.weight"].any()


@pytest.mark.parametrize("student", ["low rank", "hashed"])
def test_the_backends_agree(student):
    graph = network("Distilled", student, stage=3)
    assert_backends_agree(graph, backends=["numpy", "torch"], sizes={"R": 1, "S": 2}, dtypes=["float64"])
