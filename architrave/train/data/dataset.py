"""Examples in memory, and the batches that an epoch has of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.source import error
from architrave.ir.storage import our_dtype
from architrave.ir.types import TensorType


@dataclass(frozen=True)
class Dataset:
    """Examples: arrays whose first axis counts them, in the order of the network's inputs, and the targets.

    Without `target` the network's output is the loss itself. `labels` are the names of classes or characters.
    """

    inputs: tuple[Array, ...]
    target: Array | None = None
    name: str = "the data"
    labels: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        counts = [len(a) if a.ndim else 0 for a in self.arrays]
        if len(set(counts)) > 1:
            raise error("E562", f"{self.name} has arrays of {', '.join(map(str, counts))} examples")
        if not counts or not counts[0]:
            raise error("E562", f"{self.name} has no examples")

    def __len__(self) -> int:
        return len(self.arrays[0])

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The inputs, and the target if there is one."""
        return self.inputs if self.target is None else (*self.inputs, self.target)

    def taken(self, index: Array) -> Dataset:
        """The examples with these numbers."""
        target = None if self.target is None else self.target[index]
        return Dataset(tuple(x[index] for x in self.inputs), target, self.name, self.labels)

    def split(self, share: float, seed: int = 0) -> tuple[Dataset, Dataset]:
        """All but a share of the examples, and that share: drawn at random, the same for one seed."""
        order = np.random.default_rng([seed, len(self)]).permutation(len(self))
        held = round(share * len(self))
        if not 0 < held < len(self):
            raise error("E562", f"{share} of the {len(self)} examples of {self.name} leaves nothing on one side")
        return self.taken(np.sort(order[held:])), self.taken(np.sort(order[:held]))

    def target_type(self, network: Graph) -> TensorType | None:
        """The type of a batch of targets, as `target_type` has it; None without a target."""
        return None if self.target is None else target_type(self.target, network, self.name)

    def fitted(self, network: Graph) -> Dataset:
        """The examples in the shapes of the network's inputs, where the elements are as many. Raises E548."""
        inputs = network.inputs
        if len(inputs) != len(self.inputs):
            raise error("E548", f"`{network.name}` takes {len(inputs)} inputs, but {self.name} has {len(self.inputs)}")
        arrays = [_shaped(x, v, self.name) for x, v in zip(self.inputs, inputs, strict=True)]
        return Dataset(tuple(arrays), self.target, self.name, self.labels)

    def steps(self, size: int) -> int:
        """How many batches of a size an epoch has; examples that fill no batch wait for another epoch."""
        if size < 1 or size > len(self):
            raise error("E548", f"{self.name} has {len(self)} examples, which makes no batch of {size}")
        return len(self) // size

    def epoch(self, size: int, seed: int, number: int, start: int = 0) -> Iterator[tuple[Array, ...]]:
        """The batches of an epoch from the `start`-th on, in an order that depends on the seed and the epoch alone."""
        order = np.random.default_rng([seed & 0xFFFFFFFF, number, 1]).permutation(len(self))
        for step in range(start, self.steps(size)):
            index = order[step * size : (step + 1) * size]
            yield tuple(a[index] for a in self.arrays)

    def parts(self, size: int) -> Iterator[tuple[Array, ...]]:
        """All examples in their order, by `size`; the last part may have fewer."""
        for start in range(0, len(self), size):
            yield tuple(a[start : start + size] for a in self.arrays)


class Batches(Protocol):
    """What a run learns from: a `Dataset`, or a `Stream` of batches."""

    def __len__(self) -> int:
        """How many there are, of examples or batches: the data of a run that is resumed have as many."""
        ...

    def steps(self, size: int) -> int:
        """The batches of an epoch, if they have `size` examples."""
        ...

    def epoch(self, size: int, seed: int, number: int, start: int = 0) -> Iterator[tuple[Array, ...]]:
        """The batches of an epoch from the `start`-th on: inputs, and the target if there is one."""
        ...


def target_type(target: Array, network: Graph, name: str) -> TensorType:
    """The type of a batch of targets: the first axis is the batch of the network's first input. Raises E562."""
    dtype = our_dtype(target.dtype)
    if dtype is None:
        raise error("E562", f"the targets of {name} are {target.dtype}, which is no dtype of the language")
    dtype = network.inputs[0].dtype if dtype.is_float and network.inputs[0].dtype.is_float else dtype
    return TensorType(dtype, (network.inputs[0].shape[0], *target.shape[1:]))


def check_labels(dataset: Dataset, network: Graph) -> None:
    """Raises E564 for a label that names none of the network's classes, and says which example has it."""
    target, output = dataset.target, network.outputs[0]
    classes = output.shape[-1] if output.rank else None
    if target is None or target.dtype.kind not in "iu" or not target.size or not isinstance(classes, int):
        return
    wrong = (target < 0) | (target >= classes)
    if not wrong.any():
        return
    place = int(wrong.reshape(-1).argmax())
    message = f"example {place // target[0].size} of {dataset.name} has the label {int(target.reshape(-1)[place])}"
    kinds = len(dataset.labels) or int(target.max()) + 1
    hint = f"a network of {kinds} classes is `--set NAME={kinds}`, if it has an argument for their number"
    raise error("E564", f"{message}, but the network tells {classes} classes apart, from 0 on", hint=hint)


def entropy(dataset: Dataset) -> float | None:
    """The cross-entropy, in nats, of who knows nothing but how often each class comes; None where targets are none."""
    target = dataset.target
    if target is None or target.dtype.kind not in "iu":
        return None
    counts = np.unique(target, return_counts=True)[1]
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def _shaped(array: Array, value: Any, name: str) -> Array:
    shape: Sequence[Any] = value.shape[1:]
    known = [size if isinstance(size, int) else -1 for size in shape]
    if array.shape[1:] == tuple(known) or -1 in known:
        return array
    if array[0].size != int(np.prod(known, dtype=np.int64)):
        found = list(array.shape[1:])
        raise error("E548", f"an example of {name} is {found}, but the input `{value.hint}` is {value.type}")
    return array.reshape(len(array), *known)
