"""Training a mixture: in turn its weights by one batch, and how much its alternatives weigh by another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from architrave.ir.arrays import Array
from architrave.ir.types import TensorType
from architrave.passes.search.weighed import Weighed
from architrave.train import Group, Recipe, Schedule, Trainer

OUTER = "outer"
"""What the paths begin with of what is remembered of the alternatives' weights."""


class Differentiable:
    """Descent by turns, to first order: Liu, Simonyan and Yang, "DARTS: Differentiable Architecture Search" (2019).

    What weighs alternatives learns from examples that the weights do not learn from. Running statistics are those of
    the examples of the weights.
    """

    def __init__(
        self,
        supernet: Weighed,
        recipe: Recipe,
        schedule: Schedule,
        search: Recipe,
        search_schedule: Schedule,
        target: TensorType | None = None,
        *,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int = 0,
        weights: Mapping[str, Any] | None = None,
    ) -> None:
        """`recipe` and `schedule` are those of the weights, `search` and its schedule those of what weighs.

        Raises what a `Trainer` does.
        """
        self.supernet = supernet
        frozen = tuple(Group(path, 0.0, 0.0) for path in supernet.alphas)
        learning = tuple(Group(path) for path in supernet.alphas)
        rest = Group("*", 0.0, 0.0)
        recipes = (
            (replace(recipe, groups=(*frozen, *recipe.groups)), schedule),
            (replace(search, groups=(*learning, rest)), search_schedule),
        )
        self.inner, self.outer = (
            Trainer(supernet.graph, each, rate, target, backend=backend, dtype=dtype, seed=seed, weights=weights)
            for each, rate in recipes
        )

    def train(self, batch: Sequence[Any], held: Sequence[Any]) -> tuple[float, float]:
        """Let what weighs learn from `held`, and then the weights from `batch`. Gives both losses before.

        Each is the inputs and, where there is a loss, the target. Raises what a `Trainer` does.
        """
        self.outer.assign({path: w for path, w in self.inner.weights().items() if path not in self.supernet.alphas})
        found = self.outer.train(*held)
        weights = self.outer.weights()
        self.inner.assign({path: weights[path] for path in self.supernet.alphas})
        return self.inner.train(*batch), found

    def weights(self) -> dict[str, Array]:
        """The weights of the supernet, by path."""
        return self.inner.weights()

    @property
    def steps(self) -> int:
        """The batches that the weights have seen."""
        return self.inner.steps

    @property
    def rate(self) -> float:
        """The learning rate of the next update of the weights."""
        return self.inner.rate

    def states(self) -> dict[str, Array]:
        """All that both sides need to go on later, by path."""
        return {**self.inner.states(), **{f"{OUTER}.{path}": w for path, w in self.outer.states().items()}}

    def restore(self, states: Mapping[str, Any], steps: int) -> None:
        """Go on from states that `states` gave after so many batches. Raises E502 to E505."""
        outer = {path.removeprefix(f"{OUTER}."): w for path, w in states.items() if path.startswith(f"{OUTER}.")}
        self.outer.restore(outer, steps)
        self.inner.restore({path: w for path, w in states.items() if not path.startswith(f"{OUTER}.")}, steps)

    def assign(self, states: Mapping[str, Any]) -> None:
        """Give some states of the supernet other values: the temperature, for one."""
        self.inner.assign(states)
        self.outer.assign({path: value for path, value in states.items() if path in self.supernet.alphas})

    def derived(self) -> dict[str, str]:
        """The member that takes what weighs most."""
        return self.supernet.derived(self.weights())
