"""How a network is quantized: which passes, what chooses ranges, what rounds weights, and on how many examples."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from architrave.passes import Pipeline, Select
from architrave.passes.quantize.rounding.insert import Quantize
from architrave.quantize.methods import NEAREST
from architrave.quantize.observers import MinMax, Observer

FOLDING = "deploy"
LOWERING = "integer,hoist,clean"
PACKING = "weight-only,hoist,clean"


@dataclass(frozen=True)
class Plan:
    """How a network is quantized. The options of the pass `quantize` have its names; `least_error` is about weights.

    `migrate` is `smoothquant`, `awq` or nothing. `examples` are those that activations are observed on, `batch` of them
    at once. With a `budget` weights have from 2 to `bits` bits, and so many for each number on average.
    """

    bits: int = 8
    act: int = 8
    granularity: Literal["channel", "tensor"] = "channel"
    group: int = 0
    symmetric: bool = False
    functions: bool = False
    only: str = ""
    observer: Observer = field(default_factory=MinMax)
    least_error: bool = False
    power_of_two: bool = False
    method: str = NEAREST
    integer: bool = False
    reestimate: bool = False
    migrate: str = ""
    budget: float = 0.0
    examples: int = 64
    batch: int = 4
    backend: str = "torch"

    def folding(self) -> Pipeline:
        """What leaves out of the float network all that inference does not need."""
        return Pipeline.parse(FOLDING)

    def inserting(self) -> Pipeline:
        """What then puts quantizers into it."""
        only = Select.parse(self.only) if self.only else Select()
        step = Quantize(self.bits, self.act, self.granularity, self.group, self.symmetric, self.functions, only)
        return Pipeline((step,))

    def lowering(self) -> Pipeline:
        """What then leaves no floats where integers do; where activations are floats, weights alone are held in few."""
        if not self.integer:
            return Pipeline(())
        return Pipeline.parse(LOWERING if self.act else PACKING)

    @property
    def passes(self) -> str:
        """All passes as text."""
        return ",".join(map(str, (FOLDING, *self.inserting().passes, *self.lowering().passes)))
