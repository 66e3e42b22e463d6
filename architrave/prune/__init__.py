"""Structured pruning by what data say: which channels, heads and layers of a network can go.

found = prune(network, weights, Plan(keep=0.5, by="macs", method="taylor"), data)
found.graph, found.weights
"""

from architrave.prune.depth import llm_drop
from architrave.prune.methods import METHODS
from architrave.prune.plan import Plan
from architrave.prune.pruned import Pruned
from architrave.prune.pruning import prune
from architrave.prune.tuning import Tuning
from architrave.prune.units import masked

__all__ = ["METHODS", "Plan", "Pruned", "Tuning", "llm_drop", "masked", "prune"]
