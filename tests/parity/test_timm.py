"""Our networks hold the weights that timm's hold, most by the same names, and give the same outputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.graph import Graph
from architrave.weights import Weights, fit
from tests.parity import maps
from tests.reparam.timm_networks import randomised, timm, torch

SIZE = 64


@dataclass(frozen=True)
class Case:
    """A network of timm's, the same one of ours, and what makes each of them small."""

    theirs: str
    ours: str
    there: dict[str, Any] = field(default_factory=dict)
    here: dict[str, Any] = field(default_factory=dict)
    whole: dict[str, Any] = field(default_factory=dict)
    """What makes ours the one that timm builds without options."""
    table: tuple[maps.Row, ...] = maps.SAME

    def fit(self, theirs: Any, graph: Graph, dtype: str) -> Weights:
        """Their weights as ours. Strict: a key too many or too few, or another shape, is an error."""
        weights = {key: value.numpy() for key, value in theirs.state_dict().items()}
        return fit(maps.translate(weights, self.table), graph, dtype)


SHALLOW = {"there": {"img_size": SIZE, "depth": 2}, "here": {"depth": 2}}
CASES = (
    Case("regnety_004", "RegNetY400MF"),
    Case("ghostnet_050", "GhostNet", whole={"width": 0.5}),
    Case("deit_tiny_patch16_224", "DeiTTi16", **SHALLOW),
    Case("deit_tiny_distilled_patch16_224", "DeiTTi16", **SHALLOW, whole={"distilled": True}),
    Case("mixer_s16_224", "MLPMixerS16", there={"img_size": SIZE}, table=maps.MIXER),
)
WHOLE = (
    *CASES,
    Case("regnety_016", "RegNetY1600MF"),
    Case("regnety_160", "RegNetY16GF"),
    Case("ghostnet_100", "GhostNet"),
    Case("ghostnet_130", "GhostNet", whole={"width": 1.3}),
    Case("mixer_b16_224", "MLPMixerB16", table=maps.MIXER),
    Case("deit_small_patch16_224", "DeiTTi16", whole={"width": 384, "heads": 6, "hidden": 1536}),
)


@pytest.mark.parametrize("backend", ["numpy", "torch", pytest.param("jax", marks=pytest.mark.slow)])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.theirs)
def test_outputs_agree(case: Case, backend: str) -> None:
    theirs = randomised(case.theirs, **case.there)
    graph = architrave.load(case.ours, size=SIZE, **case.whole, **case.here)
    weights = case.fit(theirs, graph, "float64")
    image = np.random.default_rng(1).standard_normal((2, 3, SIZE, SIZE))
    wanted = theirs(torch.from_numpy(image)).numpy()
    found = architrave.compile(graph, backend)(weights, image)
    assert np.abs(np.asarray(found) - wanted).max() <= 1e-10 * np.ptp(wanted)


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case.theirs)
def test_the_whole_network_has_timms_weights(case: Case) -> None:
    theirs = timm.create_model(case.theirs, pretrained=False)
    case.fit(theirs, architrave.load(case.ours, **case.whole), "float32")
