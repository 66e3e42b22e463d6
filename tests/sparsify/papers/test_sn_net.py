"""Pan, Cai and Zhuang, "Stitchable Neural Networks" (2023)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.backends.arch import write
from architrave.ir.cost import parameters
from architrave.ir.graph import Graph
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import ArchitraveError
from architrave.ir.type_parser import parse_type
from architrave.ir.verify import verify
from architrave.merge.chain import chain, repeated
from architrave.merge.least_squares import LeastSquares, fitted
from architrave.merge.stitch import Configuration, Cut, Family, cuts_between, stitched
from architrave.merge.training import FamilyTrainer
from architrave.models import find_in_text
from architrave.record.stages import between
from architrave.train import AdamW, Objective, Recipe, Schedule

NAMES = ("tiny", "small", "base")
IMAGES = np.random.default_rng(0).normal(size=(24, 3, 16, 16)).astype(np.float32)


def vit(width: int, heads: int, depth: int = 3, classes: int = 5) -> Graph:
    small = {"classes": classes, "patch": 4, "size": 16, "depth": depth, "hidden": 2 * width}
    return architrave.load("ViTTi16", width=width, heads=heads, **small)


def family(*widths: int) -> tuple[Family, list[dict[str, Any]]]:
    graphs = [vit(width, 2) for width in widths]
    weights = [drawn(graph, seed) for seed, graph in enumerate(graphs)]
    return stitched(graphs, "layer", names=NAMES[: len(widths)]), weights


def drawn(graph: Graph, seed: int) -> dict[str, Any]:
    """Weights none of which is 0, as trained ones are."""
    rng = np.random.default_rng(seed)
    return {p: w + 0.1 * rng.normal(size=w.shape).astype(w.dtype) for p, w in architrave.init(graph, seed).items()}


def read(graph: Graph, weights: dict[str, Any]) -> dict[str, Any]:
    return {path_of(w): weights[path_of(w)] for w in graph.weights}


def test_deit_gives_71_networks_of_118_4m_parameters():
    sizes = ((192, 3, 5_717_416), (384, 6, 22_050_664), (768, 12, 86_567_656))
    anchors = [architrave.load("DeiTTi16", width=w, heads=h, hidden=4 * w) for w, h, _ in sizes]
    assert [parameters(graph) for graph in anchors] == [count for *_, count in sizes]
    found = stitched(anchors, names=NAMES)
    assert len(found.configurations) == 71
    stitches = 11 * (192 * 384 + 384 + 384 * 768 + 768)
    assert parameters(found.graph) == sum(count for *_, count in sizes) + stitches == 118_403_448
    costs = [parameters(found.network(each)) for each in found.configurations[3::11]]
    assert sizes[0][2] < min(costs) < max(costs) < 1.1 * sizes[2][2]


def test_windows():
    assert list(cuts_between(3, 3)) == [
        *(Cut(0, 0, 0), Cut(0, 1, 0), Cut(1, 0, 0), Cut(1, 1, 0)),
        *(Cut(1, 2, 1), Cut(2, 1, 1), Cut(2, 2, 1)),
    ]
    assert len(list(cuts_between(12, 12))) == 34
    assert [cut.front for cut in cuts_between(2, 4)] == [0, 0, 1, 1]
    assert [(cut.front, cut.end) for cut in cuts_between(4, 2)] == [(0, 0), (1, 0), (2, 1), (3, 1)]


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_an_anchor_is_itself(backend):
    found, weights = family(8, 12, 16)
    held = found.weights(weights)
    for i, (graph, own) in enumerate(zip(found.anchors, weights, strict=True)):
        network = verify(found.network(Configuration(i)))
        assert sorted(path_of(w) for w in network.weights) == sorted(f"{NAMES[i]}.{p}" for p in own)
        wanted = architrave.compile(graph, backend)(own, IMAGES)
        assert np.array_equal(architrave.compile(network, backend)(read(network, held), IMAGES), wanted)


def test_a_network_is_the_beginning_of_one_and_the_end_of_another():
    found, weights = family(8, 12)
    held = found.weights(weights)
    for each in found.configurations[2:]:
        network = verify(found.network(each))
        result = architrave.interpret(network, [IMAGES], held).outputs[0]
        np.testing.assert_allclose(result, by_hand(found, weights, held, each), atol=1e-5)
        own = {path.split(".")[2] for path in read(network, held) if path.startswith("tiny.layer")}
        assert own == {str(i) for i in range(each.cut.front + 1)}
        left = {path.split(".")[2] for path in read(network, held) if path.startswith("small.layer")}
        assert left == {str(i) for i in range(each.cut.end, 3)}


def by_hand(found: Family, weights: Any, held: Any, each: Configuration) -> Any:
    """The first blocks of one anchor, a matrix, and the last of the other, each run by itself."""
    front, end = found.anchors
    cut = each.cut
    assert cut is not None
    start = between(front, front.inputs, [chain(front, "layer")[cut.front].after]).graph
    rest = between(end, [chain(end, "layer")[cut.end].before], end.outputs).graph
    x = architrave.interpret(start, [IMAGES], weights[0]).outputs[0]
    weight, bias = (held[f"stitch.small.{cut.window}.{part}"] for part in ("weight", "bias"))
    return architrave.interpret(rest, [x @ weight.T + bias], weights[1]).outputs[0]


def test_equal_anchors_are_stitched_by_the_identity():
    graph = vit(8, 2)
    weights = drawn(graph, 0)
    found = stitched([graph, graph], "layer", names=("one", "two"))
    held = fitted(found, found.weights([weights, weights]), [(IMAGES[:12],), (IMAGES[12:],)], backend="numpy")
    for window in range(2):
        np.testing.assert_allclose(held[f"stitch.two.{window}.weight"], np.eye(8), atol=1e-5)
        np.testing.assert_allclose(held[f"stitch.two.{window}.bias"], 0, atol=1e-5)
    # What is skipped or run twice changes the function, what is passed on in step does not.
    wanted = architrave.interpret(graph, [IMAGES], weights).outputs[0]
    network = found.network(Configuration(1, Cut(1, 2, 1)))
    np.testing.assert_allclose(architrave.interpret(network, [IMAGES], held).outputs[0], wanted, atol=1e-4)


@pytest.mark.parametrize("shape", [(50, 7, 6), (50, 6, 3, 3)])
def test_no_matrix_has_a_smaller_residual(shape):
    rng: Any = np.random.default_rng(0)
    axis = 1 if len(shape) > 3 else -1
    x, y = rng.normal(size=shape), rng.normal(size=shape)
    x, y = (np.moveaxis(np.moveaxis(a, axis, -1) @ rng.normal(size=(6, 6)) + 1, -1, axis) for a in (x, y))
    solver = LeastSquares()
    for part in range(0, 50, 10):
        solver.add(x[part : part + 10], y[part : part + 10])
    matrix, bias = solver.solution()
    rows, wanted = (np.moveaxis(a, axis, -1).reshape(-1, 6) for a in (x, y))
    residual = np.square(rows @ matrix.T + bias - wanted).sum()
    direct = np.linalg.pinv(np.column_stack([rows, np.ones(len(rows))])) @ wanted
    np.testing.assert_allclose(np.column_stack([matrix, bias]), direct.T, atol=1e-10)
    for _ in range(50):
        other = matrix + 0.01 * rng.normal(size=matrix.shape), bias + 0.01 * rng.normal(size=bias.shape)
        assert residual <= np.square(rows @ other[0].T + other[1] - wanted).sum()


def test_fitting_beats_first_weights():
    found, weights = family(8, 12)
    first = found.weights(weights)
    held = fitted(found, first, [(IMAGES,)], backend="numpy")
    front, end = ([block.after for block in chain(graph, "layer")] for graph in found.anchors)
    for window in range(2):
        (x,), (y,) = (
            architrave.interpret(replace(graph, outputs=(values[window],)), [IMAGES], own).outputs
            for graph, values, own in zip(found.anchors, (front, end), weights, strict=True)
        )

        def error(held: dict[str, Any], window: int = window, x: Any = x, y: Any = y) -> float:
            weight, bias = (held[f"stitch.small.{window}.{part}"] for part in ("weight", "bias"))
            return float(np.square(x @ weight.T + bias - y).mean())

        assert error(held) < 0.9 * error(first)


def test_all_networks_learn_at_once():
    graphs = [vit(width, 2, depth=2) for width in (4, 6)]
    found = stitched(graphs, "layer", names=NAMES[:2])
    labels = np.arange(24) % 5
    held = fitted(found, found.weights([drawn(graph, 0) for graph in graphs]), [(IMAGES,)], backend="numpy")
    recipe = Recipe(AdamW(), Objective("cross_entropy"))
    trainer, again = (
        FamilyTrainer(found, held, recipe, Schedule(1e-2, 20), parse_type("i64[N]"), seed=3) for _ in range(2)
    )
    losses = [trainer.train(IMAGES, labels)]
    first = {path_of(w) for w in found.network(trainer.drawn(0)).weights}
    changed = {path for path, w in trainer.weights().items() if not np.array_equal(w, held[path])}
    assert changed
    assert changed <= first
    losses += [trainer.train(IMAGES, labels) for _ in range(19)]
    assert len({trainer.drawn(step) for step in range(20)}) == len(found.configurations)
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    assert sorted(trainer.weights()) == sorted(held)
    assert [again.train(IMAGES, labels) for _ in range(2)] == losses[:2]


def test_text():
    found, _ = family(8, 12)
    assert find_in_text(write(found.graph)).elaborate({}, keep_choices=True).graph == found.graph
    for each in found.configurations:
        network = found.network(each)
        text = write(network)
        assert "choice" not in text
        assert find_in_text(text).elaborate({}).graph == network


def test_residual_networks_are_stitched_by_one_tap():
    small = {"classes": 5, "depths": [3], "size": 16}
    graphs = [architrave.load("ResNet18", width=width, **small) for width in (4, 6)]
    found = stitched(graphs, "layer1", names=("thin", "wide"))
    held = found.weights([architrave.init(graph) for graph in graphs])
    assert held["stitch.wide.0.weight"].shape == (6, 4, 1, 1)
    fit = fitted(found, held, [(IMAGES,)], backend="numpy")
    network = found.network(Configuration(1, Cut(1, 2, 1)))
    # Running statistics are those of the blocks that are there.
    assert {path_of(state).split(".")[0] for state, _ in network.updates} == {"thin", "wide"}
    assert not [w for w in network.weights if path_of(w).startswith(("wide.layer1.0", "thin.layer1.2"))]
    assert architrave.compile(network, "torch")(read(network, fit), IMAGES).shape == (24, 5)


def test_what_is_refused():
    with pytest.raises(ArchitraveError, match=r"E932.*has no repeated block `tiny.stages`"):
        stitched([vit(8, 2), vit(12, 2)], "stages", names=NAMES[:2])
    with pytest.raises(ArchitraveError, match=r"E933.*two networks or more"):
        stitched([vit(8, 2), vit(12, 2)], "layer")
    with pytest.raises(ArchitraveError, match=r"E933.*the outputs of .* differ"):
        stitched([vit(8, 2), vit(8, 2, classes=6)], "layer", names=NAMES[:2])
    found, weights = family(8, 12)
    with pytest.raises(ArchitraveError, match=r"E912"):
        fitted(found, found.weights(weights), [])
    assert repeated(vit(8, 2)) == ["layer"]
