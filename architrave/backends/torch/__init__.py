"""The PyTorch backend: blocks are modules, functions stand beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from architrave.backends.base import Backend, Rules
from architrave.backends.generators import FRAMEWORK
from architrave.backends.torch.program import Program
from architrave.backends.torch.rules import rules
from architrave.ir.graph import Graph
from architrave.ir.memory import collector_paused

if TYPE_CHECKING:
    from architrave.backends.runner import Runner


class Torch(Backend):
    """Programs that need PyTorch alone."""

    name: ClassVar[str] = "torch"
    rules: Rules = rules
    generators: ClassVar[dict[str, Rules]] = {"framework": FRAMEWORK}

    @collector_paused()
    def emit(self, graph: Graph) -> str:
        return Program(graph, self.rules, self.about_random()).write()

    def runner(self) -> Runner:
        from architrave.backends.torch.run import TorchRunner

        return TorchRunner()
