"""How the language applies each operator: by a function of its own, by an index, or as `op.NAME`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields
from typing import Any

from architrave.ir.dims import Size
from architrave.ir.graph import Node
from architrave.ir.notation import SizeText, attributes, is_default, literal
from architrave.ir.op import Op

SAME = frozenset(
    """
    abs acos acosh asin asinh atan atanh cast cbrt ceil celu cos cosh elu erf erfinv exp exp2 expm1 floor gelu glu
    hard_sigmoid hard_swish hard_tanh isfinite isinf isnan leaky_relu log log10 log1p log2 log_sigmoid log_softmax
    maximum minimum mish reciprocal relu relu6 round rsqrt selu sigmoid sign silu sin sinc sinh softmax softplus
    softsign sqrt square stop_gradient tan tanh trunc where
    """.split()  # noqa: SIM905 - a list of these would fill a page
)
"""Operators that the language has a function of the same name for, with the same arguments."""
REDUCTIONS = ("sum", "mean", "prod", "any", "all", "max", "min", "logsumexp", "var", "std")
"""Those whose `axes` the language calls `axis`."""


@dataclass(frozen=True)
class Form:
    """A function, and its arguments after the tensors, which are `listed` where it takes a list of them."""

    function: str
    arguments: tuple[str, ...] = ()
    listed: bool = False


def form(node: Node, shown: Collection[str], size: SizeText) -> Form:
    """How an operator is applied; the attributes in `shown` are written though they are the defaults."""
    op: Any = node.op
    special = _FORMS.get(op.name)
    found = special(op, _Writer(op, shown, size)) if special is not None else None
    if found is not None and (found.function != "concat" or len(node.operands) > 1):
        return found
    given = tuple(attributes(op, shown, size))
    return Form(op.name if op.name in SAME else f"op.{op.name}", given)


def subscripts(node: Node, size: Callable[[Size], str]) -> str | None:
    """`:, 1:3` for a slice that an index gives; None for one that it does not."""
    op: Any = node.op
    (x,) = node.operands
    each = list(zip(op.starts, op.stops, op.steps, x.shape, strict=True))
    if not each or any(not _is_indexed(*axis) for axis in each):
        return None
    texts = [
        (size(start) if start != 0 else "") + ":" + (size(stop) if stop != whole else "") + (f":{step}" * (step != 1))
        for start, stop, step, whole in each
    ]
    while texts and texts[-1] == ":":
        texts.pop()
    return ", ".join(texts) if texts else None


def _is_indexed(start: Size, stop: Size, step: int, whole: Size) -> bool:
    if step < 1 or (isinstance(start, int) and start < 0) or (isinstance(stop, int) and stop < 0):
        return False
    if isinstance(start, int) and isinstance(stop, int) and stop < start:
        return False
    return not isinstance(whole, int) or all(not isinstance(bound, int) or bound <= whole for bound in (start, stop))


@dataclass(frozen=True)
class _Writer:
    op: Op
    shown: Collection[str]
    size: SizeText

    def value(self, name: str) -> str:
        return literal(getattr(self.op, name), self.size)

    def named(self, *names: str) -> tuple[str, ...]:
        """The attributes of these names that are written, as `name = value`."""
        defaults = {f.name: f.default for f in fields(self.op)}  # type: ignore[arg-type]  # every operator is one
        written = (n for n in names if n in self.shown or not is_default(getattr(self.op, n), defaults[n]))
        return tuple(f"{n} = {self.value(n)}" for n in written)


_Special = Callable[[Any, _Writer], "Form | None"]


def _reduction(op: Any, w: _Writer) -> Form | None:
    if not _are_axes(op.axes or ()):
        return None
    rest = w.named(*(name for name in op.attributes if name != "axes"))
    return Form(op.name, (*_axis(op.axes, w), *rest))


def _axis(axes: Sequence[int] | None, w: _Writer) -> tuple[str, ...]:
    if axes is None:
        return ("axis = none",) if "axes" in w.shown else ()
    return (f"axis = {axes[0] if len(axes) == 1 else literal(tuple(axes))}",)


def _are_axes(axes: Sequence[Size]) -> bool:
    """Whether all of them count from the start, as functions of the language make them."""
    return all(isinstance(a, int) and a >= 0 for a in axes)


def _are_sizes(sizes: Sequence[Size]) -> bool:
    return all(not isinstance(s, int) or s >= 0 for s in sizes)


def _moved(op: Any, w: _Writer) -> Form | None:
    return Form(op.name, (w.value("axes"),)) if _are_axes(op.axes) else None


def _unit_axes(op: Any, w: _Writer) -> Form | None:
    if not op.axes or not _are_axes(op.axes) or list(op.axes) != sorted(op.axes):
        return None
    return Form(op.name, (str(op.axes[0]) if len(op.axes) == 1 else w.value("axes"),))


def _along(op: Any, w: _Writer) -> Form | None:
    return Form(op.name, (f"axis = {op.axis}",)) if op.axis >= 0 else None


def _joined(op: Any, w: _Writer) -> Form | None:
    return Form(op.name, (f"axis = {op.axis}",), listed=True) if op.axis >= 0 else None


def _padded(op: Any, w: _Writer) -> Form | None:
    if not all(_are_sizes(pair) for pair in op.widths):
        return None
    return Form("pad", (w.value("widths"), *w.named(*(n for n in op.attributes if n != "widths"))))


_FORMS: dict[str, _Special] = {
    **dict.fromkeys(REDUCTIONS, _reduction),
    "moments": lambda op, w: Form("moments", w.named("axes", "keep")) if op.axes and _are_axes(op.axes) else None,
    "reshape": lambda op, w: Form("reshape", (w.value("shape"),)),
    "expand": lambda op, w: Form("expand", (w.value("shape"),)) if _are_sizes(op.shape) else None,
    "transpose": _moved,
    **dict.fromkeys(("unsqueeze", "squeeze"), _unit_axes),
    **dict.fromkeys(("take", "gather", "cumsum", "cumprod"), _along),
    **dict.fromkeys(("concat", "stack"), _joined),
    "pad": _padded,
}
FUNCTIONS = SAME | _FORMS.keys()
"""What the text may call, and no variable is called for that reason."""
