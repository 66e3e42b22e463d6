"""Every pass of ours: importing this registers them. A new pass has its line here."""

from architrave.passes import hoist, mode
from architrave.passes.cleanup import constants, dead, duplicates, invariant, simplify
from architrave.passes.reparam import expand, merge, mpbn

__all__ = ["constants", "dead", "duplicates", "expand", "hoist", "invariant", "merge", "mode", "mpbn", "simplify"]
