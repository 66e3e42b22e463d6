"""Running PyTorch programs on NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np

from architrave.backends.runner import Execution, Gradients, Runner, Session, listed
from architrave.ir.arrays import Array
from architrave.ir.interpret import Result
from architrave.ir.ops.leaves import path_of

if TYPE_CHECKING:
    import torch


class TorchRunner(Runner):
    """Programs are modules; states are buffers that a training step changes in place."""

    def __init__(self) -> None:
        import torch

        self.torch: Any = torch

    def run(self, execution: Execution) -> Result:
        model = self.model(execution)
        with self.torch.no_grad():
            outputs = model(*map(self.tensor, execution.inputs), **self._options(execution))
        held: Mapping[str, torch.Tensor] = model.state_dict()
        paths = [path_of(old) for old, _ in execution.graph.updates]
        return Result(tuple(map(self.array, listed(outputs))), {path: self.array(held[path]) for path in paths})

    def gradients(self, execution: Execution, cotangents: Sequence[Array | None]) -> Gradients:
        model = self.model(execution)
        inputs = [self.tensor(x) for x in execution.inputs]
        for x in inputs:
            x.requires_grad_(x.is_floating_point() or x.is_complex())
        params = [dict(model.named_parameters())[path] for path in execution.params()]
        outputs = listed(model(*inputs, **self._options(execution)))
        pairs = [(y, self.tensor(c)) for y, c in zip(outputs, cotangents, strict=True) if c is not None]
        total = sum(((y * c.conj()).real.sum() for y, c in pairs), self.torch.zeros(()))
        sources = [*params, *(x for x in inputs if x.requires_grad)]
        found = self._grad(total, sources)
        of_inputs = iter(found[len(params) :])
        return Gradients(
            dict(zip(execution.params(), found, strict=False)),
            tuple(next(of_inputs) if x.requires_grad else None for x in inputs),
        )

    def session(self, execution: Execution) -> Session:
        return TorchSession(self, execution)

    def _options(self, execution: Execution) -> dict[str, torch.Tensor]:
        return {name: self.tensor(value) for name, value in execution.options().items()}

    def model(self, execution: Execution) -> torch.nn.Module:
        """The module with the weights, in the mode of the execution."""
        model: torch.nn.Module = execution.module.Model()
        model.load_state_dict({path: self.tensor(w) for path, w in execution.weights.items()}, assign=True)
        return model.train(execution.training)

    def tensor(self, array: Array) -> torch.Tensor:
        """A tensor of its own memory."""
        copy = np.array(array, order="C")
        if copy.dtype == ml_dtypes.bfloat16:
            return self.tensor(copy.view(np.int16)).view(self.torch.bfloat16)
        made: torch.Tensor = self.torch.from_numpy(copy)
        return made

    def array(self, tensor: torch.Tensor) -> Array:
        """An array of its own memory."""
        if tensor.dtype is self.torch.bfloat16:
            return self.array(tensor.detach().view(self.torch.int16)).view(ml_dtypes.bfloat16)
        return np.array(tensor.detach().cpu().resolve_conj().numpy())

    def _grad(self, total: torch.Tensor | int, sources: Sequence[torch.Tensor]) -> list[Array]:
        """The gradients; zeros for what the total does not depend on."""
        if isinstance(total, int) or not total.requires_grad or not sources:
            return [np.zeros(tuple(s.shape), self.array(s).dtype) for s in sources]
        found = self.torch.autograd.grad(total, sources, allow_unused=True, materialize_grads=True)
        return [self.array(gradient) for gradient in found]


class TorchSession(Session):
    """The module stays, with its buffers."""

    runner: TorchRunner

    def __init__(self, runner: TorchRunner, execution: Execution) -> None:
        super().__init__(runner, execution)
        self.model = runner.model(execution)
        self.drawn = bool(execution.options())

    def run(self, inputs: Sequence[Array], key: tuple[int, int]) -> tuple[Array, ...]:
        options = {"key": self.runner.tensor(np.array(key, np.uint32))} if self.drawn else {}
        with self.runner.torch.no_grad():
            return tuple(map(self.runner.array, listed(self.model(*map(self.runner.tensor, inputs), **options))))

    def states(self) -> dict[str, Array]:
        held: Mapping[str, torch.Tensor] = self.model.state_dict()
        return {path: self.runner.array(held[path]) for path in self.weights}

    def assign(self, weights: Mapping[str, Array]) -> None:
        self.model.load_state_dict({path: self.runner.tensor(w) for path, w in weights.items()}, strict=False)
