"""What a search is asked to do, in plain data, so that another process can do a part of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast


@dataclass(frozen=True)
class Settings:
    """A search of the members of a model.

    Members are trained on `data` for `epochs` where an objective asks for it, or have the weights that they inherit
    from a `supernet`: the file of one that was trained of this model. Costs are counted by the `sizes` of symbolic
    dimensions, 1 where none is given.
    """

    model: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    objectives: tuple[str, ...] = ("accuracy",)
    strategy: str = "evolution"
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Arguments of the strategy."""
    pruner: str = "none"
    trials: int = 50
    seed: int = 0
    storage: str | None = None
    study: str | None = None
    """The name of the search in its storage: by default, that of the model."""
    data: str | None = None
    held_out: float = 0.2
    epochs: int = 3
    batch: int = 32
    rate: float = 1e-3
    optimizer: str = "adamw"
    backend: str = "torch"
    supernet: str | None = None
    sizes: Mapping[str, int] = field(default_factory=dict[str, int])

    def conditions(self) -> dict[str, Any]:
        """What must be the same for two trials to be compared: as JSON holds it."""
        training = {name: getattr(self, name) for name in ("held_out", "epochs", "batch", "rate", "optimizer")}
        about = {"data": self.data, **training, "seed": self.seed, "backend": self.backend, "pruner": self.pruner}
        found = {**about, "objectives": self.objectives, "sizes": self.sizes, "arguments": self.arguments}
        return cast("dict[str, Any]", json.loads(json.dumps(found, default=dict)))
