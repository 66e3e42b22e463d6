"""Architrave: one `.arch` file for a neural network, compiled to NumPy, PyTorch and JAX programs that agree.

The names below are imported when they are first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import architrave.ir.build as ops
    from architrave.backends.agree import verify
    from architrave.backends.load import Program, compile
    from architrave.ir.graph import Graph
    from architrave.ir.initializers import init
    from architrave.ir.interpret import interpret
    from architrave.ir.source import ArchitraveError
    from architrave.models import load, loads
    from architrave.weights import load as load_weights
    from architrave.weights import save as save_weights

__all__ = [
    "ArchitraveError",
    "Graph",
    "Program",
    "__version__",
    "compile",
    "init",
    "interpret",
    "load",
    "load_weights",
    "loads",
    "ops",
    "save_weights",
    "verify",
]

__version__ = "0.1.0"

_PUBLIC = {
    "ArchitraveError": "architrave.ir.source:ArchitraveError",
    "Graph": "architrave.ir.graph:Graph",
    "Program": "architrave.backends.load:Program",
    "compile": "architrave.backends.load:compile",
    "init": "architrave.ir.initializers:init",
    "interpret": "architrave.ir.interpret:interpret",
    "load": "architrave.models:load",
    "load_weights": "architrave.weights:load",
    "loads": "architrave.models:loads",
    "ops": "architrave.ir.build:",
    "save_weights": "architrave.weights:save",
    "verify": "architrave.backends.agree:verify",
}
"""Each public name, and where it is defined: `module:name`, or `module:` for the module itself."""


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _PUBLIC[name].partition(":")
    found = importlib.import_module(module)
    value = getattr(found, attribute) if attribute else found
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
