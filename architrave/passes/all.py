"""Every pass of ours: importing this registers them. A new pass has its line here."""

from architrave.passes import hoist, mode
from architrave.passes.cleanup import constants, dead, duplicates, simplify
from architrave.passes.reparam import merge

__all__ = ["constants", "dead", "duplicates", "hoist", "merge", "mode", "simplify"]
