"""Losses against PyTorch's, values and gradients in float64, and the backends against each other."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  # as PyTorch's own documentation does

import architrave
from architrave.ir.autodiff import with_gradients
from architrave.ir.graph import Graph
from architrave.ir.interpret import interpret

Tensor = torch.Tensor
RNG = np.random.default_rng(0)
X, Y, Z = (RNG.normal(size=(6, 5)) for _ in range(3))
P = np.exp(Y) / np.exp(Y).sum(1, keepdims=True)
SIGNS = np.array([1.0, -1, -1, 1, 1, -1])
CLASSES = np.array([0, 4, 2, 2, 1, 3])
SOME = np.array([0, -1, 2, -100, 1, 7])
WEIGHTS = np.array([1.0, 2.0, 0.5, 3.0, 1.5])
WIDE = RNG.normal(size=(4, 7, 5))
TEXT = np.array([[1, 2, 2], [3, 1, 0], [4, 0, 0], [2, 2, 2]])


@dataclass(frozen=True)
class Case:
    """A call of the library on arrays, and PyTorch's on the same."""

    inputs: dict[str, np.ndarray[Any, Any]]
    theirs: Callable[..., Tensor]


def torch_ctc(x: Tensor, y: Tensor, n: Tensor, m: Tensor, reduction: str) -> Tensor:
    return F.ctc_loss(x.log_softmax(-1).transpose(0, 1), y, n, m, reduction=reduction)


def torch_distances(x: Tensor) -> Tensor:
    d = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    return d / d[d > 0].mean()


def torch_angles(x: Tensor) -> Tensor:
    way = F.normalize(x.unsqueeze(0) - x.unsqueeze(1), dim=2)
    return torch.bmm(way, way.transpose(1, 2))


