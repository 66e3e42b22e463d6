"""The JAX backend: pure functions on nested dicts of arrays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from architrave.backends.base import Backend, Rules
from architrave.backends.functional.initial import DRAWS
from architrave.backends.functional.program import Framework, Program
from architrave.backends.generators import FRAMEWORK
from architrave.backends.jax.rules import rules
from architrave.backends.jax.writer import JAXWriter
from architrave.backends.prelude import Prelude
from architrave.ir.graph import Graph
from architrave.ir.memory import collector_paused
from architrave.ir.types import DType

if TYPE_CHECKING:
    from architrave.backends.runner import Runner

NOTES = """\
`init(seed)` gives `(params, state)`, nested dicts of arrays; `apply(params, state, ...)` runs the network, in the
precision of its params. Both are pure: `jax.jit(apply, static_argnames="training")`, `jax.grad` and `jax.vmap` work.
Integers are of 32 bits, as everywhere in JAX, unless `jax_enable_x64` is set."""

JAX_FRAMEWORK = Framework(
    title="JAX",
    module="jnp",
    imports=("import jax", "import jax.numpy as jnp", "import numpy as np"),
    dtypes={
        DType.BOOL: "bool",
        DType.U8: "jnp.uint8",
        DType.I8: "jnp.int8",
        DType.I16: "jnp.int16",
        DType.U32: "jnp.uint32",
        DType.I32: "jnp.int32",
        DType.I64: "int",  # 32 bits wide without `jax_enable_x64`, where JAX warns of the name int64
        DType.BF16: "jnp.bfloat16",
        DType.F16: "jnp.float16",
        DType.F32: "jnp.float32",
        DType.F64: "float",
        DType.C64: "jnp.complex64",
        DType.C128: "complex",
    },
    rules=rules,
    prelude=Prelude(Path(__file__).parent / "prelude", DRAWS),
    writer=JAXWriter,
    decorator='@jax.default_matmul_precision("highest")  # float32 products in full, on GPU and TPU too',
    asarray="jnp.asarray",
    notes=NOTES,
)


class JAX(Backend):
    """Programs that need JAX alone."""

    name: ClassVar[str] = "jax"
    rules: Rules = rules
    generators: ClassVar[dict[str, Rules]] = {"framework": FRAMEWORK}

    @collector_paused()
    def emit(self, graph: Graph) -> str:
        notes = JAX_FRAMEWORK.notes + self.about_random()
        return Program(graph, replace(JAX_FRAMEWORK, rules=self.rules, notes=notes)).write()

    def runner(self) -> Runner:
        from architrave.backends.jax.run import JAXRunner

        return JAXRunner()
