"""What every turn of a loop computes alike is computed before it."""

import numpy as np

import architrave
from architrave.ir.interpret import interpret
from architrave.ir.ops.control import Scan
from architrave.passes import apply

NETWORK = """
from std.linear import linear

model M()(x: [N, T, 4]) -> [N, T, 4] {
    param w: [4] = normal(1.0)
    param unused: [4] = ones
    h = zeros([N, 4])
    scan x_t in x, axis = 1, carry (h = h) {
        scale = exp(w) / 2 + 1
        scan y in x_t, axis = 1, carry (total = 0 * sum(x_t)) {
            total = total + sum(y * exp(sum(w)))
        }
        h = h * scale + x_t + total
        emit h as found
    }
    return found
}
"""


def test_what_no_turn_changes_leaves_all_loops() -> None:
    graph = architrave.loads(NETWORK)
    after = apply(graph, "invariant,hoist").graph
    outer = next(node.op for node in after.nodes if isinstance(node.op, Scan))
    inner = next(node.op for node in outer.body.nodes if isinstance(node.op, Scan))
    assert "exp" not in {node.op.name for g in (outer.body, inner.body) for node in g.nodes}
    weights = architrave.init(graph, 0, np.float64)
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    new = apply(graph, "invariant,hoist").weights(weights)
    expected = interpret(graph, [x], weights).outputs[0]
    np.testing.assert_allclose(interpret(after, [x], new).outputs[0], expected, rtol=1e-12)
    assert len(new) == 2


def test_a_loop_without_any_stays_as_it_is() -> None:
    body = "h = zeros([4])\nscan y in x, carry (h = h) {\n h = 2 * h + y\n emit h as all\n}\nreturn all"
    graph = architrave.loads(f"model M()(x: [T, 4]) {{\n{body}\n}}")
    assert apply(graph, "invariant").graph == graph
