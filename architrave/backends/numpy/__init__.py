"""The NumPy backend: functions on nested dicts of arrays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import architrave.ir
from architrave.backends.base import Backend, Rules
from architrave.backends.functional.program import Framework, Program
from architrave.backends.functional.writer import FunctionWriter
from architrave.backends.numpy.dtypes import DTYPES
from architrave.backends.numpy.rules import rules
from architrave.backends.prelude import Prelude
from architrave.ir.graph import Graph

if TYPE_CHECKING:
    from architrave.backends.runner import Runner

_IR = Path(architrave.ir.__file__).parent
DRAWS = (_IR / "draws.py", _IR / "threefry.py")

NUMPY = Framework(
    title="NumPy",
    module="np",
    imports=("import numpy as np", "import ml_dtypes"),
    dtypes=DTYPES,
    rules=rules,
    prelude=Prelude(Path(__file__).parent / "prelude", DRAWS),
    writer=FunctionWriter,
    decorator='@np.errstate(all="ignore")  # overflow gives infinities, 0 / 0 NaN: silently, as IEEE 754 has it',
    asarray="np.asarray",
    notes="`init(seed)` gives `(params, state)`, nested dicts of arrays; `apply(params, state, ...)` runs the network.\n"
    "It computes in the precision of its params: float64 weights make it a float64 network.",
)


class NumPy(Backend):
    """Programs that need NumPy alone."""

    name: ClassVar[str] = "numpy"
    rules: ClassVar[Rules] = rules

    def emit(self, graph: Graph) -> str:
        return Program(graph, NUMPY).write()

    def runner(self) -> Runner:
        from architrave.backends.numpy.run import NumPyRunner

        return NumPyRunner()
