"""The passes `mask` and `bake-masks`, and masks among weights."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.interpret import interpret
from architrave.ir.source import ArchitraveError
from architrave.passes import apply
from architrave.passes.sparsify.mask import mask_sites
from architrave.passes.sparsify.uses import Axes, weight_uses
from architrave.sparsity.masks.masked import density, kept, layers, masks, with_masks
from tests.sparsify.networks import SMALL, digits, masked
from tests.stdlib.small import SMALL as STDLIB

ODD = """

model Odd()(words: i64[N, 4], x: [N, 6]) {
    param matrix: [6, 5] = normal(1.0)
    param left: [3, 6] = normal(1.0)
    param heads: [2, 6, 4] = normal(1.0)
    param both: [6, 6] = normal(1.0)
    param shift: [4, 6] = normal(1.0)
    param tied: [7, 6] = normal(1.0)
    a = x @ matrix
    b = left @ transpose(x, [1, 0])
    c = op.einsum(x, heads, equation = "ni,hio->nho")
    d = x @ both + sum(both)
    e = op.linear(take(tied, words, axis = 0), tied) + sum(shift)
    return (a, b, c, d, e)
}
"""


def drawn(graph: Any, weights: dict[str, Any], share: float = 0.5) -> dict[str, Any]:
    rng: Any = np.random.default_rng(1)
    return with_masks(graph, weights, {layer.path: rng.random(layer.shape) < share for layer in layers(graph)})


def test_masks_stand_beside_what_they_mask() -> None:
    graph, weights = masked(SMALL)
    assert [site.mask_path for site in mask_sites(graph)] == [
        f"{name}.weight_mask" for name in ("conv1", "conv2", "fc", "head")
    ]
    assert list(weights)[:2] == ["conv1.weight", "conv1.weight_mask"]
    assert all(w.all() and w.dtype == np.bool_ for path, w in weights.items() if path.endswith("_mask"))
    assert apply(graph, "mask").graph is graph


def test_what_cannot_be_masked_is_named() -> None:
    made = apply(architrave.loads(ODD), "mask")
    assert {site.path for site in mask_sites(made.graph)} == {"matrix", "left", "heads"}
    reasons = {re.findall("`([^`]+)`", e.reason or "")[0]: e.reason for e in made.journal.declined}
    assert reasons == {
        "both": "`both` stays dense: `sum` takes it, too",
        "tied": "`tied` stays dense: `take` takes it, too",
        "shift": "`shift` stays dense: `sum` takes it, and no contraction",
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", STDLIB)
def test_networks_of_the_library_have_masks_whose_axes_are_known(name: str) -> None:
    network = architrave.load(name.lower(), **STDLIB[name])
    made = apply(network, "mask")
    assert apply(made.graph, "bake-masks").graph == network
    found = [] if name == "TernaryBARTBase" else layers(made.graph)
    assert all(layer.axes is not None and len(layer.axes.inputs) == 1 for layer in found)


def test_axes_of_inputs_and_outputs() -> None:
    found = {use.path: use.axes for use in weight_uses(architrave.loads(ODD))}
    assert found["matrix"] == Axes((1,), (0,))
    assert found["left"] == Axes((0,), (1,))
    assert found["heads"] == Axes((0, 2), (1,))
    found = {layer.path: layer.axes for layer in layers(masked(digits("lstm"))[0])}
    assert set(found.values()) == {Axes((0,), (1,))}
    assert len(found) == 5


@pytest.mark.parametrize(
    ("only", "paths"),
    [
        ("head", ["head.weight"]),
        ("op:conv", ["conv1.weight", "conv2.weight"]),
        ("is:pointwise", ["conv2.weight"]),
        ("!head&!fc", ["conv1.weight", "conv2.weight"]),
    ],
)
def test_only_what_is_chosen_is_masked(only: str, paths: list[str]) -> None:
    made = apply(architrave.loads(SMALL), f"mask{{only={only}}}")
    assert [site.path for site in mask_sites(made.graph)] == paths


@pytest.mark.parametrize("name", ["mlp", "resnet", "vit", "lstm"])
def test_baked_masks_are_zeros_in_the_same_network(name: str) -> None:
    network = digits(name)
    graph, weights = masked(network)
    held = drawn(graph, {path: w.astype(np.float64) if w.dtype.kind == "f" else w for path, w in weights.items()})
    baked = apply(graph, "bake-masks")
    assert baked.graph == network
    assert str(baked.keeps) == "exact"
    plain = baked.weights(held)
    x: Any = np.random.default_rng(0).normal(size=(2, *network.inputs[0].shape[1:]))
    np.testing.assert_array_equal(*(interpret(g, [x], w).outputs[0] for g, w in ((graph, held), (network, plain))))
    assert {path: int(np.count_nonzero(plain[path])) for path in masks(graph, held)} == {
        path: int(np.count_nonzero(mask)) for path, mask in masks(graph, held).items()
    }


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
def test_backends_agree_on_masked_networks(backend: str) -> None:
    if backend != "numpy":
        pytest.importorskip(backend)
    graph, weights = masked(SMALL)
    held = drawn(graph, weights)
    x: Any = np.random.default_rng(0).normal(size=(2, 4, 8, 8)).astype(np.float32)
    found = architrave.compile(graph, backend=backend)(held, x)
    np.testing.assert_allclose(found, interpret(graph, [x], held).outputs[0], rtol=1e-5, atol=1e-6)


def test_a_masked_network_is_written_and_read_back() -> None:
    from architrave.cli.places import network_text

    text = network_text(masked(digits("lstm"))[0])
    assert "weight_hh_mask" in text


def test_counting() -> None:
    graph, weights = masked(SMALL)
    held = with_masks(graph, weights, {"head.weight": np.eye(10, 32) > 0})
    found = masks(graph, held)
    assert kept(found) == 8 * 4 * 9 + 16 * 8 + 32 * 16 + 10
    assert density({"head.weight": found["head.weight"]}) == 10 / 320
    assert np.count_nonzero(held["head.weight"]) == 10


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ({"head.weight": np.ones((10, 31), bool)}, "the mask of `head.weight` is bool [10, 31], not bool [10, 32]"),
        ({"head.weight": np.ones((10, 32))}, "is float64 [10, 32], not bool [10, 32]"),
        ({"head.bias": np.ones(10, bool)}, "`head.bias` is no weight with a mask"),
    ],
)
def test_masks_that_do_not_fit(new: dict[str, Any], said: str) -> None:
    graph, weights = masked(SMALL)
    with pytest.raises(ArchitraveError, match=re.escape(said)) as caught:
        with_masks(graph, weights, new)
    assert caught.value.diagnostics[0].code == "E924"


def test_a_network_without_masks_has_none_to_set() -> None:
    network = architrave.loads(SMALL)
    with pytest.raises(ArchitraveError, match="no weight of `Small` has a mask"):
        with_masks(network, architrave.init(network), {})


def test_a_path_that_is_taken() -> None:
    weights = "param w: [4, 4] = ones\n    param w_mask: [4] = ones\n"
    text = f"model M()(x: [N, 4]) {{\n    {weights}    return x @ w + w_mask\n}}"
    with pytest.raises(ArchitraveError, match="cannot be called `w_mask`"):
        apply(architrave.loads(text), "mask")
