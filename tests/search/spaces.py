"""The search spaces of the standard library, in small configurations."""

from __future__ import annotations

from architrave.models import find
from architrave.search.costs import Costs
from tests.stdlib.small import SMALL

SPACES = ("Brainformer", "NASBench201", "NASNetSpace", "PoolingSpace")


def costs(name: str) -> Costs:
    """A space in its small configuration, for one example."""
    return Costs(find(name), SMALL[name], {"N": 1})
