"""The search spaces of the standard library, in small configurations."""

from __future__ import annotations

from functools import cache

from architrave.models import find
from architrave.search.space.costs import Costs
from tests.stdlib.small import SMALL

SPACES = (
    "AutoFormerB",
    "AutoFormerS",
    "AutoFormerT",
    "BigNAS",
    "Brainformer",
    "DARTSSpace",
    "EfficientNetScaling",
    "HyTra",
    "NASBench101",
    "NASBench201",
    "NASNetSpace",
    "OFAMobileNetV3",
    "PoolingSpace",
    "ProxylessNAS",
    "SortedNet",
    "ViTResNAS",
)


@cache
def costs(name: str) -> Costs:
    """A space in its small configuration, for one example."""
    return Costs(find(name), SMALL[name], {"N": 1})
