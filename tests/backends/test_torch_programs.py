"""What PyTorch programs promise beyond their results: how they read, what they hold, that they stand alone."""

import subprocess
import sys

import numpy as np
import pytest

from architrave.backends.base import backend
from architrave.backends.load import compile, load
from architrave.ir.initializers import init
from architrave.ir.source import ArchitraveError
from architrave.models import load as model
from architrave.models import loads
from tests.stdlib.small import SMALL

torch = pytest.importorskip("torch")

HEADER = """
from std.attention import self_attention
from std.conv import conv2d, global_avg_pool, max_pool
from std.linear import embedding, linear
from std.norm import batch_norm, layer_norm
from std.recurrent import lstm
from std.regularize import dropout
"""
NETWORKS = {
    # Blocks that differ in numbers are one class; a stage is a list; weights named like Python's own words.
    "residual": '''
    block Residual(width: int, stride: int = 1)(x: [N, C, H, W]) -> [N, width, _, _] {
        """Two convolutions around a shortcut."""
        y = x -> conv1: conv2d(width, 3, stride = stride, bias = false) -> bn1: batch_norm -> relu
              -> conv2: conv2d(width, 3, bias = false) -> bn2: batch_norm
        s = x
        if stride != 1 or C != width {
            s = x -> shortcut: conv2d(width, 1, stride = stride, bias = false)
        }
        return relu(y + s)
    }
    model Small(classes: int = 10)(image: [N, 3, 16, 16]) -> [N, classes] {
        """A residual network for small images."""
        x = image -> stem: conv2d(8, 3) -> relu
        for i in 0..4 { x = x -> layer1[i]: Residual(8) }
        for i in 0..3 { x = x -> layer2[i]: Residual(16, stride = if i == 0 { 2 } else { 1 }) }
        return x -> global_avg_pool -> head: linear(classes)
    }''',
    # A loop over blocks that all take the mask; symbolic sizes; dropout.
    "decoder": '''
    block Layer(heads: int)(x: [N, T, C], mask: [N, T]) -> [N, T, C] {
        y = x -> norm: layer_norm -> attention: self_attention(heads, causal = true) -> dropout(0.1)
        return x + y * unsqueeze(mask, 2)
    }
    model Decoder(vocab: int = 30, width: int = 8, depth: int = 3)(tokens: i64[N, T], mask: [N, T]) -> [N, T, vocab] {
        """A small decoder whose positions can be masked."""
        x = tokens -> embed: embedding(vocab, width)
        for i in 0..depth { x = (x, mask) -> layers[i]: Layer(2) }
        return x -> norm: layer_norm -> head: linear(vocab, bias = false)
    }''',
    # Loops over steps, states, a gradient of its own, and a function with numbers as arguments.
    "steps": '''
    fn spike(v: [*S]) -> [*S] {
        """One where the potential is reached."""
        return where(v >= 0, 1.0, 0.0)
    } grad (g) {
        return g / (1 + abs(v)) ** 2
    }
    fn leaky(v: [*S], rest: float, decay: float) -> [*S] {
        drift = (v - rest) * decay
        return rest + drift * exp(-abs(drift))
    }
    block Moving(rate: float = 0.1)(x: [N, C]) -> [N, C] {
        state level: [C] = zeros
        level := (1 - rate) * level + rate * mean(x, axis = 0)
        return x - level
    }
    model Spiking(width: int = 6)(x: [N, T, 3]) -> ([N, T, width], [N, width]) {
        """Neurons that leak, spike and are reset."""
        weights = linear(width)
        scan x_t in x, axis = 1, carry (v = zeros([N, width])) {
            v = leaky(v, 0.1, 0.9) + (x_t -> weights -> level: Moving)
            s = spike(v - 1)
            v = v - s
            emit s as spikes
        }
        v = leaky(v, 0.2, 0.5)
        while max(abs(v)) > 1, carry (v = v), max = 8 { v = v / 2 }
        return (spikes, v)
    }''',
}


