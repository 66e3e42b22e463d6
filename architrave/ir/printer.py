"""Graphs as `.arch` text, which reads back to an equal graph.

The text is flat: one statement a node, in topological order, weights declared by their full paths. What an
expression of the language cannot hold (the sub-graphs of `while`, `choice` and `custom_grad`) becomes fns
before the model; symbolic dimensions are passed to them by name.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from architrave.ir.dims import Dim
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.op import Op
from architrave.ir.ops.control import Choice, CustomGrad, Mode, Scan, While
from architrave.ir.ops.leaves import Constant, Initial, Input, Param, State
from architrave.ir.place import Fact
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType

KEYWORDS = frozenset(
    """
    import from as const fn grad block model param state return if else for in scan carry emit while
    choice constraint expect at assert and or not true false none training language inf op constant
    float bool int
    """.split()  # noqa: SIM905 - a list of these would fill a page
)
"""Words that no variable of the printed text is called."""


def print_graph(graph: Graph) -> str:
    """The text of a model that elaborates (with `keep_choices`) to an equal graph."""
    printer = _Printer(graph)
    lines = printer.model(graph)
    return "\n".join([*printer.functions, *lines]) + "\n"


@dataclass
class _Printer:
    """Names what it meets, and collects the fns that sub-graphs become."""

    graph: Graph
    functions: list[str] = field(default_factory=list[str])
    taken: set[str] = field(default_factory=set[str])  # shared with the printers of fns, whose names are global
    counters: Counter[str] = field(default_factory=Counter[str])
    names: dict[Value, str] = field(default_factory=dict[Value, str])

    def __post_init__(self) -> None:
        self.taken |= {*self.graph.symbols, self.graph.name}

    def model(self, graph: Graph) -> list[str]:
        for value in graph.inputs:
            self.name(value, _label(value))
        inputs = ", ".join(f"{self.names[v]}: {v.type}" for v in graph.inputs)
        header = f"model {_identifier(graph.name)}()({inputs}) {{"
        body = [f"constraint {text}" for text in graph.constraints]
        body += self.weights(graph.weights)
        body += self.statements(graph, {*graph.weights, *graph.inputs})
        body += [f"{self.names[state]} := {self.names[new]}" for state, new in graph.updates]
        body.append(f"return {self.group(graph.outputs)}")
        return [*_facts(graph.facts), header, *_indented(body), "}"]

    def weights(self, weights: Iterable[Value]) -> list[str]:
        lines: list[str] = []
        for value in weights:
            op = value.op
            assert isinstance(op, Param | State)
            initial = op.initial
            if isinstance(initial, Graph):
                lines += self.statements(initial, set())
                start = self.names[initial.outputs[0]]
            else:
                start = _initial(initial)
            name = self.name(value, op.path.replace(".", "_"))
            lines.append(f"{op.name} {_string(op.path)} as {name}: {op.type} = {start}")
        return lines

    def statements(self, graph: Graph, given: set[Value]) -> list[str]:
        """The nodes of a graph as statements; values in `given` have their names already."""
        lines: list[str] = []
        for node in graph.nodes:
            if node.outputs and (node.outputs[0] in given or isinstance(node.op, Input)):
                continue
            lines += _facts(node.facts)
            lines += self.statement(node)
        return lines

    def statement(self, node: Node) -> list[str]:
        match node.op:
            case Mode():
                return self.mode(node, node.op)
            case Scan():
                return self.scan(node, node.op)
            case While():
                return self.loop(node, node.op)
            case Choice():
                return self.choice(node, node.op)
            case CustomGrad():
                return self.custom(node, node.op)
            case Constant() as op:
                right = _constant(op)
            case op:
                arguments = [self.names[v] for v in node.operands] + _attributes(op)
                right = f"op.{op.name}({', '.join(arguments)})"
        return [f"{self.target(node.outputs)} = {right}"]

    # ------------------------------------------------------------ sub-graphs

    def mode(self, node: Node, op: Mode) -> list[str]:
        names = [self.name(v) for v in node.outputs]
        sides = [self.inside(graph, node.operands, names) for graph in (op.training, op.inference)]
        return ["if training {", *_indented(sides[0]), "} else {", *_indented(sides[1]), "}"]

    def inside(self, graph: Graph, arguments: Sequence[Value], names: Sequence[str]) -> list[str]:
        """The statements of a sub-graph in place, its inputs called as the arguments, its results `names`."""
        self.names.update({v: self.names[a] for v, a in zip(graph.inputs, arguments, strict=True)})
        lines = self.statements(graph, set())
        results = [self.names[v] for v in graph.outputs]
        if list(names) != results and names:
            lines.append(f"{_tuple(names)} = {_tuple(results)}")
        return lines

    def scan(self, node: Node, op: Scan) -> list[str]:
        steps = 0 if op.sequences else 1
        body, operands = op.body, node.operands
        own = len(body.inputs) - (len(operands) - op.carries - op.sequences)
        carries = [self.name(v) for v in node.outputs[: op.carries]]
        emitted = [self.name(v) for v in node.outputs[op.carries :]]
        self.names.update(zip(body.inputs[steps:], carries, strict=False))
        elements = [self.name(v) for v in (*body.inputs[:steps], *body.inputs[steps + op.carries : own])]
        captures = operands[op.carries + op.sequences :]
        self.names.update({v: self.names[a] for v, a in zip(body.inputs[own:], captures, strict=True)})
        sequences = [self.names[v] for v in operands[op.carries : op.carries + op.sequences]] or [
            f"0..{_size(op.length)}"
        ]
        first = [f"{c} = {self.names[v]}" for c, v in zip(carries, operands, strict=False)]
        head = ", ".join(f"{e} in {s}" for e, s in zip(elements, sequences, strict=True))
        options = [f"axis = {op.axis}"] * bool(op.sequences) + ["reverse = true"] * op.reverse
        carry = [f"carry ({', '.join(first)})"] if first else []
        lines = self.statements(body, set())
        results = [self.names[v] for v in body.outputs]
        lines += [f"emit {r} as {e}" for r, e in zip(results[op.carries :], emitted, strict=True)]
        if carries:
            lines.append(f"{_tuple(carries)} = {_tuple(results[: op.carries])}")
        return [f"scan {', '.join([head, *options, *carry])} {{", *_indented(lines), "}"]

    def loop(self, node: Node, op: While) -> list[str]:
        carries = [self.name(v) for v in node.outputs]
        names = [*carries, *(self.names[v] for v in node.operands[op.carries :])]
        test = self.function(op.condition, "condition")
        first = [f"{c} = {self.names[v]}" for c, v in zip(carries, node.operands, strict=False)]
        self.names.update(zip(op.body.inputs, names, strict=True))
        lines = self.statements(op.body, set())
        lines.append(f"{_tuple(carries)} = {_tuple([self.names[v] for v in op.body.outputs])}")
        head = f"while {self.applied(test, names)}, carry ({', '.join(first)}), max = {op.limit} {{"
        return [head, *_indented(lines), "}"]

    def choice(self, node: Node, op: Choice) -> list[str]:
        pairs = zip(op.labels, op.alternatives, strict=True)
        alternatives = [f"{label}: {self.function(graph, label)}" for label, graph in pairs]
        path = re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", op.path)
        inputs = self.tuple_of([self.names[v] for v in node.operands], always=True)
        return [f"{self.target(node.outputs)} = {inputs} -> choice {path} {{ {', '.join(alternatives)} }}"]

    def custom(self, node: Node, op: CustomGrad) -> list[str]:
        function = self.function(op.forward, op.label, op.backward)
        return [f"{self.target(node.outputs)} = {self.applied(function, [self.names[v] for v in node.operands])}"]

    def function(self, graph: Graph, label: str, backward: Graph | None = None) -> str:
        """Write a sub-graph as a fn, with its gradient; returns the fn's name."""
        name = self.unique(_identifier(label))
        inner = _Printer(self.graph, self.functions, self.taken, self.counters)
        own = [inner.name(v, _label(v)) for v in graph.inputs]
        parameters = [*own, *(s for s in self.graph.symbols)]
        body = [*inner.statements(graph, set()), f"return {inner.group(graph.outputs)}"]
        lines = [f"fn {name}({', '.join(parameters)}) {{", *_indented(body)]
        if backward is not None:
            lines += inner.backward(backward, own)
        self.functions += [*lines, "}", ""]
        return name

    def backward(self, graph: Graph, own: Sequence[str]) -> list[str]:
        self.names.update(zip(graph.inputs, own, strict=False))
        gradients = [self.name(v, "g") for v in graph.inputs[len(own) :]]
        body = [*self.statements(graph, set()), f"return {self.group(graph.outputs)}"]
        return [f"}} grad ({', '.join(gradients)}) {{", *_indented(body)]

    def applied(self, function: str, names: Sequence[str]) -> str:
        return f"{function}({', '.join([*names, *self.graph.symbols])})"

    def tuple_of(self, names: Sequence[str], *, always: bool = False) -> str:
        everything = [*names, *self.graph.symbols]
        return _tuple(everything, always=always)

    # ------------------------------------------------------------ names

    def name(self, value: Value, hint: str | None = None) -> str:
        """A name for a value: its hint, made unique."""
        name = self.unique(_identifier(hint or value.hint or "v"))
        self.names[value] = name
        return name

    def unique(self, base: str) -> str:
        name = base
        while name in self.taken or name in KEYWORDS:
            self.counters[base] += 1
            name = f"{base}_{self.counters[base]}"
        self.taken.add(name)
        return name

    def target(self, values: Sequence[Value]) -> str:
        return _tuple([self.name(v) for v in values])

    def group(self, values: Sequence[Value]) -> str:
        return _tuple([self.names[v] for v in values])


