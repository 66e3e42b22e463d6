"""What an operator is, and the registry of all of them.

An operator is a class. Its annotated fields are its attributes, the parameters of `infer` its operands.
Defining the class registers it; nothing else needs to know of it (see docs/architecture.md).
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, dataclass_transform

from architrave.ir import arrays
from architrave.ir.dims import Size
from architrave.ir.source import error, nearest
from architrave.ir.types import DType, TensorType

if TYPE_CHECKING:
    import numpy as np

    from architrave.ir.axes.axis import Axes
    from architrave.ir.axes.relations import Relations
    from architrave.ir.axes.rest import Cut
    from architrave.ir.graph import Value

Values: TypeAlias = "tuple[Value, ...]"
Gradients: TypeAlias = "Sequence[Value | None]"
Related: TypeAlias = "tuple[Axes, ...]"

OPS: dict[str, type[Op]] = {}
"""Every operator by its name in the language, in the order of definition."""


@dataclass(frozen=True)
class Sample:
    """One use of an operator, for the tests of every backend.

    `inputs` are the operands: types, of which random values are drawn (`ir.arrays.draw`), or NumPy arrays
    where the values matter; their float64 stands for FLOAT. `attributes` are the operator's. `error` is the
    code of the error that a sample which must be rejected raises.
    """

    inputs: tuple[TensorType | np.ndarray[Any, Any], ...]
    attributes: dict[str, Any]
    high: int = 4
    error: str | None = None

    @property
    def types(self) -> tuple[TensorType, ...]:
        """The operands' types."""
        return tuple(x if isinstance(x, TensorType) else TensorType(arrays.dtype_of(x), x.shape) for x in self.inputs)

    def draw(self, seed: int = 0) -> tuple[np.ndarray[Any, Any], ...]:
        """Values for the operands, the same for one seed."""
        rng = arrays.np.random.default_rng(seed)
        return tuple(arrays.draw(x, rng, self.high) if isinstance(x, TensorType) else x for x in self.inputs)


def sample(*inputs: Any, high: int = 4, error: str | None = None, **attributes: Any) -> Sample:
    """A `Sample`; a list of sizes stands for a float tensor of that shape, `typed` makes other types."""
    return Sample(tuple(map(_operand, inputs)), attributes, high, error)


def _operand(given: Any) -> TensorType | np.ndarray[Any, Any]:
    return typed(DType.FLOAT, *given) if isinstance(given, list) else given  # pyright: ignore[reportUnknownArgumentType]


def typed(dtype: DType, *shape: Size) -> TensorType:
    """The type of an operand of a sample: `typed(DType.I64, 2, 3)`."""
    return TensorType(dtype, shape)


@dataclass(frozen=True)
class Operand:
    """A tensor parameter of an operator."""

    name: str
    optional: bool = False
    variadic: bool = False


def _no_reference(op: Op, *operands: np.ndarray[Any, Any]) -> Any:
    raise NotImplementedError(f"{op.name} is composite: it has `expand`")


def _no_expansion(op: Op, *operands: Value) -> Value | tuple[Value, ...]:
    raise NotImplementedError(f"{op.name} is primitive: it has `reference`")


def _no_gradient(self: Op, operands: Values, results: Values, cotangents: Values) -> Gradients:
    raise NotImplementedError(f"{self.name} has no `gradient`")


def _by_expansion(self: Op, relations: Relations, *operands: Axes) -> Related:
    """What follows from the expansion of a composite; for a leaf new axes; otherwise nothing may change."""
    if not operands:
        return tuple(relations.new(i) for i in range(len(relations.results)))
    return relations.expanded(operands) if self.is_composite() else relations.opaque(operands)


def without_gradient(self: Op, operands: Values, results: Values, cotangents: Values) -> Gradients:
    """The `gradient` of an operator that is constant wherever it has a slope, or whose results are no floats."""
    return (None,) * len(operands)


def elementwise(self: Op, relations: Relations, *operands: Axes) -> Related:
    """The `relate` of an operator with one result that is computed element by element, of operands that broadcast."""
    return (relations.broadcast(*operands),)


def opaque(self: Op, relations: Relations, *operands: Axes) -> Related:
    """The `relate` of an operator whose operands and results may not change along any axis."""
    return relations.opaque(operands)