SMALLER = np.random.default_rng(4).normal(size=(6, 3))
LENGTHS = {"n": np.array([7, 6, 5, 7]), "m": np.array([3, 2, 1, 3])}
FEATURES = np.random.default_rng(3).normal(size=(4, 3, 5))
CASES = {
    "cross_entropy(x, t)": Case({"x": X, "t": CLASSES}, F.cross_entropy),
    'cross_entropy(x, t, reduction = "none")': Case(
        {"x": X, "t": CLASSES}, lambda x, t: F.cross_entropy(x, t, reduction="none")
    ),
    "cross_entropy(x, t, label_smoothing = 0.1)": Case(
        {"x": X, "t": CLASSES}, lambda x, t: F.cross_entropy(x, t, label_smoothing=0.1)
    ),
    "cross_entropy(x, t, class_weight = w)": Case({"x": X, "t": CLASSES, "w": WEIGHTS}, F.cross_entropy),
    "cross_entropy(x, t, 0.2, w)": Case(
        {"x": X, "t": CLASSES, "w": WEIGHTS}, lambda x, t, w: F.cross_entropy(x, t, w, label_smoothing=0.2)
    ),
    'cross_entropy(x, t, 0.2, w, "sum")': Case(
        {"x": X, "t": CLASSES, "w": WEIGHTS},
        lambda x, t, w: F.cross_entropy(x, t, w, label_smoothing=0.2, reduction="sum"),
    ),
    "cross_entropy(x, t) + 0": Case(
        {"x": X, "t": SOME}, lambda x, t: F.cross_entropy(x, torch.where((t >= 0) & (t < 5), t, -100))
    ),
    "cross_entropy(x, t, 0.1) + 0": Case(
        {"x": X, "t": SOME},
        lambda x, t: F.cross_entropy(x, torch.where((t >= 0) & (t < 5), t, -100), label_smoothing=0.1),
    ),
    "cross_entropy(x, t) * 2": Case(
        {"x": WIDE, "t": RNG.integers(0, 5, (4, 7))}, lambda x, t: 2 * F.cross_entropy(x.transpose(1, 2), t)
    ),
    "cross_entropy(x, t, ignore = 2)": Case({"x": X, "t": CLASSES}, lambda x, t: F.cross_entropy(x, t, ignore_index=2)),
    "cross_entropy(x, t, 0.1, axis = 1)": Case(
        {"x": WIDE, "t": RNG.integers(0, 7, (4, 5))}, lambda x, t: F.cross_entropy(x, t, label_smoothing=0.1)
    ),
    'soft_cross_entropy(x, p, 0.3, w, "sum")': Case(
        {"x": X, "p": P, "w": WEIGHTS},
        lambda x, p, w: F.cross_entropy(x, p, w, label_smoothing=0.3, reduction="sum"),
    ),
    "soft_cross_entropy(x, p)": Case({"x": X, "p": P}, F.cross_entropy),
    "nll(x, t, w) + 0": Case({"x": X, "t": CLASSES, "w": WEIGHTS}, F.nll_loss),
    "nll(x, t, ignore = 4)": Case({"x": X, "t": CLASSES}, lambda x, t: F.nll_loss(x, t, ignore_index=4)),
    "nll(x, t)": Case({"x": X, "t": CLASSES}, F.nll_loss),
    "binary_cross_entropy(x, p)": Case({"x": X * 20, "p": P}, F.binary_cross_entropy_with_logits),
    "binary_cross_entropy(x, p, w)": Case(
        {"x": X, "p": P, "w": WEIGHTS}, lambda x, p, w: F.binary_cross_entropy_with_logits(x, p, pos_weight=w)
    ),
    'mse(x, y, "sum")': Case({"x": X, "y": Y}, lambda x, y: F.mse_loss(x, y, reduction="sum")),
    "l1(x, y)": Case({"x": X, "y": Y}, F.l1_loss),
    "huber(x, y, 0.7)": Case({"x": X, "y": Y}, lambda x, y: F.huber_loss(x, y, delta=0.7)),
    "smooth_l1(x, y, 0.0)": Case({"x": X, "y": Y}, lambda x, y: F.smooth_l1_loss(x, y, beta=0.0)),
    "smooth_l1(x, y, 0.7)": Case({"x": X, "y": Y}, lambda x, y: F.smooth_l1_loss(x, y, beta=0.7)),
    "kl_divergence(x, p)": Case({"x": X, "p": P}, lambda x, p: F.kl_div(x, p, reduction="batchmean")),
    "kl_divergence(x, y, true)": Case(
        {"x": X, "y": Y}, lambda x, y: F.kl_div(x, y, reduction="batchmean", log_target=True)
    ),
    "distillation(x, y, 3.0)": Case(
        {"x": X, "y": Y},
        lambda x, y: (
            9 * F.kl_div((x / 3).log_softmax(-1), (y.detach() / 3).softmax(-1), reduction="batchmean") + 0 * y.sum()
        ),
    ),
    "cosine_similarity(x, y)": Case({"x": X, "y": Y}, F.cosine_similarity),
    "cosine_embedding(x, y, s, 0.1)": Case(
        {"x": X, "y": Y, "s": SIGNS}, lambda x, y, s: F.cosine_embedding_loss(x, y, s, margin=0.1)
    ),
    "contrastive(x, y, 0.5)": Case(
        {"x": X, "y": Y},
        lambda x, y: (
            sum(F.cross_entropy(F.normalize(a) @ F.normalize(b).T / 0.5, torch.arange(6)) for a, b in ((x, y), (y, x)))
            / 2
        ),
    ),
    "nt_xent(x, y, 0.5)": Case(
        {"x": X, "y": Y},
        lambda x, y: F.cross_entropy(
            (F.normalize(torch.cat([x, y])) @ F.normalize(torch.cat([x, y])).T / 0.5).fill_diagonal_(-torch.inf),
            torch.arange(12).roll(6),
        ),
    ),
    "triplet(x, y, z)": Case({"x": X, "y": Y, "z": Z}, lambda x, y, z: F.triplet_margin_loss(x, y, z, eps=0)),
    "hinge(x, y)": Case({"x": X, "y": np.sign(Y)}, lambda x, y: (1 - x * y).relu().mean()),
    "gaussian_nll(x, p, y)": Case({"x": X, "p": P, "y": Y}, lambda x, p, y: F.gaussian_nll_loss(x, y, p)),
    "poisson_nll(x, p)": Case({"x": X, "p": P}, F.poisson_nll_loss),
    "focal(x, p)": Case(
        {"x": X, "p": (P > 0.2) * 1.0},
        lambda x, p: (
            (0.25 * p + 0.75 * (1 - p))
            * (1 - torch.exp(-F.binary_cross_entropy_with_logits(x, p, reduction="none"))) ** 2
            * F.binary_cross_entropy_with_logits(x, p, reduction="none")
        ).mean(),
    ),
    "dice(x, p)": Case(
        {"x": X, "p": P},
        lambda x, p: (1 - (2 * (x.sigmoid() * p).sum(1) + 1) / (x.sigmoid().sum(1) + p.sum(1) + 1)).mean(),
    ),
    "spatial_transfer(x, p)": Case(
        {"x": FEATURES, "p": FEATURES[:, :2] + 0.5},
        lambda *both: torch.sub(*(F.normalize((v**2).sum(1), dim=1) for v in both)).norm(dim=1).mean(),
    ),
    "gram(x, p)": Case(
        {"x": X, "p": SMALLER},
        lambda x, p: torch.sub(*(F.normalize(v @ v.T, dim=1) for v in (x, p.detach()))).square().mean() + 0 * p.sum(),
    ),
    "relational_distance(x, p)": Case(
        {"x": X, "p": SMALLER},
        lambda x, p: F.smooth_l1_loss(torch_distances(x), torch_distances(p.detach())) + 0 * p.sum(),
    ),
    "relational_angle(x, p)": Case(
        {"x": X, "p": SMALLER},
        lambda x, p: F.smooth_l1_loss(torch_angles(x), torch_angles(p.detach())) + 0 * p.sum(),
    ),
    "ctc(x, y, n, m)": Case({"x": WIDE, "y": TEXT, **LENGTHS}, lambda *a: torch_ctc(*a, reduction="mean")),
    'ctc(x, y, n, m, reduction = "none")': Case(
        {"x": WIDE, "y": TEXT, **LENGTHS}, lambda *a: torch_ctc(*a, reduction="none")
    ),
    'ctc(x, y, n, m, reduction = "sum")': Case(
        {"x": WIDE, "y": TEXT, "n": np.array([7, 5, 3, 7]), "m": np.array([0, 2, 1, 3])},
        lambda *a: torch_ctc(*a, reduction="sum"),
    ),
}


