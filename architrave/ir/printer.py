"""Graphs as `.arch` text, which reads back to an equal graph.

The text is flat: one statement a node, in topological order, weights declared by their full paths. What an
expression of the language cannot hold (the sub-graphs of `while`, `choice` and `custom_grad`) becomes fns
before the model; symbolic dimensions are passed to them by name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from architrave.ir.graph import Graph, Node, Value
from architrave.ir.notation import (
    KEYWORDS,
    attributes,
    constant_text,
    fact_lines,
    identifier,
    indented,
    initial_text,
    size_text,
    string,
    tuple_text,
)
from architrave.ir.ops.control import Choice, CustomGrad, Mode, Scan, While
from architrave.ir.ops.leaves import Constant, Input, Param, State


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
        header = f"model {identifier(graph.name)}()({inputs}) {{"
        body = [f"constraint {text}" for text in graph.constraints]
        body += self.weights(graph.weights)
        body += self.statements(graph, {*graph.weights, *graph.inputs})
        body += [f"{self.names[state]} := {self.names[new]}" for state, new in graph.updates]
        body.append(f"return {self.group(graph.outputs)}")
        return [*fact_lines(graph.facts), header, *indented(body), "}"]

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
                start = initial_text(initial)
            name = self.name(value, op.path.replace(".", "_"))
            lines.append(f"{op.name} {string(op.path)} as {name}: {op.type} = {start}")
        return lines

    def statements(self, graph: Graph, given: set[Value]) -> list[str]:
        """The nodes of a graph as statements; values in `given` have their names already."""
        lines: list[str] = []
        for node in graph.nodes:
            if node.outputs and (node.outputs[0] in given or isinstance(node.op, Input)):
                continue
            lines += fact_lines(node.facts)
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
                right = constant_text(op)
            case op:
                arguments = [self.names[v] for v in node.operands] + attributes(op)
                right = f"op.{op.name}({', '.join(arguments)})"
        return [f"{self.target(node.outputs)} = {right}"]

    # ------------------------------------------------------------ sub-graphs

    def mode(self, node: Node, op: Mode) -> list[str]:
        names = [self.name(v) for v in node.outputs]
        sides = [self.inside(graph, node.operands, names) for graph in (op.training, op.inference)]
        return ["if training {", *indented(sides[0]), "} else {", *indented(sides[1]), "}"]

    def inside(self, graph: Graph, arguments: Sequence[Value], names: Sequence[str]) -> list[str]:
        """The statements of a sub-graph in place, its inputs called as the arguments, its results `names`."""
        self.names.update({v: self.names[a] for v, a in zip(graph.inputs, arguments, strict=True)})
        lines = self.statements(graph, set())
        results = [self.names[v] for v in graph.outputs]
        if list(names) != results and names:
            lines.append(f"{tuple_text(names)} = {tuple_text(results)}")
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
            f"0..{size_text(op.length)}"
        ]
        first = [f"{c} = {self.names[v]}" for c, v in zip(carries, operands, strict=False)]
        head = ", ".join(f"{e} in {s}" for e, s in zip(elements, sequences, strict=True))
        options = [f"axis = {op.axis}"] * bool(op.sequences) + ["reverse = true"] * op.reverse
        carry = [f"carry ({', '.join(first)})"] if first else []
        lines = self.statements(body, set())
        results = [self.names[v] for v in body.outputs]
        lines += [f"emit {r} as {e}" for r, e in zip(results[op.carries :], emitted, strict=True)]
        if carries:
            lines.append(f"{tuple_text(carries)} = {tuple_text(results[: op.carries])}")
        return [f"scan {', '.join([head, *options, *carry])} {{", *indented(lines), "}"]

    def loop(self, node: Node, op: While) -> list[str]:
        carries = [self.name(v) for v in node.outputs]
        names = [*carries, *(self.names[v] for v in node.operands[op.carries :])]
        test = self.function(op.condition, "condition")
        first = [f"{c} = {self.names[v]}" for c, v in zip(carries, node.operands, strict=False)]
        self.names.update(zip(op.body.inputs, names, strict=True))
        lines = self.statements(op.body, set())
        lines.append(f"{tuple_text(carries)} = {tuple_text([self.names[v] for v in op.body.outputs])}")
        head = f"while {self.applied(test, names)}, carry ({', '.join(first)}), max = {op.limit} {{"
        return [head, *indented(lines), "}"]

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
        name = self.unique(identifier(label))
        inner = _Printer(self.graph, self.functions, self.taken, self.counters)
        own = [inner.name(v, _label(v)) for v in graph.inputs]
        parameters = [*own, *(s for s in self.graph.symbols)]
        body = [*inner.statements(graph, set()), f"return {inner.group(graph.outputs)}"]
        lines = [f"fn {name}({', '.join(parameters)}) {{", *indented(body)]
        if backward is not None:
            lines += inner.backward(backward, own)
        self.functions += [*lines, "}", ""]
        return name

    def backward(self, graph: Graph, own: Sequence[str]) -> list[str]:
        self.names.update(zip(graph.inputs, own, strict=False))
        gradients = [self.name(v, "g") for v in graph.inputs[len(own) :]]
        body = [*self.statements(graph, set()), f"return {self.group(graph.outputs)}"]
        return [f"}} grad ({', '.join(gradients)}) {{", *indented(body)]

    def applied(self, function: str, names: Sequence[str]) -> str:
        return f"{function}({', '.join([*names, *self.graph.symbols])})"

    def tuple_of(self, names: Sequence[str], *, always: bool = False) -> str:
        everything = [*names, *self.graph.symbols]
        return tuple_text(everything, always=always)

    # ------------------------------------------------------------ names

    def name(self, value: Value, hint: str | None = None) -> str:
        """A name for a value: its hint, made unique."""
        name = self.unique(identifier(hint or value.hint or "v"))
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
        return tuple_text([self.name(v) for v in values])

    def group(self, values: Sequence[Value]) -> str:
        return tuple_text([self.names[v] for v in values])


def _label(value: Value) -> str:
    return value.op.label if isinstance(value.op, Input) else value.hint or "x"
