"""Low rank: which ranks layers are cut down to, by their singular values, under a budget.

The passes that do it are in `architrave.passes.factorize`.
"""

from architrave.factorize.allocate import Allocation, Choices, at_level, within
from architrave.factorize.factorized import Cut, Factorized, factorize
from architrave.factorize.methods import METHODS
from architrave.factorize.plan import Plan

__all__ = ["METHODS", "Allocation", "Choices", "Cut", "Factorized", "Plan", "at_level", "factorize", "within"]
