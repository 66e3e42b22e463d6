"""Networks whose numbers are integers from one rounding to the next."""

from __future__ import annotations

from architrave.ir.graph import Graph
from architrave.passes.base import Keeps, Pass, option
from architrave.passes.journal import Journal
from architrave.passes.quantize.integers import affine, contractions, functions, joins, rounding, transposed
from architrave.passes.rewriter import rewrite
from architrave.passes.select import Select


class Integer(Pass):
    """Rounded networks compute with integers: sums in 32 bits, and products with whole numbers and shifts between.

    What `quantize` rounds is held as integers. The way back to floats moves down the graph, and where it meets the
    next rounding both become one `requantize`. That 32 bits hold each sum follows from the bounds of its operands.
    What integers have no rule for stays in floats. `hoist` then leaves the integers as weights. Jacob and others,
    "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference" (2018).
    """

    keeps = Keeps.BOUNDED
    for_inference = True
    only: Select = option(Select(), "where to compute with integers: names of places, operators, annotations")

    def apply(self, graph: Graph, journal: Journal) -> Graph:
        """Each tensor moves by half a step of its rounding at most, and biases by half a step of the sums."""
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)
        graph = rewrite(graph, RULES, journal, self.only)
        return rewrite(graph, functions.LAST, journal, self.only)


RULES = (
    *(*rounding.RULES, *contractions.RULES, *affine.RULES),
    *(*functions.RULES, *joins.RULES, *transposed.RULES),
)
"""Every rule, in the order in which they are tried."""
