"""Running what a backend emits: `compile` gives a `Program`, which takes and returns NumPy arrays."""

from __future__ import annotations

import builtins
import itertools
import linecache
import sys
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np

from architrave.backends.base import OURS
from architrave.backends.base import backend as find
from architrave.backends.differentiated import Differentiated
from architrave.backends.runner import Execution, Gradients, Runner, Session
from architrave.ir.arrays import Array
from architrave.ir.bind import check_sizes, sizes_of, symbolic_sizes
from architrave.ir.dims import Dim
from architrave.ir.graph import Graph, Value
from architrave.ir.interpret import Result
from architrave.ir.mode import updates_in_inference
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import error, printable
from architrave.ir.storage import is_float, numpy_dtype
from architrave.ir.types import DType
from architrave.weights import fit

_numbers = itertools.count()


def compile(graph: Graph, backend: str = "torch", *, random: str = OURS) -> Program:
    """Compile a graph to a program of this process. Nothing is written to disk.

    `random="framework"` lets it draw with the framework's own generator: faster, but no longer what other backends
    draw. Raises E400 for an unknown backend, E406 for an unknown generator, E522 where the framework is not installed.
    """
    return Program(graph, backend, find(backend).drawing_with(random).emit(graph), random)


@dataclass(frozen=True, eq=False)
class Program:
    """An emitted program, ready to run. `source` is its text, `native` the module that it is when loaded.

    Weights are a flat dict by path, the canonical layout. The precision of the run is that of the first weight whose
    dtype the network leaves open, or else of the first such input.
    """

    graph: Graph
    backend: str
    source: str
    random: str = OURS

    def __call__(
        self, weights: Mapping[str, Any], *inputs: Any, training: bool = False, key: tuple[int, int] = (0, 0)
    ) -> Any:
        """The output, or the tuple of outputs, as NumPy arrays. The states are left as they are: see `run`."""
        outputs = self.run(weights, *inputs, training=training, key=key).outputs
        return outputs[0] if len(outputs) == 1 else outputs

    def run(
        self, weights: Mapping[str, Any], *inputs: Any, training: bool = False, key: tuple[int, int] = (0, 0)
    ) -> Result:
        """The outputs, and the new value of each state that the run updates. `key` is the seed and the step.

        Raises E502 to E505 for weights, E510, E511 and E517 for inputs that do not fit.
        """
        result = self.runner.run(self._execution(weights, inputs, training, key))
        if len(result.outputs) != len(self.graph.outputs):
            raise ValueError(f"the program returned {len(result.outputs)} outputs, not {len(self.graph.outputs)}")
        return result

    def gradients(
        self,
        weights: Mapping[str, Any],
        *inputs: Any,
        cotangents: Sequence[Any] | None = None,
        training: bool = False,
        key: tuple[int, int] = (0, 0),
    ) -> Gradients:
        """The gradients of `sum(<output, cotangent>)` by params and float inputs.

        There is one cotangent for each output: an array of its shape, or None to leave it out. Without any, each
        float output is summed.
        """
        execution = self._execution(weights, inputs, training, key)
        if cotangents is None:
            results = self.runner.run(execution).outputs
            cotangents = [np.ones_like(y) if is_float(y.dtype) else None for y in results]
        given = [None if c is None else np.asarray(c) for c in cotangents]
        if len(given) != len(self.graph.outputs):
            raise error("E518", f"there are {len(self.graph.outputs)} outputs, but {len(given)} cotangents")
        if self.runner.differentiates:
            return self.runner.gradients(execution, given)
        mode, backward = self._backward(training)
        return mode.gradients(
            lambda values: backward.run(execution.weights, *values, training=training, key=key).outputs,
            execution.inputs,
            given,
        )

    def session(self, weights: Mapping[str, Any], *inputs: Any, training: bool = True) -> Session:
        """Start to run the program again and again, which keeps its states: `run(inputs, key)` makes a step.

        `inputs` are an example of what the steps get, in shape and dtype. Errors are those of `run`.
        """
        return self.runner.session(self._execution(weights, inputs, training, (0, 0)))

    @cached_property
    def runner(self) -> Runner:
        """What runs programs of the backend here."""
        try:
            return find(self.backend).runner()
        except ImportError as problem:
            hint = f"pip install 'architrave[{self.backend}]'" if self.backend in ("torch", "jax") else None
            raise error("E522", f"{problem.name or self.backend} is not installed", hint=hint) from None

    @cached_property
    def native(self) -> ModuleType:
        """The loaded program: what importing the emitted file would give."""
        module = load(self.source, f"{self.graph.name}_{self.backend}")
        weakref.finalize(self, forget, module.__name__)
        return module

    def _backward(self, training: bool) -> tuple[Differentiated, Program]:
        """The gradients of one mode, and the program that computes them."""
        if training not in self._differentiated:
            mode = Differentiated.of(self.graph, training)
            self._differentiated[training] = mode, compile(mode.backward, self.backend, random=self.random)
        return self._differentiated[training]

    @cached_property
    def _differentiated(self) -> dict[bool, tuple[Differentiated, Program]]:
        return {}

    @cached_property
    def _stateful(self) -> bool:
        return updates_in_inference(self.graph)

    @cached_property
    def _symbolic(self) -> frozenset[Dim]:
        return symbolic_sizes(self.graph)

    def _execution(
        self, weights: Mapping[str, Any], inputs: Sequence[Any], training: bool, key: tuple[int, int]
    ) -> Execution:
        arrays = [np.asarray(x) for x in inputs]
        check_sizes(self.graph, self._symbolic, sizes_of(self.graph, [x.shape for x in arrays]))
        chosen = self._precision(weights, arrays)
        fitted = fit(weights, self.graph, chosen)
        converted = [_input(x, value, chosen) for x, value in zip(arrays, self.graph.inputs, strict=True)]
        # Making the runner first says that a framework is missing before the program fails to import it.
        _ = self.runner
        return Execution(self.graph, self.native, fitted, converted, training, key, self._stateful)

    def _precision(self, weights: Mapping[str, Any], inputs: Sequence[Array]) -> np.dtype[Any]:
        held = [np.asarray(weights[path]).dtype for path in _open_paths(self.graph) if path in weights]
        held += [x.dtype for x, v in zip(inputs, self.graph.inputs, strict=True) if v.dtype is DType.FLOAT]
        parts = [x.real.dtype for x, v in zip(inputs, self.graph.inputs, strict=True) if v.dtype is DType.COMPLEX]
        return next((dtype for dtype in (*held, *parts) if is_float(dtype)), np.dtype(np.float32))