def _label(value: Value) -> str:
    return value.op.label if isinstance(value.op, Input) else value.hint or "x"


def _identifier(text: str) -> str:
    name = re.sub(r"\W", "_", text, flags=re.ASCII)[:60]
    return name if name[:1].isalpha() else f"v{name}"


def _tuple(names: Sequence[str], *, always: bool = False) -> str:
    if len(names) == 1 and not always:
        return names[0]
    return f"({', '.join(names)}{',' * (len(names) == 1)})"


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _facts(facts: Sequence[Fact]) -> list[str]:
    return [f"@{f.name}{_fact_arguments(f)}" for f in facts]


def _fact_arguments(fact: Fact) -> str:
    arguments = [_literal(a) for a in fact.args] + [f"{k} = {_literal(v)}" for k, v in fact.kwargs]
    return f"({', '.join(arguments)})" if arguments else ""


def _attributes(op: Op) -> list[str]:
    fields = {f.name: f for f in dataclasses.fields(op)}  # type: ignore[arg-type]  # every operator is one
    given = ((name, getattr(op, name)) for name in op.attributes)
    return [f"{name} = {_literal(value)}" for name, value in given if not _is_default(value, fields[name].default)]


def _is_default(value: object, default: object) -> bool:
    return type(value) is type(default) and value == default and str(value) == str(default)


def _size(size: object) -> str:
    return f"({size})" if isinstance(size, Dim) else str(size)


def _literal(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return "none"
        case float() if value != value:
            return "(inf - inf)"
        case int() | float() | Dim() | DType():
            return str(value)
        case str():
            return _string(value)
        case tuple():
            return f"[{', '.join(_literal(v) for v in value)}]"  # pyright: ignore[reportUnknownVariableType]
        case TensorType():
            raise error("E350", "a type cannot be an attribute in text")
        case _:
            raise error("E350", f"`{type(value).__name__}` has no form in text")


def _string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def _initial(initial: Initial) -> str:
    if not initial.arguments:
        return initial.kind
    return f"{initial.kind}({', '.join(_literal(a) for a in initial.arguments)})"


def _constant(op: Constant) -> str:
    from architrave.ir.storage import constant_array

    dtype = "" if op.type.dtype is DType.FLOAT else f", dtype = {op.type.dtype}"
    return f"constant({_nested(constant_array(op).tolist())}{dtype})"


def _nested(value: Any) -> str:
    return f"[{', '.join(_nested(v) for v in value)}]" if isinstance(value, list) else _literal(value)  # pyright: ignore[reportUnknownVariableType]
