"""Values against declared types: arguments bind the dimensions that they meet, results are checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from architrave.dsl import syntax
from architrave.dsl.elaborate.core import Frame, is_callable
from architrave.dsl.elaborate.kinds import is_list, is_number, is_tuple
from architrave.dsl.elaborate.shapes import dimension_size, dtype_of, is_bound
from architrave.dsl.elaborate.values import describe
from architrave.ir.blame import origin
from architrave.ir.dims import Dim, Size
from architrave.ir.graph import Value
from architrave.ir.source import ArchitraveError, Note, Span, error, nearest
from architrave.ir.types import shape_text


@dataclass(frozen=True, slots=True)
class Match:
    """A value that is to fit a declared type. `name` is what errors call it, `span` where it was given;
    `code` and `wrong_shape` are the codes of errors; `siblings` are the parameters declared with it.
    """

    name: str
    span: Span
    frame: Frame
    siblings: Sequence[syntax.Parameter] = ()
    code: str = "E241"
    wrong_shape: str = "E242"

    def fit(self, pattern: syntax.Type | None, value: Any) -> None:
        """Check a tensor, or a tuple of them, and bind the dimensions that its type names."""
        match pattern:
            case syntax.TupleType(items):
                if not is_tuple(value) or len(value) != len(items):
                    what = f"{self.name} must be a tuple {pattern.span.text}, not {describe(value)}"
                    raise error(self.code, what, self.span, notes=[self._declared(pattern)])
                for item, part in zip(items, value, strict=True):
                    self.fit(item, part)
            case syntax.TensorType():
                self._tensor(pattern, value)
            case syntax.NamedType(name):
                check_static(name, value, self.name, self.span)
            case None:
                pass

    def _tensor(self, pattern: syntax.TensorType, value: Any) -> None:
        if not isinstance(value, Value):
            hint = _tensor_hint(value)
            what = f"{self.name} must be a tensor {pattern.span.text}, not {describe(value)}"
            raise error(self.code, what, self.span, notes=[self._declared(pattern)], hint=hint)
        self._dtype(pattern, value)
        before, pack, after = _split(pattern)
        rank, shape = len(before) + len(after), value.shape
        if value.rank < rank or (pack is None and value.rank != rank):
            least = "at least " if pack is not None else ""
            axes = "1 dimension" if rank == 1 else f"{rank} dimensions"
            raise self._mismatch(pattern, value, f"it must have {least}{axes} and has {value.rank}")
        for axis, dimension in enumerate(before):
            self._dimension(pattern, value, dimension, axis)
        if pack is not None and pack.name.text != "_":
            self._pack(pattern, value, pack, list(shape[len(before) : len(shape) - len(after)]))
        for axis, dimension in enumerate(after, len(shape) - len(after)):
            self._dimension(pattern, value, dimension, axis)

    def _dtype(self, pattern: syntax.TensorType, value: Value) -> None:
        dtype = dtype_of(pattern)
        if dtype is value.dtype or (pattern.dtype is None and value.dtype.is_float):
            return
        wanted = "a float tensor" if pattern.dtype is None else f"a tensor of {dtype}"
        hint = f"`cast(x, {dtype})` converts, or give the model's input that dtype"
        what = f"{self.name} must be {wanted}, not {value.type}"
        raise error(self.code, what, self.span, notes=self._notes(pattern, value), hint=hint)

    def _dimension(self, pattern: syntax.TensorType, value: Value, dimension: syntax.Dimension, axis: int) -> None:
        size, scope = value.shape[axis], self.frame.scope
        match dimension:
            case syntax.AnyDimension():
                return
            case syntax.Name(text) if not is_bound(text, self.frame):
                scope[text] = size
                return
            case _:
                wanted = dimension_size(dimension, self.frame)
        if wanted != size:
            written = dimension.span.text
            meaning = "" if written == str(wanted) else f" (`{written}`)"
            why = f"axis {axis} must be {wanted}{meaning} and is {size}"
            raise self._mismatch(pattern, value, why, self._bound(dimension, wanted))

    def _pack(self, pattern: syntax.TensorType, value: Value, pack: syntax.Pack, sizes: list[Size]) -> None:
        known = self.frame.scope.setdefault(pack.name.text, sizes)
        if is_list(known) and list(known) == sizes:
            return
        shown = shape_text(known) if is_list(known) else describe(known)
        why = f"`*{pack.name.text}` is {shown} already and {shape_text(sizes)} here"
        raise self._mismatch(pattern, value, why, self._bound(pack.name, None))

    def _mismatch(
        self, pattern: syntax.TensorType, value: Value, why: str, bound: Sequence[Note] = ()
    ) -> ArchitraveError:
        what = f"{self.name} has the wrong shape {value.type}: {why}"
        return error(self.wrong_shape, what, self.span, notes=[*self._notes(pattern, value), *bound])

    def _notes(self, pattern: syntax.Type, value: Value) -> list[Note]:
        came_from = origin(value, self.frame.place.parent if self.siblings else self.frame.place)
        notes = [self._declared(pattern)]
        return [*notes, Note(f"the tensor {value.type} comes from here", came_from)] if came_from else notes

    def _declared(self, pattern: syntax.Type) -> Note:
        return Note(f"{self.name} is declared as {pattern.span.text}", pattern.span)

    def _bound(self, dimension: syntax.Dimension | syntax.Identifier, size: Size | None) -> list[Note]:
        """Where another parameter's type bound a dimension that does not fit."""
        name = getattr(dimension, "text", None)
        for parameter in self.siblings:
            for found in _dimensions(parameter.type):
                if name is not None and found.span is not dimension.span and getattr(found, "text", None) == name:
                    meaning = "" if size is None else f", as {size}"
                    return [Note(f"`{name}` is bound here{meaning}", found.span)]
        return []


