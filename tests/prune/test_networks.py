"""Half of every group that may be cut goes from the standard networks, without a hint; they still run and learn."""

from __future__ import annotations

import pytest

import architrave
from architrave import ArchitraveError
from architrave.cli.places import network_text
from architrave.prune import METHODS, Plan, prune
from architrave.testing import assert_backends_agree
from tests.prune.networks import LENGTH, NETWORKS, distance, examples, learns, weights_of
from tests.stdlib.small import SMALL

HALF = Plan(keep=0.5, by="units", scope="layer", minimum=0.0)
WITHOUT_BATCH_NORM = (
    "VGG16",
    "ConvNeXtT",
    "ViTS16",
    "DeiTTi16",
    "SwinT",
    "MLPMixerS16",
    "NFNetF0",
    "BERTBase",
    "GPT2Small",
)


@pytest.mark.parametrize("name", NETWORKS)
def test_half_of_each_group_goes(name: str) -> None:
    network = architrave.load(name, **SMALL[name])
    weights = weights_of(network)
    found = prune(network, weights, HALF)
    assert found.parts
    assert all(abs(len(part.kept) - part.size / 2) <= 1 for part in found.parts)
    assert distance(found, weights) < 1e-10
    network_text(found.graph)


@pytest.mark.slow
@pytest.mark.parametrize("method", [name for name in METHODS if name != "optin"])
@pytest.mark.parametrize("name", NETWORKS)
def test_slices_are_masks_by_every_method(name: str, method: str) -> None:
    network = architrave.load(name, **SMALL[name])
    weights = weights_of(network)
    plan = Plan(keep=0.95, method=method, sizes=dict.fromkeys(network.symbols, LENGTH), backend="numpy")
    if method == "bn-scale" and name in WITHOUT_BATCH_NORM:
        with pytest.raises(ArchitraveError, match="E939"):
            prune(network, weights, plan)
        return
    found = prune(network, weights, plan, examples(network))
    assert found.macs[1] <= 0.95 * found.macs[0]
    assert distance(found, weights) < 1e-10


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_left_runs_alike_everywhere_and_learns(name: str) -> None:
    for framework in ("torch", "jax"):
        pytest.importorskip(framework)
    network = architrave.load(name, **SMALL[name])
    found = prune(network, weights_of(network), HALF)
    sizes = {**dict.fromkeys(found.graph.symbols, LENGTH), "N": 2}
    assert_backends_agree(found.graph, backends=("numpy", "torch", "jax"), dtypes=("float64",), sizes=sizes)
    assert learns(found)
