"""Writes the body of one function of a NumPy or JAX program.

A block is a function of `p`, the nested dict of its params, and `s`, that of its states. `apply` hands a copy of the
states down, into which training writes their new values: seen from outside, nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from architrave.backends.code import ATOM, TUPLE, Code, call, method, text_literal
from architrave.backends.flow import FlowWriter
from architrave.backends.hierarchy import Chain, Region
from architrave.backends.names import Names
from architrave.backends.scope import Held
from architrave.ir.dims import Size
from architrave.ir.graph import Node, Value
from architrave.ir.ops.control import Mode
from architrave.ir.ops.leaves import Constant, State, path_of
from architrave.ir.ops.random import RunKey
from architrave.ir.source import Span
from architrave.ir.types import DType

if TYPE_CHECKING:
    from architrave.backends.functional.program import Program


class FunctionWriter(FlowWriter):
    """The body of one function."""

    training = "training"

    def __init__(self, region: Region, program: Program, names: Names) -> None:
        super().__init__(region, program.rules, names)
        self.program = program
        self.is_root = region is program.root
        self.holders = ("params", "state") if self.is_root else ("p", "s")
        self.needed: dict[str, None] = {}
        """What the function takes beside tensors: `p`, `s` and `training`, as they are first needed."""

    def function(self) -> list[str]:
        """The statements of the body, sizes first and the results last."""
        self.body(self.region)
        results = self.region.results or tuple(self.region.outputs)
        if self.region.updates:
            for value in results:
                self.bind(value)
        self.finish(self.region)
        held = self.composed(results, lambda codes: Code(", ".join(map(str, codes)), TUPLE if len(codes) > 1 else ATOM))
        span = self.operand(results[0]).span if len(results) == 1 else None
        if self.is_root:
            self._return(held, "y" if len(results) == 1 else "outputs", span)
        else:
            self.write(f"return {held.code}", span)
        return [*self.prologue(), *self.lines]

    def _return(self, held: Held, wanted: str, span: Span | None) -> None:
        """Return what the network gives, with the new states where the mode may change them."""
        name = held.code.text
        if not name.isidentifier():
            name = self.variables.pick(wanted)
            self.write(f"{name} = {held.code}", span)
        always = self.program.stateful
        self.write(f"return {name}, state" if always else f"return ({name}, state) if training else {name}")

    # What the base asks for.

    def weight(self, value: Value) -> Code:
        holder = self.holders[isinstance(value.op, State)]
        self.needed[holder] = None
        return Code(holder + _keys(self.region.relative(path_of(value))))

    def leaf(self, value: Value) -> Code:
        if isinstance(value.op, Constant):
            name = self.program.constant(value.op)
            open_ = value.dtype in (DType.FLOAT, DType.COMPLEX)
            return self.stored(Code(name), self.dtype(value.dtype) if open_ else None)
        if not isinstance(value.op, RunKey) or not self.is_root:
            raise AssertionError(f"{value} is used before it is computed")
        self.program.needs_key = True
        return Code("key")

    def stored(self, constant: Code, dtype: str | None) -> Code:
        """A stored array, which is NumPy's, as an array of the framework: in its own dtype or in another."""
        return constant if dtype is None else method(constant, "astype", dtype)

    def dtype(self, dtype: DType) -> str:
        if dtype is DType.COMPLEX:
            module = self.program.framework.module
            return f"{module}.result_type({self.anchor()}, {module}.complex64)"
        return self.program.framework.dtypes[dtype] if dtype is not DType.FLOAT else f"{self.anchor()}.dtype"

    def use(self, name: str) -> str:
        return self.program.use(name)

    def path(self, path: str, index: str = "") -> Code:
        """Below the root, functions that need to know where they stand take it as `path`."""
        inside = self.region.relative(path)
        if not self.is_root:
            self.needed["path"] = None
        return path_code(inside, index, "" if self.is_root else "path")

    def application(self, region: Region, arguments: tuple[Code, ...]) -> Code:
        return self._call(region, region.path, "", arguments)

    def _call(self, region: Region, path: str, index: str, arguments: Iterable[Code | str]) -> Code:
        """The application of a region, which is element `index` of the list at `path` where an index is given."""
        rendered = self.program.rendered[region]
        keys = _keys(self.region.relative(path)) + (f"[str({index})]" if index else "")
        held = {part: holder for part, holder in zip("ps", self.holders, strict=True) if part in rendered.needed}
        trees = [f"{holder}{keys}" for holder in held.values()]
        mode = [self.training] if "training" in rendered.needed else []
        self.needed |= dict.fromkeys([*held.values(), *mode])
        where = [self.path(path, index)] if "path" in rendered.needed else []
        extra = [self.anchor() if size is None else str(self.size(size)) for size in rendered.missing]
        return call(rendered.name, *trees, *arguments, *extra, *where, *mode, **dict(rendered.arguments))

    def control(self, node: Node, bodies: tuple[Region, ...]) -> None:
        if isinstance(node.op, Mode):
            self.needed[self.training] = None
        super().control(node, bodies)

    # Loops over blocks.

    def chain(self, chain: Chain) -> None:
        runs = [list(run) for _, run in groupby(chain.regions, self.program.rendered.__getitem__)]
        first = chain.first
        for number, run in enumerate(runs):
            if number < len(runs) - 1:
                for value in run[-1].outputs:
                    self.count(value, 1)
            if len(run) == 1:
                self.apply(run[0])
            else:
                self._loop(run, chain, first)
            first += len(run)

    def _loop(self, run: Sequence[Region], chain: Chain, first: int) -> None:
        """`for i in range(3): x = block(p["layer"][str(i)], x, mask)`."""
        inputs, outputs = tuple(run[0].inputs), tuple(run[-1].outputs)
        span = run[0].place.span if run[0].place is not None else None
        kept = {i: self.bind(v) for i, v in enumerate(inputs) if i not in chain.fed}
        names = self.start([inputs[i] for i in chain.fed], outputs, span)
        index = self.variables.pick("i")
        last = first + len(run)
        self.write(f"for {index} in range({f'{first}, {last}' if first else last}):", span)
        arguments = [kept[i].code.text if i in kept else names[chain.fed.index(i)] for i in range(len(inputs))]
        with self.indented():
            self.write(f"{', '.join(names)} = {self._call(run[0], chain.path, index, arguments)}", span)
        self.variables.holders[index] = None
        for held in kept.values():
            self.variables.release(held.mentions)
        for name, value in zip(names, outputs, strict=True):
            self.hold(name, value)

    # Loops over steps.

    def custom_gradient(self, node: Node, bodies: tuple[Region, ...]) -> None:
        """Without gradients it is the function itself, in place."""
        forward = bodies[0]
        self.prepare(forward)
        for inner, value in zip(forward.inputs, node.operands, strict=True):
            # What the function takes once it may use twice: a variable must not be free in between.
            self._use_anew(value, self.uses(inner) - 1)
            self.values[inner] = self.bind(value)
        self.body(forward)
        for outer, inner in zip(node.outputs, forward.results, strict=True):
            self.count(inner, self.uses(inner) + self.uses(outer))
            self.values[outer] = self.bind(inner)

    def unstacked(self, sequences: Sequence[Code], axis: int, reverse: bool) -> str:
        moved = [call(f"{self.program.framework.module}.moveaxis", s, str(axis), "0") if axis else s for s in sequences]
        runs = [f"{s.atom}[::-1]" if reverse else str(s) for s in moved]
        return runs[0] if len(runs) == 1 else f"zip({', '.join(runs)})"

    def counted(self, length: Size, reverse: bool) -> str:
        return f"{self.program.framework.module}.arange({self.size(length)}){'[::-1]' if reverse else ''}"

    def stacked(self, values: Code, axis: int, reverse: bool, like: Value) -> Code:
        module = self.program.framework.module
        if like.shape[axis] == 0:
            return call(f"{module}.zeros", self.shape(like.shape), self.dtype(like.dtype))
        listed = f"{values}[::-1]" if reverse else str(values)
        return call(f"{module}.stack", listed, **({"axis": str(axis)} if axis else {}))

    def assignment(self, state: Value, code: Code) -> str:
        return f"{self.weight(state)} = {code}"


def path_code(inside: str, index: str = "", base: str = "") -> Code:
    """The path `inside` a block, whose own is the variable `base`, and of element `index` of the list there."""
    if not base and not index:
        return Code(text_literal(inside))
    escaped = text_literal(inside.replace("{", "{{").replace("}", "}}"))
    parts = (f"{{{base}}}" if base else "", escaped[1:-1], f"{{{index}}}" if index else "")
    return Code(f"f{escaped[0]}{'.'.join(filter(None, parts))}{escaped[0]}")


def _keys(path: str) -> str:
    """`["layer1"]["0"]` for `layer1.0`."""
    return "".join(f"[{text_literal(segment)}]" for segment in path.split(".")) if path else ""
