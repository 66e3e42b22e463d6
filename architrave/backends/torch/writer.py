"""Writes the `forward` of a module, or a function beside the modules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from architrave.backends.code import TUPLE, Code, call, text_literal
from architrave.backends.flow import FlowWriter
from architrave.backends.hierarchy import Chain, Region
from architrave.backends.names import Names
from architrave.backends.torch.modules import Leaf, Tree
from architrave.ir.dims import Size
from architrave.ir.graph import Node, Value
from architrave.ir.ops.leaves import Constant, State, path_of
from architrave.ir.ops.random import RunKey
from architrave.ir.types import DType

if TYPE_CHECKING:
    from architrave.backends.torch.program import Program

DTYPES = {
    DType.BOOL: "torch.bool",
    DType.U8: "torch.uint8",
    DType.I8: "torch.int8",
    DType.I16: "torch.int16",
    DType.U32: "torch.int64",  # PyTorch has next to no arithmetic for 32 bits without a sign
    DType.I32: "torch.int32",
    DType.I64: "torch.int64",
    DType.BF16: "torch.bfloat16",
    DType.F16: "torch.float16",
    DType.F32: "torch.float32",
    DType.F64: "torch.float64",
    DType.C64: "torch.complex64",
    DType.C128: "torch.complex128",
}


class TorchWriter(FlowWriter):
    """The body of one `forward` or function."""

    training = "self.training"

    def __init__(self, region: Region, program: Program, names: Names) -> None:
        super().__init__(region, program.rules, names)
        self.program = program
        self.tree = Tree()
        self.sequential: set[str] = set()
        self.draws: dict[str, None] = {}
        """Where random numbers are drawn, as paths within the class."""
        if not region.is_function:
            self._plant()

    def _plant(self) -> None:
        """Enter the modules and weights that the class holds."""
        found = {self.region.relative(inner.path): inner for inner in self.region.regions() if not inner.is_function}
        for path, inner in found.items():
            if not any(above in found for above in _above(path)):
                self.tree.add(path, Leaf("module", self.program.rendered[inner].constructor))
        for weight in self.region.weights:
            kind = "buffer" if isinstance(weight.op, State) else "parameter"
            dtype = "" if weight.dtype is DType.FLOAT else f", dtype={self.dtype(weight.dtype)}"
            shape = ", ".join(map(str, weight.shape)) or "()"
            empty = f"torch.empty({shape}{dtype})"
            grad = "" if weight.dtype.is_float or weight.dtype.is_complex else ", requires_grad=False"
            code = f"nn.Parameter({empty}{grad})" if kind == "parameter" else empty
            self.tree.add(self.region.relative(path_of(weight)), Leaf(kind, code))

    def function(self) -> list[str]:
        """The statements of the body, sizes first and the results last."""
        self.suggest({new: path_of(state).rpartition(".")[2] for state, new in self.region.updates})
        self.body(self.region)
        results = self.region.results or tuple(self.region.outputs)
        if self.region.updates:
            for value in results:
                self.bind(value)
        self.finish(self.region)
        held = self.tensor(results[0])
        if len(results) > 1:
            held = self.composed(results, lambda codes: Code(", ".join(map(str, codes)), TUPLE))
        self.write(f"return {held.code}", held.span)
        return [*self.prologue(), *self.lines]

    # What the base asks for.

    def weight(self, value: Value) -> Code:
        kind = "buffer" if isinstance(value.op, State) else "parameter"
        return Code(self.tree.access(self.region.relative(path_of(value)), kind))

    def leaf(self, value: Value) -> Code:
        if isinstance(value.op, Constant):
            name = self.program.constant(value.op)
            like = self.anchor(floating=value.dtype is DType.FLOAT)
            return Code(f"{name}.to({like}.device, {self.dtype(value.dtype)})")
        if not isinstance(value.op, RunKey) or self.region.parent is not None:
            raise AssertionError(f"{value} is used before it is computed")
        self.program.needs_key = True
        return Code("key")

    def dtype(self, dtype: DType) -> str:
        if dtype is DType.COMPLEX:
            return f"torch.promote_types({self.anchor()}.dtype, torch.complex64)"
        return DTYPES[dtype] if dtype is not DType.FLOAT else f"{self.anchor()}.dtype"

    def use(self, name: str) -> str:
        return self.program.use(name)

    def path(self, path: str) -> Code:
        inside = self.region.relative(path)
        self.draws[inside] = None
        self.program.use("set_places")
        return Code(f"self.places[{text_literal(inside)}]")

    def application(self, region: Region, arguments: tuple[Code, ...]) -> Code:
        rendered = self.program.rendered[region]
        given = [*map(str, arguments), *self._extra(rendered.missing)]
        if region.is_function:
            return call(rendered.constructor, *given, *rendered.arguments)
        return call(self.tree.access(self.region.relative(region.path)), *given)

    def _extra(self, missing: Sequence[Size | None]) -> list[str]:
        return [self.anchor() if size is None else str(self.size(size)) for size in missing]

    def chain(self, chain: Chain) -> None:
        path = self.region.relative(chain.path)
        elements = self.tree.find(path)
        plain = isinstance(elements, Tree) and elements.is_list
        extras = {self.program.rendered[r].missing for r in chain.regions}
        whole = (
            isinstance(elements, Tree) and plain and chain.first == 0 and len(chain.regions) == len(elements.members)
        )
        one = len(chain.inputs) == len(chain.outputs) == 1 and extras == {()}
        first = chain.regions[0].place
        span = first.span if first is not None else None
        if whole and one:
            self.sequential.add(path)
            access = self.tree.access(path)
            self.results(chain.outputs, self.composed(chain.inputs, lambda codes: call(access, *codes), span))
        elif plain and len(extras) == 1 and len({r.name for r in chain.regions}) == 1:
            self._loop(chain, path, whole)
        else:
            self._one_by_one(chain)

    def _one_by_one(self, chain: Chain) -> None:
        for region in chain.regions[:-1]:
            for value in region.outputs:
                self.count(value, 1)
        for region in chain.regions:
            self.apply(region)

    def _loop(self, chain: Chain, path: str, whole: bool) -> None:
        """`for block in self.layer: x = block(x, mask)`."""
        inputs, outputs = chain.inputs, chain.outputs
        span = chain.regions[0].place.span if chain.regions[0].place is not None else None
        others = [i for i in range(len(inputs)) if i not in chain.fed]
        kept = {i: self.bind(inputs[i]) for i in others}
        names = self.start([inputs[i] for i in chain.fed], outputs, span)
        block = self.variables.pick(_singular(path.rpartition(".")[2]))
        arguments = [kept[i].code.text if i in kept else names[chain.fed.index(i)] for i in range(len(inputs))]
        arguments += self._extra(self.program.rendered[chain.regions[0]].missing)
        last = chain.first + len(chain.regions)
        part = "" if whole else f"[{chain.first or ''}:{last}]"
        self.write(f"for {block} in {self.tree.access(path)}{part}:", span)
        with self.indented():
            self.write(f"{', '.join(names)} = {block}({', '.join(arguments)})", span)
        self.variables.holders[block] = None
        for held in kept.values():
            self.variables.release(held.mentions)
        for name, value in zip(names, outputs, strict=True):
            self.hold(name, value)

    def custom_gradient(self, node: Node, bodies: tuple[Region, ...]) -> None:
        name = self.program.gradient(node, bodies)
        self.results(node.outputs, self.composed(node.operands, lambda codes: call(f"{name}.apply", *codes), node.span))

    def unstacked(self, sequences: Sequence[Code], axis: int, reverse: bool) -> str:
        runs = [f"{s.atom}.unbind({axis})" for s in sequences]
        if len(runs) == 1:
            return f"reversed({runs[0]})" if reverse else runs[0]
        zipped = f"zip({', '.join(runs)}, strict=True)"
        return f"reversed(list({zipped}))" if reverse else zipped

    def counted(self, length: Size, reverse: bool) -> str:
        numbers = f"torch.arange({self.size(length)}, device={self.anchor(floating=False)}.device)"
        return f"{numbers}.flip(0)" if reverse else numbers

    def stacked(self, values: Code, axis: int, reverse: bool, like: Value) -> Code:
        if like.shape[axis] == 0:
            options = {"dtype": self.dtype(like.dtype), "device": f"{self.anchor()}.device"}
            return call("torch.zeros", self.shape(like.shape), **options)
        return Code(f"torch.stack({values}[::-1], {axis})" if reverse else f"torch.stack({values}, {axis})")

    def assignment(self, state: Value, code: Code) -> str:
        value = f"{code.atom}.detach()" if state.dtype.is_float or state.dtype.is_complex else str(code)
        return f"{self.tree.target(self.region.relative(path_of(state)))} = {value}"


def _above(path: str) -> Iterator[str]:
    while path := path.rpartition(".")[0]:
        yield path


def _singular(name: str) -> str:
    """What to call an element of a list: `layer` for `layers`."""
    one = name.removesuffix("s")
    return one if one.isidentifier() and one != "self" else "block"
