"""The NumPy backend: functions on nested dicts of arrays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from architrave.backends.base import Backend, Rules
from architrave.backends.functional.dtypes import NUMPY_DTYPES
from architrave.backends.functional.initial import DRAWS
from architrave.backends.functional.program import Framework, Program
from architrave.backends.functional.writer import FunctionWriter
from architrave.backends.generators import FRAMEWORK
from architrave.backends.numpy.rules import rules
from architrave.backends.prelude import Prelude
from architrave.ir.graph import Graph
from architrave.ir.memory import collector_paused

if TYPE_CHECKING:
    from architrave.backends.runner import Runner

NOTES = """\
`init(seed)` gives `(params, state)`, nested dicts of arrays; `apply(params, state, ...)` runs the network.
It computes in the precision of its params: float64 weights make it a float64 network."""

NUMPY = Framework(
    title="NumPy",
    module="np",
    imports=("import numpy as np", "import ml_dtypes"),
    dtypes=NUMPY_DTYPES,
    rules=rules,
    prelude=Prelude(Path(__file__).parent / "prelude", DRAWS),
    writer=FunctionWriter,
    decorator='@np.errstate(all="ignore")  # overflow gives infinities, 0 / 0 NaN: silently, as IEEE 754 has it',
    asarray="np.asarray",
    notes=NOTES,
)


class NumPy(Backend):
    """Programs that need NumPy alone."""

    name: ClassVar[str] = "numpy"
    rules: Rules = rules
    generators: ClassVar[dict[str, Rules]] = {"framework": FRAMEWORK}

    @collector_paused()
    def emit(self, graph: Graph) -> str:
        notes = NUMPY.notes + self.about_random()
        return Program(graph, replace(NUMPY, rules=self.rules, notes=notes)).write()

    def runner(self) -> Runner:
        from architrave.backends.numpy.run import NumPyRunner

        return NumPyRunner()
