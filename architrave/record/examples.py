"""The examples that a network is observed by."""

from __future__ import annotations

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.bind import sizes_of
from architrave.ir.graph import Graph
from architrave.ir.source import ArchitraveError, error, printable
from architrave.train.data import Dataset


def check_examples(network: Graph, data: Dataset) -> None:
    """Raises E915 for examples that do not fit a network, or are all one number: no range follows from these."""
    named = printable(data.name)
    try:
        sizes_of(network, [x.shape for x in data.inputs])
    except ArchitraveError as problem:
        what = f"the examples of {named} do not fit `{network.name}`: {problem.diagnostics[0].message}"
        raise error("E915", what, hint="give examples as the network takes them") from None
    firsts = [x.reshape(-1)[:1] for x in data.inputs]
    if all(bool(np.all(x == first)) for x, first in zip(data.inputs, firsts, strict=True)):
        hint = "give examples such as the network will see"
        raise error("E915", f"all numbers of {named} are the same: no range follows from them", hint=hint)


def drawn(data: Dataset, count: int) -> Dataset:
    """Some of the examples, drawn at random, the same each time, in their order."""
    order = np.random.default_rng([0, len(data)]).permutation(len(data))[:count]
    return data.taken(np.sort(order))


def drawn_batches(data: Dataset, count: int, batch: int) -> list[tuple[Array, ...]]:
    """The inputs of some of the examples; a batch has `batch` of them."""
    taken = drawn(data, count)
    return [arrays[: len(taken.inputs)] for arrays in taken.parts(batch)]
