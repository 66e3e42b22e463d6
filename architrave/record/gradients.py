"""Gradients of a loss by weights, averaged over batches: what saliencies and the growth of sparse weights go by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from architrave.backends.load import Program, compile
from architrave.ir.arrays import Array
from architrave.ir.autodiff import grad, hessian_products
from architrave.ir.graph import Graph
from architrave.ir.mode import specialize
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import error, printable
from architrave.record.recorder import silent


class Gradients:
    """The gradients of a loss by some weights, on batches of any sizes. It is compiled once.

    `loss` gives one number: what `Objective.attached` makes of a network. A batch counts by its examples.

        gradients = Gradients(Objective("cross_entropy").attached(network, target), ["head.weight"], "numpy")
        found = gradients.mean(weights, [(images, labels)])
    """

    def __init__(self, loss: Graph, paths: Sequence[str], backend: str = "torch", *, training: bool = False) -> None:
        """`paths` are those of weights; `training` says in which mode. Raises what `grad` does."""
        self.paths = tuple(paths)
        self.backend = backend
        self.loss = specialize(replace(loss, updates=()), training=training)
        known = {path_of(w): w for w in self.loss.weights}
        self.weights = [known[path] for path in paths]
        self.program: Program = compile(grad(self.loss, wrt=self.weights), backend)
        self._curved: Program | None = None

    def mean(
        self,
        weights: Mapping[str, Any],
        batches: Iterable[Sequence[Any]],
        progress: Callable[[int], object] = silent,
        key: tuple[int, int] = (0, 0),
    ) -> dict[str, Array]:
        """The mean gradient by each weight, in float64. Raises E912 for no batches, E911 for NaN or infinity."""
        return self._mean(self.program, weights, batches, (), progress, key)

    def products(
        self,
        weights: Mapping[str, Any],
        batches: Iterable[Sequence[Any]],
        directions: Mapping[str, Array],
        progress: Callable[[int], object] = silent,
    ) -> dict[str, Array]:
        """The mean Hessian by all these weights, times `directions`: for each weight `H v`. Raises what `mean` does."""
        if self._curved is None:
            self._curved = compile(hessian_products(self.loss, self.weights), self.backend)
        given = [np.asarray(directions[path]).astype(np.asarray(weights[path]).dtype) for path in self.paths]
        return self._mean(self._curved, weights, batches, given, progress, (0, 0))

    def _mean(
        self,
        program: Program,
        weights: Mapping[str, Any],
        batches: Iterable[Sequence[Any]],
        directions: Sequence[Array],
        progress: Callable[[int], object],
        key: tuple[int, int],
    ) -> dict[str, Array]:
        read = {path_of(w): weights[path_of(w)] for w in program.graph.weights}
        total, count = [np.zeros(np.shape(weights[path])) for path in self.paths], 0
        for batch in batches:
            examples = len(batch[0])
            found = program.run(read, *batch, *directions, key=key).outputs
            total = [t + examples * g.astype(np.float64) for t, g in zip(total, found, strict=True)]
            count += examples
            progress(examples)
        if not count:
            raise error("E912", "there are no examples to take gradients on", hint="give a batch or more")
        for path, gradient in zip(self.paths, total, strict=True):
            _check_finite(path, gradient)
        return {path: gradient / count for path, gradient in zip(self.paths, total, strict=True)}


def _check_finite(path: str, gradient: Array) -> None:
    wrong = np.count_nonzero(~np.isfinite(gradient))
    if wrong:
        what = f"the gradient by `{printable(path)}` is NaN or infinite in {wrong} of {gradient.size} places"
        raise error("E911", what, hint="look at the examples and the weights; wide ranges may need float64")