def network(call: str, inputs: dict[str, np.ndarray[Any, Any]]) -> Graph:
    """A model that returns a loss; the batch is a symbol."""
    name = call.split("(")[0]
    typed = ", ".join(f"{name}: {_type(name, array)}" for name, array in inputs.items())
    return architrave.loads(f"from std.loss import {name}\nmodel M()({typed}) {{\n    return {call}\n}}\n")


def _type(name: str, array: np.ndarray[Any, Any]) -> str:
    sizes = ", ".join(map(str, array.shape if name == "w" else ("N", *array.shape[1:])))
    return f"{'i64' if array.dtype.kind == 'i' else ''}[{sizes}]"


@pytest.mark.parametrize("call", CASES)
def test_loss(call: str) -> None:
    case = CASES[call]
    graph = network(call, case.inputs)
    # Not by targets, weights and signs: PyTorch has no gradients by most of them.
    by = [name for name in case.inputs if name in "xyz" and case.inputs[name].dtype.kind == "f"]
    given = [torch.tensor(a, requires_grad=name in by) for name, a in case.inputs.items()]
    wanted = case.theirs(*given)
    cotangent = torch.linspace(1, 2, wanted.numel(), dtype=torch.float64).reshape(wanted.shape)
    slopes = torch.autograd.grad(wanted, [g for g in given if g.requires_grad], cotangent)
    both = with_gradients(graph, [v for v, name in zip(graph.inputs, case.inputs, strict=True) if name in by])
    arguments = [*case.inputs.values(), cotangent.numpy()]
    found = interpret(both, arguments, {}).outputs
    for ours, theirs in zip(found, (wanted, *slopes), strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-8, atol=1e-10)
    for backend in ("numpy", "torch", "jax"):
        results = architrave.compile(both, backend)({}, *arguments)
        for a, b in zip(results, found, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_every_loss_is_tried() -> None:
    from architrave import stdlib

    tried = {call.split("(")[0] for call in CASES}
    parts = {"reduced", "averaged", "angles", "distances", "similarities", "rows_of_length_one"}
    assert {e.name for e in stdlib.entries("std.loss")} - tried == parts


def test_nothing_to_learn_from_is_no_loss() -> None:
    graph = network("cross_entropy(x, t)", {"x": X, "t": CLASSES})
    assert interpret(graph, [X, np.full(6, -1)], {}).outputs[0] == 0


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
@pytest.mark.parametrize(
    ("call", "mean"),
    [("cross_entropy(x, t)", 0.0), ("nll(x, t)", 0.0), ("soft_cross_entropy(x, p)", np.nan)],
)
def test_an_empty_batch(call: str, mean: float, backend: str) -> None:
    inputs = CASES[call].inputs
    empty = [array[:0] for array in inputs.values()]
    for reduction, wanted in (("mean", mean), ("sum", 0.0)):
        graph = network(f'{call[:-1]}, reduction = "{reduction}")', inputs)
        np.testing.assert_equal(float(architrave.compile(graph, backend)({}, *empty)), wanted)


def test_nothing_is_written_in_no_steps() -> None:
    graph = network('ctc(x, y, n, m, reduction = "none")', CASES["ctc(x, y, n, m)"].inputs)
    unknown = np.where(np.arange(4)[:, None] == 3, 9, TEXT)
    given = [WIDE, unknown, np.array([0, 0, 7, 7]), np.array([0, 1, 1, 3])]
    found = interpret(graph, given, {}).outputs[0]
    assert found.tolist()[:2] == [0, np.inf]
    assert np.isfinite(found[2])
    assert found[3] == np.inf
    for backend in ("numpy", "torch", "jax"):
        np.testing.assert_allclose(architrave.compile(graph, backend)({}, *given), found, rtol=1e-12)


def test_a_target_that_does_not_fit_has_an_infinite_loss_and_no_gradient() -> None:
    graph = with_gradients(network("ctc(x, y, n, m)", CASES["ctc(x, y, n, m)"].inputs))
    lengths = np.array([2, 7, 7, 7]), np.array([3, 2, 1, 3])
    loss, slope = interpret(graph, [WIDE, TEXT, *lengths, np.array(1.0)], {}).outputs
    assert loss == np.inf
    assert np.isfinite(slope).all()
    assert not slope[0].any()
