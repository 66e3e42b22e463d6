"""The first values of weights: for each block a function that lists its weights, and `init`, which draws them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import architrave.ir
from architrave.backends.code import Code, call, literal, text_literal
from architrave.backends.definitions import Definition
from architrave.backends.functional.dtypes import NUMPY_DTYPES
from architrave.backends.functional.text import by_level, function, static, unmerged
from architrave.backends.functional.writer import path_code
from architrave.backends.hierarchy import Region
from architrave.backends.hierarchy.chains import position
from architrave.backends.merge import Merged, Template, merge, template
from architrave.backends.names import Names, function_name
from architrave.ir.graph import Graph, Value
from architrave.ir.initial import draw
from architrave.ir.ops.leaves import Param, State
from architrave.ir.types import DType

if TYPE_CHECKING:
    from architrave.backends.functional.program import Program


_IR = Path(architrave.ir.__file__).parent
DRAWS = (_IR / "draws.py", _IR / "threefry.py")
"""Programs draw with the compiler's own functions, copied."""
NUMBERS: dict[str, dict[str, float | None]] = {
    "full": {"value": None},
    "uniform": {"lo": None, "hi": None},
    "normal": {"std": None, "mean": 0.0},
    "trunc_normal": {"std": None},
    "orthogonal": {"gain": None},
    "identity": {},
    "stored": {"data": None},
}
"""The functions that draw, with the names and defaults of their numbers."""


@dataclass(frozen=True)
class Listing:
    """How the function that lists a region's weights is called: its name, and the numbers that it takes by name."""

    name: str
    arguments: tuple[tuple[str, str], ...] = ()


@dataclass
class Initial:
    """Writes those functions."""

    program: Program
    definitions: dict[Region, Definition]
    taken: Names
    listings: dict[Region, Listing] = field(default_factory=dict[Region, Listing])

    def functions(self, root: Region) -> list[str]:
        """The texts of the functions, `init` last."""
        parts: list[str] = []
        for level in by_level(self.definitions):
            groups: dict[tuple[object, ...], list[tuple[Definition, Template]]] = {}
            for definition in level:
                lines = list(self._lines(definition.region))
                if definition.region is not root and lines:
                    text = template("\n".join(lines))
                    groups.setdefault((definition.name, text.shape), []).append((definition, text))
            for group in groups.values():
                parts += self._merged(group)
        lines = list(self._lines(root))
        parts.append(
            function(
                "weights",
                (),
                "Every weight: its kind, path and shape, and what draws its first value.",
                lines or ["yield from ()"],
            )
        )
        parts.append(self._init())
        return parts

    def _merged(self, group: Sequence[tuple[Definition, Template]]) -> Iterator[str]:
        merged = merge([t for _, t in group], [static(d) for d, _ in group], self.program.names)
        if merged is not None:
            yield self._define([d for d, _ in group], merged)
            return
        for definition, text in group:
            yield self._define([definition], unmerged(text))

    def _define(self, definitions: Sequence[Definition], merged: Merged) -> str:
        name = self.taken.fresh(f"{function_name(definitions[0].name)}_weights")
        for definition, values in zip(definitions, merged.arguments, strict=True):
            listing = Listing(name, tuple(zip(merged.parameters, values, strict=True)))
            self.listings.update(dict.fromkeys(definition.members, listing))
        return function(name, ("path", *merged.parameters), None, merged.text({}).split("\n"))

    def _lines(self, region: Region) -> Iterator[str]:
        """A statement for each weight of a region and each region inside it."""
        inner: dict[str, Region] = {}
        for part in region.regions():
            if part in self.listings and part.path not in inner:
                inner[part.path] = part
        for weight in region.weights:
            yield from self._weight(weight, region)
        for run in _runs(list(inner.values()), self.listings):
            listing = self.listings[run[0]]
            options = "".join(f", {name}={value}" for name, value in listing.arguments)
            if len(run) == 1:
                yield f"yield from {listing.name}({_path(region, run[0].path)}{options})"
                continue
            head, first = position(run[0].path) or ("", 0)
            last = first + len(run)
            yield f"for i in range({f'{first}, {last}' if first else last}):"
            yield f"    yield from {listing.name}({_path(region, head, 'i')}{options})"

    def _weight(self, weight: Value, region: Region) -> Iterator[str]:
        op = weight.op
        if not isinstance(op, Param | State):
            raise TypeError(f"{op.name} is no weight")
        shape = tuple(size for size in op.type.shape if isinstance(size, int))
        kind, numbers = ("stored", (_stored(op.initial),)) if isinstance(op.initial, Graph) else draw(op.initial, shape)
        named = [(name, n) for (name, default), n in zip(NUMBERS[kind].items(), numbers, strict=True) if n != default]
        row = [
            text_literal("state" if isinstance(op, State) else "param"),
            str(_path(region, op.path)),
            str(literal(shape)),
            _partial(self.program.use(kind), named),
        ]
        if op.type.dtype is not DType.FLOAT:
            row.append(NUMPY_DTYPES[op.type.dtype])
        yield f"yield {', '.join(row)}"

    def _init(self) -> str:
        self.program.use("nested")
        doc = (
            "The first params and states: nested dicts by the segments of the weights' paths. One seed, the same bits."
        )
        wrap = self.program.framework.asarray
        made = "draw(seed, path, shape, np.dtype(*own or (dtype,)))"
        made = made if wrap == "np.asarray" else f"{wrap}({made})"
        lines = [
            'found = {"param": {}, "state": {}}',
            "for kind, path, shape, draw, *own in weights():",
            f"    found[kind][path] = {made}",
            'return nested(found["param"]), nested(found["state"])',
        ]
        return function("init", ("seed=0", "dtype=np.float32"), doc, lines)


def _runs(regions: Sequence[Region], listings: dict[Region, Listing]) -> Iterator[list[Region]]:
    """Regions one after the other that are elements of a list and are listed alike."""
    numbered = [(r, position(r.path)) for r in regions]
    keys = [(p[0], p[1] - i, listings[r]) if p else (i, 0, listings[r]) for i, (r, p) in enumerate(numbered)]
    for _, run in groupby(zip(regions, keys, strict=True), lambda item: item[1]):
        yield [region for region, _ in run]


def _path(region: Region, path: str, index: str = "") -> Code:
    """A path as seen from the function of a region, which knows its own as `path`."""
    return path_code(region.relative(path), index, "" if region.parent is None else "path")


def _partial(name: str, numbers: Sequence[tuple[str, object]]) -> str:
    """What draws a weight: a function, with the numbers that it takes."""
    return str(call("partial", name, **{n: literal(v) for n, v in numbers})) if numbers else name


def _stored(graph: Graph) -> str:
    """What a graph of constants computes, as text."""
    from architrave.ir.interpret import interpret

    value = interpret(graph).outputs[0]
    return base64.b64encode(value.astype("<f8").tobytes()).decode("ascii")
