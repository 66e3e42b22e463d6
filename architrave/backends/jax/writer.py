"""Writes the body of one function of a JAX program, whose loops over steps are XLA's."""

from __future__ import annotations

import re
from collections.abc import Sequence

from architrave.backends.code import Code, call
from architrave.backends.functional.writer import FunctionWriter
from architrave.backends.hierarchy import Region
from architrave.backends.names import Names, function_name
from architrave.backends.scope import Held
from architrave.backends.variables import Variables
from architrave.backends.writer import WIDTH
from architrave.ir.graph import Node, Value
from architrave.ir.ops.control import CustomGrad, Scan, While


class JAXWriter(FunctionWriter):
    """Loops are `lax.scan` over a function inside; functions with a gradient of their own are `custom_vjp`."""

    def stored(self, constant: Code, dtype: str | None) -> Code:
        # Left to itself NumPy would compute what has constants alone for operands.
        return call("jnp.asarray", constant, dtype)

    def custom_gradient(self, node: Node, bodies: tuple[Region, ...]) -> None:
        name = self._custom(node, bodies)
        self.results(node.outputs, self.composed(node.operands, lambda codes: call(name, *codes), node.span))

    def _custom(self, node: Node, bodies: tuple[Region, ...]) -> str:
        """Write a function with a gradient of its own beside the others; gives its name."""
        op = node.op
        assert isinstance(op, CustomGrad)
        writers = [JAXWriter(body, self.program, Names(self.program.names.taken)) for body in bodies]
        forward, backward = writers
        steps, back = forward.function(), backward.function()
        name = self.program.names.fresh(function_name(op.label))
        self.program.taken.add(name)
        count = len(node.operands)
        saved, given = backward.parameters[:count], backward.parameters[count:]
        inputs = ", ".join(forward.parameters)
        if op.differentiable < count or count == 1:
            back[-1] += "," if op.differentiable == count else ", None" * (count - op.differentiable)
        gradients = f"({', '.join(given)})" if len(given) > 1 else "".join(given)
        lines = [
            "@jax.custom_vjp",
            f"def {name}({inputs}):",
            '    """A function with a gradient of its own."""',
            *(f"    {line}" for line in steps),
            "",
            "",
            f"def {name}_forward({inputs}):",
            f"    return {name}({inputs}), ({inputs}{',' if count == 1 else ''})",
            "",
            "",
            f"def {name}_backward(saved, {gradients if len(given) == 1 else 'gradients'}):",
            f"    {', '.join(saved)}{',' if count == 1 else ''} = saved",
            *([f"    {', '.join(given)} = gradients"] if len(given) > 1 else []),
            *(f"    {line}" for line in back),
            "",
            "",
            f"{name}.defvjp({name}_forward, {name}_backward)",
        ]
        self.program.parts.append("\n".join(lines))
        return name

    def _scan(self, node: Node, scan: Scan, body: Region) -> None:
        self._learn_weights((body,))
        first = [self.bound(v) for v in node.operands[: scan.carries]]
        sequences = [self.bind(v) for v in node.operands[scan.carries : scan.carries + scan.sequences]]
        captures = [self.bind(v) for v in node.operands[scan.carries + scan.sequences :]]
        inputs = list(body.inputs)
        over = inputs[scan.carries : scan.carries + scan.sequences] if scan.sequences else inputs[:1]
        carried = inputs[: scan.carries] if scan.sequences else inputs[1 : scan.carries + 1]
        step = self.names.fresh("step")
        with _Inside(self, captures):
            self.prepare(body)
            parameters = [self._unpacked(carried, "carry"), self._unpacked(over, "slices")]
            self._capture(body, captures)
            self.body(body)
            helds = self._outputs(body)
            carry, emitted = _packed(helds[: scan.carries]), _packed(helds[scan.carries :])
            self.write(f"return {carry}, {emitted}", node.span)
            unpacking = [line for _, lines in parameters for line in lines]
            self.define(step, [name for name, _ in parameters], unpacking, node)
        moved = [str(_moved(h.code, scan.axis, 0)) for h in sequences]
        xs = _tuple(moved) if moved else f"jnp.arange({self.size(scan.length)})"
        options: dict[str, Code | str] = {"reverse": "True"} if scan.reverse else {}
        loop = call("jax.lax.scan", step, self._start(first), xs, **options)
        for held in (*captures, *sequences, *first):
            self.variables.release(held.mentions)
        names = [self._named(v) for v in node.outputs]
        last, stacked = names[: scan.carries], names[scan.carries :]
        self.write(f"{_tuple(last)}, {_tuple(stacked)} = {loop}", node.span)
        for name in stacked:
            if scan.axis and name != "_":
                self.write(f"{name} = {_moved(Code(name), 0, scan.axis)}", node.span)

    def _while(self, node: Node, loop: While, condition: Region, body: Region) -> None:
        self._learn_weights((condition, body))
        first = [self.bound(v) for v in node.operands[: loop.carries]]
        captures = [self.bind(v) for v in node.operands[loop.carries :]]
        functions: list[str] = []
        for region, wanted in ((condition, "running"), (body, "step")):
            functions.append(self.names.fresh(wanted))
            with _Inside(self, captures):
                self.prepare(region)
                parameter, unpacking = self._unpacked(list(region.inputs)[: loop.carries], "carry")
                self._capture(region, captures)
                self.body(region)
                self.write(f"return {_packed(self._outputs(region))}", node.span)
                self.define(functions[-1], [parameter], unpacking, node)
        made = call(self.use("bounded_while"), *functions, self._start(first), limit=str(loop.limit))
        for held in (*captures, *first):
            self.variables.release(held.mentions)
        self.write(f"{_tuple([self._named(v) for v in node.outputs])} = {made}", node.span)

    def bound(self, value: Value) -> Held:
        """A value as a tensor, by a short expression."""
        held = self.tensor(value)
        return held if held.parts <= 1 else self.bind(value)

    def _start(self, first: Sequence[Held]) -> str:
        """The first carried values; in a variable where they would make a long line."""
        text = _packed(first)
        if len(text) <= WIDTH // 2:
            return text
        name = self.names.fresh("start")
        self.write(f"{name} = {text}")
        return name

    def define(self, name: str, parameters: Sequence[str], unpacking: Sequence[str], node: Node) -> None:
        """Make what was written since `_Inside` the body of a function inside this one."""
        inner = [*(f"{self.indent}{line}" for line in unpacking), *self.lines]
        self.lines = [""]
        self.write(f"def {name}({', '.join(parameters)}):", node.span)
        self.lines += [*(f"    {line}" for line in inner), ""]

    def _unpacked(self, values: Sequence[Value], whole: str) -> tuple[str, list[str]]:
        """A parameter for values, and the statement that takes it apart where they are several."""
        names: list[str] = []
        for value in values:
            names.append(self.variables.pick(self.hint(value) or "x"))
            self.hold(names[-1], value)
        if len(names) == 1:
            return names[0], []
        parameter = self.variables.pick(whole if names else "_")
        return parameter, [f"{', '.join(names)} = {parameter}"] if names else []


class _Inside:
    """What is written inside the `with` is the body of a function of its own: it gets variables of its own."""

    def __init__(self, writer: JAXWriter, captures: Sequence[Held]) -> None:
        self.writer = writer
        self.variables, self.lines = writer.variables, writer.lines
        mentioned = {name for held in captures for name in re.findall(r"\w+", held.code.text)}
        self.outer = {name for name in self.variables.holders if name not in mentioned}

    def __enter__(self) -> None:
        self.writer.names.free(self.outer)
        self.writer.variables = Variables(self.writer.names)
        self.writer.lines = []

    def __exit__(self, *problem: object) -> None:
        for name in self.outer:
            self.writer.names.add(name)
        self.writer.variables = self.variables
        self.writer.lines = [*self.lines, *self.writer.lines]


def _packed(helds: Sequence[Held]) -> str:
    return _tuple([str(held.code) for held in helds]) if helds else "None"


def _tuple(names: Sequence[str]) -> str:
    return "_" if not names else names[0] if len(names) == 1 else f"({', '.join(names)})"


def _moved(x: Code, source: int, target: int) -> Code:
    return x if source == target else call("jnp.moveaxis", x, str(source), str(target))
