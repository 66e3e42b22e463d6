"""Running emitted programs on NumPy arrays: what each backend does in its own framework."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.interpret import Result
from architrave.ir.ops.leaves import State, path_of
from architrave.ir.ops.random import RunKey


@dataclass(frozen=True)
class Execution:
    """A program and what it is run on. Arrays already have the shapes and dtypes that the graph says.

    `key` is the seed and the step of random numbers.
    """

    graph: Graph
    module: ModuleType
    weights: Mapping[str, Array]
    inputs: Sequence[Array]
    training: bool = False
    key: tuple[int, int] = (0, 0)
    stateful: bool = False
    """Whether states change in inference, too."""

    @property
    def returns_states(self) -> bool:
        """Whether a program that is a function gives its states beside its outputs."""
        return self.training or self.stateful

    def options(self) -> dict[str, Any]:
        """The key of random numbers, as an argument of the program, where the network draws any."""
        drawn = any(isinstance(node.op, RunKey) for node in self.graph.nodes)
        return {"key": np.array([word & 0xFFFFFFFF for word in self.key], np.uint32)} if drawn else {}

    def params(self) -> dict[str, Array]:
        """The trained weights, by path."""
        return {path: self.weights[path] for path in self._paths(trained=True)}

    def states(self) -> dict[str, Array]:
        """The states, by path."""
        return {path: self.weights[path] for path in self._paths(trained=False)}

    def _paths(self, trained: bool) -> list[str]:
        return [path_of(w) for w in self.graph.weights if isinstance(w.op, State) is not trained]


@dataclass(frozen=True)
class Gradients:
    """Of a number that depends on the outputs: for each param by path, and for each input, None for integers."""

    params: dict[str, Array]
    inputs: tuple[Array | None, ...]


class Runner(ABC):
    """Runs the programs of one backend. Making one imports the framework: an ImportError says that it is not there."""

    differentiates: ClassVar[bool] = True
    """Whether the framework has gradients of its own; where not, they are emitted, as a program like any other."""

    @abstractmethod
    def run(self, execution: Execution) -> Result:
        """The outputs, and in training mode the new states."""

    def gradients(self, execution: Execution, cotangents: Sequence[Array | None]) -> Gradients:
        """Of the sum over all outputs of `<output, cotangent>`; None leaves an output out."""
        raise NotImplementedError(f"{type(self).__name__} has no gradients of its own")

    def session(self, execution: Execution) -> Session:
        """Start to run the program again and again, from the weights of the execution."""
        return Session(self, execution)


class Session:
    """A program that runs again and again and keeps its states between runs, as training does.

    A backend that can leave them where it computes has a session of its own; this one goes through NumPy.
    """

    def __init__(self, runner: Runner, execution: Execution) -> None:
        self.runner = runner
        self.execution = execution
        self.weights = dict(execution.weights)

    def run(self, inputs: Sequence[Array], key: tuple[int, int]) -> tuple[Array, ...]:
        """The outputs; the new states stay here. The inputs have the dtypes of the execution's."""
        result = self.runner.run(replace(self.execution, weights=self.weights, inputs=inputs, key=key))
        self.weights |= result.updates
        return result.outputs

    def states(self) -> dict[str, Array]:
        """All weights as they are now, by path."""
        return dict(self.weights)

    def assign(self, weights: Mapping[str, Array]) -> None:
        """Give some weights other values, in the shapes and dtypes that they have."""
        self.weights |= weights


def listed(results: Any) -> tuple[Any, ...]:
    """What a program returned, as a tuple: one output is returned by itself."""
    return results if isinstance(results, tuple) else (results,)  # pyright: ignore[reportUnknownVariableType]