def load(source: str, name: str) -> ModuleType:
    """The module that emitted source makes. Tracebacks show its lines; `sys.modules` knows it until `forget`."""
    title = "".join(c if c.isalnum() else "_" for c in name)
    module = ModuleType(f"architrave_program_{next(_numbers)}_{title}")
    module.__file__ = f"<{module.__name__}>"
    linecache.cache[module.__file__] = len(source), None, source.splitlines(keepends=True), module.__file__
    # Dataclasses, torch.compile and inspect look a module up by its name.
    sys.modules[module.__name__] = module
    try:
        # Our own text: emission lets nothing of a `.arch` file become code.
        exec(builtins.compile(source, module.__file__, "exec"), vars(module))  # noqa: S102
    except BaseException:
        forget(module.__name__)
        raise
    return module


def forget(name: str) -> None:
    """Let go of a loaded module by its name."""
    sys.modules.pop(name, None)
    linecache.cache.pop(f"<{name}>", None)


def _open_paths(graph: Graph) -> list[str]:
    """The weights whose dtype the run chooses."""
    return [path_of(w) for w in graph.weights if w.dtype is DType.FLOAT]


def _input(array: Array, value: Value, chosen: np.dtype[Any]) -> Array:
    """An input in the dtype that its type asks for. Raises E517 where that would lose its kind."""
    wanted = numpy_dtype(value.dtype, chosen)
    if not _fits(array.dtype, value.dtype):
        name = printable(str(getattr(value.op, "label", value.hint)))
        raise error("E517", f"the input `{name}` is {value.type}, but the array holds {array.dtype}")
    return array.astype(wanted, copy=False)


def _fits(stored: np.dtype[Any], wanted: DType) -> bool:
    """Whether an array may enter: of the same kind (bool, integer, float, complex) or one that is narrower."""
    if wanted.is_complex:
        return True
    if wanted.is_float:
        return stored.kind != "c"
    return stored.kind in ("biu" if wanted.is_integer else "b")
