"""How a network is factorized: by which method, and how far."""

from __future__ import annotations

from dataclasses import dataclass

from architrave.factorize.layers import By
from architrave.factorize.methods import METHODS
from architrave.factorize.spectra import Measure
from architrave.ir.source import error, nearest
from architrave.passes import Select


@dataclass(frozen=True)
class Plan:
    """How far layers are cut down: exactly one of `keep`, `error` and `energy` says so.

    With `keep`, a share of all parameters or multiply-adds is left, and the largest relative error of a layer is as
    small as it can be. With `error`, each layer has the smallest rank whose relative error, in the spectral norm where
    the method tells it, is at most that; with `energy`, the smallest that keeps such a share of the squared singular
    values. `only` selects the layers.
    """

    method: str = "alds"
    keep: float | None = None
    by: By = "parameters"
    error: float | None = None
    energy: float | None = None
    only: str = ""

    def check(self) -> None:
        """Raises E931 for what cannot be meant."""
        if self.method not in METHODS:
            hint = nearest(self.method, METHODS) or f"it is one of {', '.join(METHODS)}"
            raise error("E931", f"there is no method `{self.method}` to factorize by", hint=hint)
        given = {name: value for name in ("keep", "error", "energy") if (value := getattr(self, name)) is not None}
        if len(given) != 1:
            hint = "`keep` is a share of the network, `error` and `energy` are about each layer"
            raise error(
                "E931", "exactly one of `keep`, `error` and `energy` says how far layers are cut down", hint=hint
            )
        ((name, value),) = given.items()
        if not 0 <= value <= 1 or (value == 0 and name == "keep"):
            raise error("E931", f"`{name}` is a share from 0 to 1, not {value:g}", hint="0.5 is a half")
        if name != "keep" and not METHODS[self.method].measures:
            hint = f"give `keep`, the share that is left; or take another method than `{self.method}`"
            raise error("E931", f"what `{self.method}` loses is known when it is fitted, not before", hint=hint)

    @property
    def measure(self) -> Measure | None:
        """The error of a layer that decides; None for the share that it loses."""
        known = METHODS[self.method].measures
        return None if not known else "energy" if self.energy is not None else known[0]

    @property
    def level(self) -> float | None:
        """The error that each layer may have, where that is what is given."""
        return self.error if self.energy is None else (1.0 - self.energy) ** 0.5

    def selector(self) -> Select:
        """The layers to take apart."""
        return Select.parse(self.only) if self.only else Select()
