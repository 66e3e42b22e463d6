"""The dimensions of small networks, one for each way in which axes hang together."""

from __future__ import annotations

import numpy as np
import pytest

import architrave
from architrave.ir.axes.groups import Group, Groups, groups
from architrave.ir.axes.restrict import restricted, taken
from architrave.ir.graph import Graph
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import ArchitraveError

IMPORTS = """
from std.attention import self_attention
from std.conv import conv2d, max_pool
from std.linear import embedding, linear
from std.norm import batch_norm, layer_norm
from std.recurrent import lstm
"""


def net(inputs: str, body: str) -> Graph:
    return architrave.loads(f"{IMPORTS}\nmodel Net()({inputs}) {{\n{body}\n}}\n")


def found(inputs: str, body: str) -> Groups:
    return groups(net(inputs, body))


def members(group: Group) -> set[tuple[str, int, int]]:
    """The path, the axis and how often each unit stands there."""
    return {(m.path, m.axis, m.places.shape[1]) for m in group.members}


CHAIN = "return x -> a: linear(6) -> relu -> b: linear(5)"
RESIDUAL = "y = x -> a: conv2d(6, 3)\n y = y + (y -> b: conv2d(6, 3) -> n: batch_norm)\n return y -> c: conv2d(2, 1)"
FLAT = "return x -> a: conv2d(6, 3) -> max_pool(2) -> flatten -> b: linear(5)"
GATES = "(h, _) = x -> r: lstm(5)\n return h -> b: linear(2)"
CASES = {
    "chain": ("x: [N, 4]", CHAIN, "a.weight:0", 6, {("a.weight", 0, 1), ("a.bias", 0, 1), ("b.weight", 1, 1)}),
    "residual": (
        "x: [N, 3, 8, 8]",
        RESIDUAL,
        "a.weight:0",
        6,
        {(f"{layer}.{name}", 0, 1) for layer, name in [("a", "weight"), ("a", "bias"), ("b", "weight"), ("b", "bias")]}
        | {(f"n.{name}", 0, 1) for name in ("weight", "bias", "running_mean", "running_var")}
        | {("b.weight", 1, 1), ("c.weight", 1, 1)},
    ),
    "flatten": (
        "x: [N, 3, 8, 8]",
        FLAT,
        "a.weight:0",
        6,
        {("a.weight", 0, 1), ("a.bias", 0, 1), ("b.weight", 1, 16)},
    ),
    "concatenation": (
        "x: [N, 4]",
        "y = concat([x -> a: linear(3), x -> b: linear(5)], axis = 1)\n return y -> c: linear(2)",
        "b.weight:0",
        5,
        {("b.weight", 0, 1), ("b.bias", 0, 1), ("c.weight", 1, 1)},
    ),
    "gates": (
        "x: [N, T, 3]",
        GATES,
        "r.cell.weight_ih:0",
        5,
        {("r.cell.weight_ih", 0, 4), ("r.cell.weight_hh", 0, 4), ("r.cell.weight_hh", 1, 1), ("b.weight", 1, 1)}
        | {("r.cell.bias_ih", 0, 4), ("r.cell.bias_hh", 0, 4)},
    ),
    "heads": (
        "x: [N, T, 12]",
        "return x -> a: self_attention(3)",
        "a.q_proj.weight:0.0",
        3,
        {(f"a.{name}_proj.{part}", 0, 4) for name in "qkv" for part in ("weight", "bias")}
        | {("a.out_proj.weight", 1, 4)},
    ),
    "grouped queries": (
        "x: [N, T, 12]",
        "return x -> a: self_attention(6, kv_heads = 2)",
        "a.q_proj.weight:0.0",
        2,
        {(f"a.{name}_proj.{part}", 0, 2) for name in "kv" for part in ("weight", "bias")}
        | {("a.q_proj.weight", 0, 6), ("a.q_proj.bias", 0, 6), ("a.out_proj.weight", 1, 6)},
    ),
    "depthwise": (
        "x: [N, 3, 8, 8]",
        "return x -> a: conv2d(6, 1) -> d: conv2d(6, 3, groups = 6) -> b: conv2d(2, 1)",
        "a.weight:0",
        6,
        {("a.weight", 0, 1), ("a.bias", 0, 1), ("d.weight", 0, 1), ("d.bias", 0, 1), ("b.weight", 1, 1)},
    ),
    "groups": (
        "x: [N, 3, 8, 8]",
        "return x -> a: conv2d(6, 1) -> g: conv2d(4, 3, groups = 2) -> b: conv2d(2, 1)",
        "a.weight:0.1",
        3,
        {("a.weight", 0, 2), ("a.bias", 0, 2), ("g.weight", 1, 1)},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_dimension_is_found_wherever_it_is(case: str) -> None:
    inputs, body, name, size, wanted = CASES[case]
    group = found(inputs, body).by_name[name]
    assert (group.size, members(group)) == (size, wanted)
    assert group.whole is None


FIXED = {
    "an input": ("x: [N, 4]", CHAIN, "a.weight:1", "the input `x` has it"),
    "an output": ("x: [N, 4]", CHAIN, "b.weight:0", "output 0 has it"),
    "a kernel": ("x: [N, 3, 8, 8]", RESIDUAL, "b.weight:2", "`conv` at `b` moves a window over it"),
    "a table": (
        "x: i64[N]",
        "return x -> e: embedding(7, 4) -> b: linear(2)",
        "e.weight:0",
        "`take` at `e` counts along it",
    ),
}


@pytest.mark.parametrize("case", FIXED)
def test_what_cannot_change_says_why(case: str) -> None:
    inputs, body, name, why = FIXED[case]
    group = found(inputs, body).by_name[name]
    assert (group.whole, group.ordered) == (why, why)


def test_a_norm_keeps_its_channels_whole_but_not_in_order() -> None:
    group = found("x: [N, 4]", "return x -> a: linear(6) -> n: layer_norm -> b: linear(2)").by_name["a.weight:0"]
    assert group.whole == "`moments` at `n` takes statistics over it"
    assert group.ordered is None


def test_products_of_activations_are_not_cut() -> None:
    text = 'q = x -> a: linear(6)\n k = x -> b: linear(6)\n return einsum(q, k, "n t c, n s c -> n t s")'
    group = found("x: [N, T, 4]", text).by_name["a.weight:0"]
    assert str(group.whole).endswith("no weight makes what is cut away zero")
    assert group.ordered is None


def test_a_tied_table_is_one_dimension() -> None:
    text = 'param e: [7, 4] = normal(1)\n y = relu(take(e, x, axis = 0))\n return einsum(y, e, "n c, v c -> n v")'
    assert members(found("x: i64[N]", text).by_name["e:1"]) == {("e", 1, 1)}


def test_everything_is_made_smaller() -> None:
    graph = net("x: [N, 3, 8, 8]", FLAT)
    known = groups(graph)
    smaller = restricted(known, {known.by_name["a.weight:0"]: np.array([0, 2, 5])})
    assert {path_of(w): w.shape for w in smaller.weights} == {
        "a.weight": (3, 3, 3, 3),
        "a.bias": (3,),
        "b.weight": (5, 48),
        "b.bias": (5,),
    }
    arrays = architrave.init(graph)
    few = taken(known, arrays, {known.by_name["a.weight:0"]: np.array([0, 2, 5])})
    np.testing.assert_array_equal(few["b.weight"][:, 16:32], arrays["b.weight"][:, 32:48])


@pytest.mark.parametrize(
    ("name", "units", "code"),
    [
        ("a.weight:1", [0], "E920"),
        ("a.weight:0", [], "E921"),
        ("a.weight:0", [0, 6], "E921"),
        ("a.weight:0", [-1], "E921"),
        ("a.weight:0", [1, 1], "E921"),
    ],
)
def test_what_cannot_be_cut_is_refused(name: str, units: list[int], code: str) -> None:
    known = found("x: [N, 4]", CHAIN)
    with pytest.raises(ArchitraveError, match=code):
        restricted(known, {known.by_name[name]: np.array(units, np.intp)})
