"""Passes: what turns a network into another one, and says what of the function it keeps.

`apply(graph, "inference,reparam,hoist")` runs a pipeline; `architrave passes` lists what there is.
"""

from architrave.passes.base import PASSES, Keeps, Pass, Prepare, Rewritten, find_pass, known_passes, option
from architrave.passes.journal import Declined, Entry, Journal
from architrave.passes.pipeline import Pipeline, Transformed, apply
from architrave.passes.rewriter import Change, Rule, Walk, rewrite
from architrave.passes.select import Select

__all__ = [
    "PASSES",
    "Change",
    "Declined",
    "Entry",
    "Journal",
    "Keeps",
    "Pass",
    "Pipeline",
    "Prepare",
    "Rewritten",
    "Rule",
    "Select",
    "Transformed",
    "Walk",
    "apply",
    "find_pass",
    "known_passes",
    "option",
    "rewrite",
]
