"""How gradients flow back through the operators that hold graphs.

Each rule makes an operator of the same kind, whose graphs are the gradients of the graphs that the operator held.
What these need of the forward pass they compute again from the operands, but for what a loop carried, which was kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from architrave.ir.autodiff.fit import differentiable, zeros
from architrave.ir.autodiff.reverse import Pullback, Step, copied, pull, pullback
from architrave.ir.enclose import placeholder
from architrave.ir.graph import Graph, Value, make
from architrave.ir.op import Gradients
from architrave.ir.ops.control import Choice, CustomGrad, Mode, While
from architrave.ir.place import Here


@pull.register
def _mode(op: Mode, step: Step) -> Gradients:
    (training, inference), found = _branches((op.training, op.inference), step)
    return _spread(replace(op, training=training, inference=inference), step, found)


@pull.register
def _choice(op: Choice, step: Step) -> Gradients:
    alternatives, found = _branches(op.alternatives, step)
    return _spread(replace(op, alternatives=tuple(alternatives)), step, found)


@pull.register
def _custom(op: CustomGrad, step: Step) -> Gradients:
    node = step.node
    cotangents = [step.cotangent(i) for i in range(len(node.outputs))]
    gradients = copied(op.backward, (*node.operands, *cotangents))
    return (*gradients, *(None,) * (len(node.operands) - len(gradients)))


@pull.register
def _single_turn(op: While, step: Step) -> Gradients:
    """Of a loop that turns once or not at all; any other has become a `scan` of such (see `loops`).

    Undoing it is again such a loop. It carries the gradients, and has the same condition on the same values.
    """
    assert op.limit == 1
    operands = step.node.operands
    carried = [i for i in range(op.carries) if differentiable(operands[i].type)]
    captured = [i for i in step.wanted if i >= op.carries]
    back = pullback(op.body, (*carried, *captured), carried)
    flowing = [placeholder(f"g{i}", operands[i].type, Here()) for i in (*carried, *captured)]
    outer = [placeholder(v.hint or f"x{i}", v.type, Here()) for i, v in enumerate(operands)]
    found = back.applied((*outer, *flowing[: len(carried)]))
    # A capture has gradients of its own only if the loop turns: it starts from zeros.
    after = [found.get(i) or zeros(operands[i].type) for i in (*carried, *captured)]
    body = Graph(back.graph.name, (*flowing, *outer), tuple(after), place=op.body.place)
    test = Graph(op.condition.name, body.inputs, copied(op.condition, outer), place=op.condition.place)
    first = (*(step.cotangent(i) for i in carried), *(zeros(operands[i].type) for i in captured))
    results = make(While(test, body, len(first), limit=1), (*first, *operands)).outputs
    gradients = dict(zip((*carried, *captured), results, strict=True))
    return [gradients.get(i) for i in range(len(operands))]


def _branches(graphs: Sequence[Graph], step: Step) -> tuple[list[Graph], list[int]]:
    """The gradients of graphs of which one will run, and the operands that have some in any of them."""
    backs = [pullback(graph, step.wanted, step.given) for graph in graphs]
    found = sorted({i for back in backs for i in back.found})
    return [_with_all(back, found) for back in backs], found


def _with_all(back: Pullback, found: Sequence[int]) -> Graph:
    """The graph with an output for each operand of `found`, zeros where nothing flows back to it."""
    known = dict(zip(back.found, back.graph.outputs, strict=True))
    outputs = tuple(known.get(i) or zeros(back.graph.inputs[i].type) for i in found)
    return replace(back.graph, outputs=outputs)


def _spread(op: Mode | Choice, step: Step, found: Sequence[int]) -> list[Value | None]:
    """The results of the gradient of a node, each where its operand stands."""
    operands = step.node.operands
    given = [g for g in step.cotangents if g is not None]
    results = dict(zip(found, make(op, (*operands, *given)).outputs, strict=True))
    return [results.get(i) for i in range(len(operands))]
