"""What NumPy and JAX programs promise beyond their results: they stand alone, are pure, and can be transformed."""

import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest

from architrave.backends.load import compile
from architrave.ir.initializers import init
from architrave.ir.interpret import interpret
from architrave.models import loads
from architrave.weights import nest, unnest

TEXT = '''
from std.conv import conv2d
from std.linear import linear
from std.norm import batch_norm
from std.recurrent import lstm
from std.regularize import dropout

fn spike(v: [*S]) -> [*S] {
    return where(v >= 0, 1.0, 0.0)
} grad (g) {
    return g / (1 + abs(v)) ** 2
}

block Unit(width: int)(x: [N, C, H, W]) -> [N, width, H, W] = x -> conv: conv2d(width) -> norm: batch_norm -> relu

model Everything(width: int = 4)(image: [N, 2, 3, 5]) -> ([N, 3], [N, 3]) {
    """Blocks in a loop, states, a scan, a bounded loop, a gradient of its own, and random numbers."""
    x = image
    for i in 0..3 {
        x = x -> unit[i]: Unit(width)
    }
    (y, last) = rearrange(x, "n c h w -> n (h w) c") -> recurrent: lstm(width)
    z = mean(y, axis = 1) -> drop: dropout(0.5) -> head: linear(3)
    scan t in 0..4, carry (total = z) {
        total = total * 0.5 + cast(t, float)
    }
    while sum(abs(total)) > 0.5, carry (total = total), max = 20 {
        total = total * 0.7
    }
    return (total + spike(z), z)
}
'''
ALONE = """
import sys, importlib.abc

class Forbidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {forbidden!r}:
            raise ImportError(name)

sys.meta_path.insert(0, Forbidden())
try:
    import architrave
except ImportError:
    pass
else:
    raise SystemExit("architrave can be imported")
import numpy as np
source = open(sys.argv[1], encoding="utf-8").read()
program = dict(__name__="program")
exec(compile(source, sys.argv[1], "exec"), program)
params, state = program["init"](7)
outputs, new = program["apply"](params, state, np.ones((2, 2, 3, 5), np.float32), training=True, key=(1, 2))
print([float(np.sum(np.abs(y))) for y in outputs])
"""


@pytest.fixture(scope="module")
def graph():
    return loads(TEXT)


@pytest.fixture(params=["numpy", "jax"])
def target(request):
    pytest.importorskip(request.param)
    return request.param


def arrays(tree):
    return {path: np.asarray(value) for path, value in unnest(tree).items()}


def test_programs_stand_alone(graph, target, tmp_path):
    file = tmp_path / "everything.py"
    file.write_text(compile(graph, target).source, encoding="utf-8")
    forbidden = {"architrave", "torch"} | ({"jax"} if target == "numpy" else set())
    script = ALONE.replace("{forbidden!r}", repr(forbidden))
    run = subprocess.run([sys.executable, "-c", script, file], capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    weights = init(graph, 7)
    expected = interpret(graph, [np.ones((2, 2, 3, 5))], weights, True, key=(1, 2)).outputs
    sums = [float(np.sum(np.abs(y))) for y in expected]
    np.testing.assert_allclose(eval_list(run.stdout), sums, rtol=1e-4)


def eval_list(text):
    return [float(part) for part in text.strip("[]\n ").split(",")]


@pytest.mark.parametrize("training", [False, True])
def test_apply_leaves_what_it_is_given(graph, target, training):
    program = compile(graph, target).native
    params, state = program.init(0)
    before = {**arrays(params), **arrays(state)}
    kept = {path: value.copy() for path, value in before.items()}
    result = program.apply(params, state, np.ones((2, 2, 3, 5), np.float32), training=training)
    after = {**arrays(params), **arrays(state)}
    assert all(np.array_equal(after[path], kept[path]) for path in kept)
    if training:
        new = arrays(result[1])
        assert new.keys() == arrays(state).keys()
        assert not any(np.array_equal(new[path], kept[path]) for path in new)


def test_loops_and_blocks_are_written_as_loops(graph, target):
    source = compile(graph, target).source
    assert source.count("def unit(") == 1
    assert "for i in range(1, 3):" in source
    assert ("jax.lax.scan(" in source) == (target == "jax")


def test_jax_programs_can_be_compiled_differentiated_and_mapped(graph):
    jax = pytest.importorskip("jax")
    program = compile(graph, "jax").native
    params, state = program.init(0)
    image = jax.numpy.asarray(np.random.default_rng(0).standard_normal((2, 2, 3, 5)), "float32")

    def loss(params, image):
        (total, z), new = program.apply(params, state, image, training=True)
        return total.sum() + (z**2).sum(), new

    eager, _ = loss(params, image)
    compiled, _ = jax.jit(loss)(params, image)
    np.testing.assert_allclose(compiled, eager, rtol=1e-5)
    gradients, _ = jax.jit(jax.grad(loss, has_aux=True))(params, image)
    assert all(np.isfinite(g).all() for g in arrays(gradients).values())
    assert any(np.any(g) for g in arrays(gradients).values())
    outputs = jax.vmap(lambda x: program.apply(params, state, x[None])[1][0])(image)
    np.testing.assert_allclose(outputs, program.apply(params, state, image)[1], rtol=1e-4, atol=1e-6)


def test_weights_enter_by_their_paths(graph, target):
    program = compile(graph, target).native
    params, state = program.init(3)
    flat = init(graph, 3)
    tree = {**arrays(params), **arrays(state)}
    assert tree.keys() == flat.keys()
    assert all(np.array_equal(tree[path], flat[path]) for path in flat)
    assert unnest(nest(flat)).keys() == flat.keys()


@pytest.mark.parametrize("target", ["numpy", "jax"])
@pytest.mark.parametrize("expression", ["0.5 * x", "x - 1", "x / 3", "where(x > 0, 0.0, x)", "maximum(x, 0.5)"])
def test_a_number_does_not_widen_what_it_stands_beside(target, expression):
    if target == "jax":
        pytest.importorskip("jax")
    x = np.array([-1.0, 2.0], ml_dtypes.bfloat16)
    graph = loads(f"model M()(x: bf16[2]) -> bf16[2] = {expression}")
    assert compile(graph, target)({}, x).dtype == ml_dtypes.bfloat16


@pytest.mark.parametrize("target", ["jax", "torch"])
def test_functions_with_gradients_of_their_own_have_names_of_their_own(target):
    """`f` is written in two sizes; its gradients must not get the name of what calls the other one."""
    pytest.importorskip(target)
    text = """
    fn f(x: [*B, C], s: [C]) -> [*B, C] {
        return x * s
    } grad (g) {
        return (g * s, zeros(s.shape))
    }
    block F(n: int)(x: [*B, C]) -> [*B, C] {
        for i in 0..n {
            x = relu(x)
        }
        return x
    }
    model M()(x: [2, 4], y: [2, 5], s: [4], t: [5]) = (f(x, s) -> F(1) -> F(2), f(y, t))
    """
    graph, rng = loads(text), np.random.default_rng(0)
    inputs = [rng.normal(size=size) for size in ((2, 4), (2, 5), 4, 5)]
    found = compile(graph, target).gradients({}, *inputs, cotangents=[np.ones((2, 4)), np.ones((2, 5))])
    expected = (inputs[2] * (inputs[0] * inputs[2] > 0), np.broadcast_to(inputs[3], (2, 5)), np.zeros(4), np.zeros(5))
    for actual, wanted in zip(found.inputs, expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-12)
