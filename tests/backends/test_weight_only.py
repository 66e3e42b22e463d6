"""Programs of layers whose weight is held in few bits, where they take other ways than the samples do."""

import numpy as np
import pytest

import architrave
from architrave.passes import apply

TEXT = """from std.linear import linear

model M()(x: [N, 1024]) -> [N, 1500] = x -> layer: linear(1500)
"""
"""A weight that is made floats of in two parts."""
RNG = np.random.default_rng(0)


def network():
    graph = architrave.loads(TEXT)
    made = apply(graph, "weight-only")
    return made.graph, made.weights(architrave.init(graph))


@pytest.mark.parametrize("rows", [1, 3, 40])
@pytest.mark.parametrize("target", ["numpy", "torch", "jax"])
def test_parts_are_put_together(target: str, rows: int) -> None:
    if target != "numpy":
        pytest.importorskip(target)
    graph, weights = network()
    x = RNG.normal(size=(rows, 1024)).astype(np.float32)
    found = architrave.compile(graph, target)(weights, x)
    (expected,) = architrave.interpret(graph, [x], weights).outputs
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


def test_what_is_kept_beside_the_codes_follows_them() -> None:
    torch = pytest.importorskip("torch")
    graph, weights = network()
    given = {path: torch.from_numpy(w) for path, w in weights.items()}
    namespace: dict = {}
    exec(architrave.compile(graph, "torch").source, namespace)  # noqa: S102  # our own program
    model = namespace["M"]()
    model.load_state_dict(given)
    x = torch.from_numpy(RNG.normal(size=(1, 1024)).astype(np.float32))
    with torch.no_grad():
        before = model(x)
        model.layer.bias.zero_()
        model.layer.weight.bitwise_xor_(0x88)  # minus 8, or plus 8
        after = model(x)
        model.layer.weight.bitwise_xor_(0x88)
        model.layer.weight_scale.mul_(2.0)
        doubled = model(x)
        model.load_state_dict(given)
        again = model(x)
    assert not torch.allclose(before, after)
    torch.testing.assert_close(doubled, 2 * (before - given["layer.bias"]), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(again, before, rtol=0, atol=0)
    # With gradients, it computes in another way.
    x.requires_grad_(True)
    torch.testing.assert_close(model(x), before, rtol=1e-4, atol=1e-4)
    model(x).sum().backward()
    assert x.grad is not None
    assert x.grad.abs().max() > 0
    assert set(model.state_dict()) == set(given)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own, of itself
def test_it_compiles() -> None:
    torch = pytest.importorskip("torch")
    graph, weights = network()
    namespace: dict = {}
    exec(architrave.compile(graph, "torch").source, namespace)  # noqa: S102  # our own program
    model = namespace["M"]()
    model.load_state_dict({path: torch.from_numpy(w) for path, w in weights.items()})
    x = torch.from_numpy(RNG.normal(size=(1, 1024)).astype(np.float32))
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(model)(x), model(x), rtol=1e-4, atol=1e-4)
