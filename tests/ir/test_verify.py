"""A sound graph passes; each kind of fault is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from architrave.dsl.elaborate.model import elaborate
from architrave.dsl.modules import load_standard
from architrave.ir import build
from architrave.ir.graph import Graph, Node, make
from architrave.ir.ops.arithmetic import Add
from architrave.ir.ops.control import Mode
from architrave.ir.place import Here
from architrave.ir.source import ArchitraveError
from architrave.ir.types import DType, TensorType
from architrave.ir.verify import verify


def small() -> Graph:
    x, w = build.input("x", "[N, 3]"), build.param("w", "[3]")
    seen = build.state("seen", "[3]")
    return build.graph("Small", [x], [x * w + seen], updates=[(seen, build.sum(x, axes=(0,)))])


def test_sound_graphs_pass() -> None:
    assert verify(small()).name == "Small"
    verify(elaborate(load_standard("std.lstm_tagger").models["LSTMTagger"]).graph)


def claimed(graph: Graph) -> Graph:
    (out,) = graph.outputs
    wrong = Node(Add(), out.node.operands, (TensorType(DType.I64, (2,)),), Here())
    return replace(graph, outputs=wrong.outputs)


def inside(graph: Graph) -> Graph:
    w = build.param("hidden", "[3]")
    side = Graph("side", (), (w,))
    return replace(graph, outputs=make(Mode(training=side, inference=side), ()).outputs)


FAULTS = {
    "a claimed type": (claimed, "E360", "`add` claims"),
    "an input that is not listed": (lambda g: replace(g, inputs=()), "E361", "`x` is used and is no input"),
    "an input that is no leaf": (lambda g: replace(g, inputs=(*g.inputs, g.outputs[0])), "E361", "is made by `add`"),
    "a weight that is not listed": (lambda g: replace(g, weights=g.weights[1:]), "E362", "`w` is used and not listed"),
    "a weight that is no leaf": (lambda g: replace(g, weights=(*g.weights, g.outputs[0])), "E362", "is made by `add`"),
    "two weights of one name": (
        lambda g: replace(g, weights=(*g.weights, build.param("w", "[3]"))),
        "E362",
        "two weights",
    ),
    "a weight in a sub-graph": (inside, "E362", "`hidden` stands inside"),
    "an update of another type": (
        lambda g: replace(g, updates=((g.weights[1], g.outputs[0]),)),
        "E363",
        "cannot be updated",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_named(name: str) -> None:
    break_it, code, words = FAULTS[name]
    with pytest.raises(ArchitraveError) as caught:
        verify(break_it(small()))
    assert any(d.code == code and words in d.message for d in caught.value.diagnostics), str(caught.value)