def _dimensions(pattern: syntax.Type | None) -> Iterator[Any]:
    match pattern:
        case syntax.TensorType(_, dimensions):
            yield from (d.name if isinstance(d, syntax.Pack) else d for d in dimensions)
        case syntax.TupleType(items):
            for item in items:
                yield from _dimensions(item)
        case _:
            pass


def _split(
    pattern: syntax.TensorType,
) -> tuple[Sequence[syntax.Dimension], syntax.Pack | None, Sequence[syntax.Dimension]]:
    for index, dimension in enumerate(pattern.dimensions):
        if isinstance(dimension, syntax.Pack):
            return pattern.dimensions[:index], dimension, pattern.dimensions[index + 1 :]
    return pattern.dimensions, None, ()


def _tensor_hint(value: Any) -> str | None:
    if is_callable(value):
        return "apply it first: `f(x)`, or `x -> f`"
    return "`full([], v)` makes a tensor of a number" if is_number(value) else None


def check_result(pattern: syntax.Type | None, value: Any, span: Span, frame: Frame) -> None:
    """Check what a fn or block returns against its declared result; new names bind what they meet."""
    if pattern is not None:
        Match("the result", span, frame, code="E248", wrong_shape="E248").fit(pattern, value)


STATIC_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,), "float": (int, float), "bool": (bool,), "str": (str,), "list": (list, tuple, range),
}  # fmt: skip


def check_static(type_name: syntax.Identifier, value: Any, what: str, span: Span) -> None:
    """Check a static value against `int`, `float`, `bool`, `str`, `list`, `fn` or `block`. Raises E249."""
    wanted = type_name.text
    if wanted in ("fn", "block"):
        fits = is_callable(value)
    elif wanted not in STATIC_TYPES:
        known = [*STATIC_TYPES, "fn", "block"]
        raise error(
            "E240",
            f"there is no type `{wanted}`",
            type_name.span,
            hint=nearest(wanted, known) or f"one of {', '.join(known)}",
        )
    else:
        fits = isinstance(value, STATIC_TYPES[wanted]) and (wanted == "bool") >= isinstance(value, bool)
        fits = fits or (
            wanted == "int" and (isinstance(value, Dim) or (isinstance(value, float) and value.is_integer()))
        )
    if not fits:
        hint = "`//` rounds down, `int(v)` cuts off" if wanted == "int" and isinstance(value, float) else None
        raise error("E249", f"{what} must be {_article(wanted)}, not {describe(value)}", span, hint=hint)


def _article(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} `{word}`"