@pytest.fixture(scope="module", params=NETWORKS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def graphs():
    return {name: loads(HEADER + text) for name, text in NETWORKS.items()}


def inputs_of(graph):
    """Zeros, or ones for what must be float."""
    shapes = [tuple(s if isinstance(s, int) else 2 for s in v.shape) for v in graph.inputs]
    kinds = [torch.int64 if v.dtype.is_integer else torch.float32 for v in graph.inputs]
    return [torch.ones(s, dtype=k) for s, k in zip(shapes, kinds, strict=True)]


def test_reads_as_a_person_would_write_it(name, graphs, golden):
    golden(f"torch_{name}.py", backend("torch").emit(graphs[name]))


@pytest.mark.parametrize("standard", SMALL)
def test_the_state_dict_has_the_paths_of_the_weights(standard):
    graph = model(standard, **SMALL[standard])
    program = load(backend("torch").emit(graph), standard)
    state = program.Model().state_dict()
    wanted = {w.op.path: w.type.shape for w in graph.weights}
    assert {path: tuple(tensor.shape) for path, tensor in state.items()} == wanted
    values = {path: torch.from_numpy(value) for path, value in init(graph).items()}
    program.Model().load_state_dict(values, strict=True)


@pytest.mark.parametrize("standard", ["ResNet50", "GPT2Small", "ConvNeXtT", "LSTMTagger", "UNet"])
def test_init_gives_the_same_bits(standard):
    graph = model(standard, **SMALL[standard])
    program = load(backend("torch").emit(graph), standard)
    found = program.init(program.Model(), 5).state_dict()
    expected = init(graph, 5)
    assert [p for p in expected if expected[p].tobytes() != found[p].numpy().tobytes()] == []


DRAWS = ["orthogonal(1.5)", "identity", "trunc_normal(0.02)", "full(2.5)", "normal(0.3)", "uniform(-1, 3)"]


@pytest.mark.parametrize("draw", [*DRAWS, "xavier_normal()", "kaiming_uniform()"])
def test_every_initializer_gives_the_same_bits(draw):
    text = f"model M()(x: [N, 5]) -> [N, 7] {{\n    param w: [7, 5] = {draw}\n    return op.linear(x, w)\n}}"
    graph = loads(text)
    program = load(backend("torch").emit(graph), "draw")
    for seed in (0, 2**40 + 3):
        found = program.init(program.Model(), seed).state_dict()["w"].numpy()
        assert found.tobytes() == init(graph, seed)["w"].tobytes()


@pytest.mark.parametrize("training", [False, True])
def test_compiles_without_a_break_and_exports(name, graphs, training):
    if name == "steps":
        pytest.skip("a loop that runs until a value says stop is a break by its nature")
    program = load(backend("torch").emit(graphs[name]), name)
    network = program.init(program.Model(), 0).train(training)
    inputs = inputs_of(graphs[name])
    key = {"key": torch.tensor([1, 2])} if "key=None" in backend("torch").emit(graphs[name]) else {}
    expected = network(*inputs, **key)
    torch._dynamo.reset()
    compiled = torch.compile(network, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(*inputs, **key), expected)
    torch.export.export(network, tuple(inputs), kwargs=key)


def test_moves_between_precisions(name, graphs):
    program = load(backend("torch").emit(graphs[name]), name)
    for dtype in (torch.float64, torch.bfloat16):
        network = program.init(program.Model(), 0).to(dtype).eval()
        inputs = [x.to(dtype) if x.is_floating_point() else x for x in inputs_of(graphs[name])]
        outputs = network(*inputs)
        assert {y.dtype for y in (outputs if isinstance(outputs, tuple) else (outputs,))} == {dtype}


ALONE = """
import sys
sys.modules["architrave"] = None
sys.modules["numpy"] = None
import torch
program = {"__name__": "program"}
exec(compile(open(sys.argv[1], encoding="utf-8").read(), sys.argv[1], "exec"), program)
network = program["init"](program["Model"](), 3)
print(float(network(torch.ones(2, 3, 16, 16)).sum()))
"""


def test_stands_alone(graphs, tmp_path):
    source = backend("torch").emit(graphs["residual"])
    path = tmp_path / "program.py"
    path.write_text(source, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ALONE, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    program = load(source, "residual")
    expected = program.init(program.Model(), 3)(torch.ones(2, 3, 16, 16)).sum().item()
    assert float(done.stdout) == pytest.approx(expected, rel=1e-5)


def test_an_open_choice_is_refused():
    text = """
    model M()(x: [N, 4]) -> [N, 4] { return x -> choice op { a: relu, b: tanh } }
    """
    from architrave.models import find_in_text

    graph = find_in_text(text).elaborate({}, keep_choices=True).graph
    with pytest.raises(ArchitraveError, match="E404") as problem:
        backend("torch").emit(graph)
    assert "decide" in str(problem.value)


def test_ten_thousand_layers():
    text = """
    from std.linear import linear
    block Unit()(x: [N, C]) -> [N, C] = x + (x -> up: linear(4) -> relu -> down: linear(C))
    model Deep(depth: int)(x: [N, 2]) -> [N, 2] {
        for i in 0..depth { x = x -> layer[i]: Unit() }
        return x
    }
    """.replace("depth: int)", "depth: int = 10000)")
    source = backend("torch").emit(loads(text))
    assert "for _ in range(10000)" in source
    assert len(source) < 10_000


def test_gradients_are_those_of_the_fn(graphs):
    program = load(backend("torch").emit(graphs["steps"]), "steps")
    x = torch.linspace(-2, 2, 9, dtype=torch.float64, requires_grad=True)
    y = program.spike(x)
    (found,) = torch.autograd.grad(y.sum(), x)
    assert y.tolist() == [0.0] * 4 + [1.0] * 5
    torch.testing.assert_close(found, 1 / (1 + x.detach().abs()) ** 2)


def test_training_updates_the_states_and_inference_does_not(graphs):
    program = load(backend("torch").emit(graphs["residual"]), "residual")
    network = program.init(program.Model(), 0)
    inputs = [torch.from_numpy(np.random.default_rng(0).normal(size=(4, 3, 16, 16)).astype(np.float32))]
    before = {k: v.clone() for k, v in network.state_dict().items()}
    network.eval()(*inputs)
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())
    network.train()(*inputs).sum().backward()
    changed = {k.rpartition(".")[2] for k, v in network.state_dict().items() if not torch.equal(before[k], v)}
    assert changed == {"running_mean", "running_var"}


def test_program_runs_like_the_module(graphs):
    graph = graphs["residual"]
    weights = init(graph, 1)
    image = np.random.default_rng(0).normal(size=(2, 3, 16, 16)).astype(np.float32)
    program = compile(graph, "torch")
    network = program.native.init(program.native.Model(), 1).eval()
    np.testing.assert_allclose(
        program(weights, image), network(torch.from_numpy(image)).detach().numpy(), rtol=1e-6, atol=1e-6
    )