@dataclass_transform(frozen_default=True)
class Op:
    """Base of all operators. Subclasses are frozen dataclasses and register under their snake-case name.

    Define `infer`; and either `reference` and `gradient` (a primitive) or `expand` (a composite, which may
    have a `gradient` that is cheaper than that of its expansion).
    """

    name: ClassVar[str]
    operands: ClassVar[tuple[Operand, ...]]
    attributes: ClassVar[tuple[str, ...]]
    graph_attributes: ClassVar[tuple[str, ...]]
    """The attributes that may hold sub-graphs; most operators have none."""
    unsampled: ClassVar[str | None] = None
    """Why there are no samples, of an operator that has none."""
    presumes: ClassVar[str | None] = None
    """What operands must be beyond their types, where the result is left open otherwise. Its samples are such."""
    surrogate: ClassVar[str | None] = None
    """What its gradient stands for, of an operator whose gradient is not its derivative."""
    not_in_bf16: ClassVar[str | None] = None
    """Why it is not computed in bf16, of an operator that is not."""
    vanishes: ClassVar[Literal["never", "sum", "product", "linear"]] = "never"
    """Where its result is zero: element by element where all operands are, or where one is; or, by whole
    coordinates of axes, where all operands are. Composites need not say it."""
    infer: ClassVar[Callable[..., TensorType | tuple[TensorType, ...]]]
    """Types of the operands -> type of the result, or a tuple of them. Raises E3xx errors without a span."""

    def __init_subclass__(cls, *, register: bool = True, name: str | None = None) -> None:
        super().__init_subclass__()
        dataclass(frozen=True)(cls)
        if not register:
            return
        cls.name = name or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        cls.operands = _operands(cls)
        fields = dataclasses.fields(cls)  # type: ignore[arg-type]  # made a dataclass above
        cls.attributes = tuple(f.name for f in fields)
        cls.graph_attributes = tuple(f.name for f in fields if "Graph" in str(f.type))
        OPS[cls.name] = cls

    reference: ClassVar[Callable[..., Any]] = _no_reference
    """The meaning of a primitive: NumPy arrays in, an array or a tuple of arrays out. Floats arrive as float64.

    It runs inside `np.errstate(all="ignore")`, with every size in the attributes bound.
    """
    expand: ClassVar[Callable[..., Value | tuple[Value, ...]]] = _no_expansion
    """A composite in terms of other operators: values in, a value or a tuple of values out."""
    relate: ClassVar[Callable[..., Related]] = _by_expansion
    """For each result its axes, made of those of the operands: `(relations, *axes of operands)`.

    `relations` is told what else must hold. A composite has this from its expansion and need not define it, unless
    that hides something (a mean divides by a size).
    """
    gradient: ClassVar[Callable[..., Gradients]] = _no_gradient
    """What flows back: `(operands, results, cotangents)` -> for each operand a value, or None where nothing flows.

    There is a cotangent for each result, zeros where nothing came back to it. A gradient may have the shape to
    which its operand was broadcast, and a dtype of its own: `autodiff.fit.fitted` sums and casts it.
    """

    def cut(self, cut: Cut) -> Op:
        """The operator for what is left of its operands, to give what is left of its results.

        Operators whose attributes hold sizes of axes that can be cut define it.
        """
        return self

    def multiply_adds(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Size:
        """Multiply-accumulate operations of one application; 0 for what is not a contraction."""
        return 0

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Uses that drive every test of this operator: good ones, and ones that must be rejected."""
        return iter(())

    @classmethod
    def is_composite(cls) -> bool:
        return cls.expand is not _no_expansion

    @classmethod
    def is_primitive(cls) -> bool:
        return cls.reference is not _no_reference

    @classmethod
    def has_gradient(cls) -> bool:
        """Whether it defines `gradient` itself, if only to say that there is none."""
        return cls.gradient is not _no_gradient


def lookup(name: str) -> type[Op]:
    """The operator called `name`. Raises E210 with the nearest name where there is none."""
    found = OPS.get(name)
    if found is None:
        raise error("E210", f"there is no operator `{name}`", hint=nearest(name, OPS))
    return found


def _operands(cls: type[Op]) -> tuple[Operand, ...]:
    infer = cls.__dict__.get("infer") or getattr(cls, "infer", None)
    if infer is None:
        raise TypeError(f"{cls.__name__} has no `infer`")
    parameters = list(inspect.signature(infer).parameters.values())[1:]
    return tuple(
        Operand(p.name, optional=p.default is None, variadic=p.kind is inspect.Parameter.VAR_POSITIONAL)
        for p in parameters
    )
