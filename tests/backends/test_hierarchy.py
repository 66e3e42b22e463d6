"""Blocks, functions and chains, recovered from flat graphs."""

from architrave.backends.agree import verify
from architrave.backends.definitions import define
from architrave.backends.hierarchy import Chain, Region, post_order, recover
from architrave.ir import build
from architrave.ir.graph import Graph
from architrave.ir.mode import specialize
from architrave.ir.ops.leaves import path_of
from architrave.ir.place import Block, Place, marked
from architrave.models import loads

MODEL = Place("", Block("model", "M"))


def block(name: str, segment: str, parent: Place = MODEL, kind: str = "block") -> Place:
    return Place(segment, Block(kind, name), parent)


def unit(x, place: Place, weight: str = "weight"):
    """Three nodes and a weight at a place."""
    with marked(place=place):
        return build.exp(build.matmul(x, build.param(f"{place.path}.{weight}", "[4, 4]"))) + x


def graph(inputs, outputs) -> Graph:
    built = build.graph("m", inputs, outputs)
    return Graph("m", built.inputs, built.outputs, built.weights, place=MODEL)


def outline(region: Region) -> list[object]:
    """The items of a region: names of operators, lists for regions, tuples for chains."""
    found: list[object] = []
    for item in region.items:
        match item:
            case Region():
                found.append([item.path or item.name, *outline(item)])
            case Chain():
                found.append((item.path, item.first, len(item.regions)))
            case _:
                found.append(item.op.name)
    return found


def test_nodes_of_one_place_are_a_region():
    x = build.input("x", "[N, 4]")
    y = unit(x, block("Unit", "a"))
    with marked(place=MODEL):
        z = build.tanh(y)
    root = recover(graph([x], [z]))
    assert outline(root) == [["a", "matmul", "exp", "add"], "tanh"]
    (region,) = root.regions()
    assert (list(region.inputs), list(region.outputs)) == ([x], [y])
    assert [path_of(w) for w in region.weights] == ["a.weight"]


def test_elements_of_a_list_that_feed_one_another_are_a_chain():
    x = y = build.input("x", "[N, 4]")
    for number in range(5):
        y = unit(y, block("Unit", f"layer.{number}"))
    root = recover(graph([x], [y]))
    assert outline(root) == [("layer", 0, 5)]
    assert len(set(define(root).values())) == 2


def test_a_result_that_is_used_elsewhere_ends_a_chain():
    x = y = build.input("x", "[N, 4]")
    results = []
    for number in range(4):
        y = unit(y, block("Unit", f"layer.{number}"))
        results.append(y)
    root = recover(graph([x], [results[1], y]))
    assert outline(root) == [("layer", 0, 2), ("layer", 2, 2)]


def test_what_a_pass_has_torn_apart_is_inline():
    x = build.input("x", "[N, 4]")
    place = block("Unit", "a")
    before = unit(x, place)
    with marked(place=MODEL):
        moved = build.tanh(before)
    after = unit(moved, place, "other")
    root = recover(graph([x], [after]))
    assert outline(root) == ["matmul", "exp", "add", "tanh", "matmul", "exp", "add"]
    assert [path_of(w) for w in root.weights] == ["a.weight", "a.other"]


def test_regions_that_need_one_another_are_torn_though_each_is_convex():
    x = build.input("x", "[N, 4]")
    a, b = block("A", "a"), block("B", "b")
    first, second = unit(x, a), unit(x, b)
    with marked(place=b):
        third = build.tanh(first)
    with marked(place=a):
        fourth = build.tanh(second)
    root = recover(graph([x], [third, fourth]))
    assert outline(root) == ["matmul", "exp", "add", "matmul", "exp", "add", "tanh", "tanh"]


def test_a_layer_of_the_block_around_stays_a_region():
    x = build.input("x", "[N, 4]")
    around = block("Around", "around")
    y = unit(x, around)
    inner = unit(y, block("Unit", "shared"))
    z = unit(inner, around, "other")
    root = recover(graph([x], [z]))
    assert outline(root) == ["matmul", "exp", "add", ["shared", "matmul", "exp", "add"], "matmul", "exp", "add"]


def test_a_block_below_the_path_of_another_makes_that_one_inline():
    x = build.input("x", "[N, 4]")
    outer = unit(x, block("Unit", "a"))
    y = unit(outer, block("Unit", "a.b"))
    root = recover(graph([x], [y]))
    assert outline(root) == ["matmul", "exp", "add", ["a.b", "matmul", "exp", "add"]]


def test_small_functions_are_inline_and_large_ones_stand():
    x = build.input("x", "[N, 4]")
    with marked(place=block("small", "", kind="fn")):
        y = build.exp(x) + 1.0
    with marked(place=block("large", "", kind="fn")):
        z = build.tanh(build.exp(y) * 2.0)
    root = recover(graph([x], [z]))
    assert outline(root) == ["exp", "add", ["large", "exp", "multiply", "tanh"]]


def test_a_weight_of_another_block_is_an_input():
    x = build.input("x", "[N, 4]")
    with marked(place=MODEL):
        weight = build.param("table", "[4, 4]")
        y = build.matmul(x, weight)
    with marked(place=block("Unit", "a")):
        z = build.tanh(build.exp(build.matmul(y, weight)))
    root = recover(graph([x], [z]))
    (region,) = root.regions()
    assert list(region.inputs) == [y, weight]
    assert list(root.weights) == [weight]


def test_blocks_are_deep_only_as_far_as_python_goes():
    x = y = build.input("x", "[N, 4]")
    place = MODEL
    for _ in range(500):
        place = block("Unit", "a", place)
        y = unit(y, place)
    regions = post_order(recover(graph([x], [y])))
    assert max(region.depth for region in regions) < 100


TEXT = """
from std.norm import batch_norm
block Unit()(x: [N, C]) -> [N, C] {
    y = x -> norm: batch_norm -> relu
    return y * 2 + x
}
model M()(x: [N, 4]) -> [N, 4] {
    for i in 0..3 { x = x -> layer[i]: Unit() }
    return x
}
"""


def test_equal_blocks_are_defined_once_though_they_share_bodies():
    root = recover(loads(TEXT))
    assert outline(root) == [("layer", 0, 3)]
    assert sorted(d.name for d in set(define(root).values())) == ["M", "Unit", "batch_norm"]


IDLE = """
block Counter()(x: [N, C]) -> [N, C] {
    state seen: [] = zeros
    y = exp(x)
    if training {
        seen := seen + mean(y)
    }
    return x * tanh(y + seen)
}

model Idle()(x: [N, 4]) -> [N, 4] {
    results = [x -> a: Counter, x -> b: Counter]
    return results[0]
}
"""


def test_a_block_whose_result_nobody_takes_counts_in_what_is_around_it():
    network = loads(IDLE)
    root = recover(network)
    assert [region.path for region in root.regions()] == ["a"]
    assert [path_of(state) for state, _ in root.updates] == ["b.seen"]
    assert verify(network, ["numpy"], dtypes=["float64"]).ok


def test_a_chosen_mode_keeps_the_hierarchy():
    for training in (False, True):
        root = recover(specialize(loads(TEXT), training))
        assert outline(root) == [("layer", 0, 3)]
        assert {r.path for r in post_order(root)} == {"", *(f"layer.{i}{n}" for i in range(3) for n in ("", ".norm"))}
