"""The public names of the package."""

from pathlib import Path

import numpy as np
import pytest

import architrave


def test_public_names() -> None:
    assert sorted(architrave.__all__) == sorted(["__version__", *architrave._PUBLIC])
    assert set(architrave.__all__) <= set(dir(architrave))
    for name in architrave.__all__:
        assert getattr(architrave, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = architrave.nothing  # type: ignore[attr-defined]


def test_from_text_to_numbers(folder: Path) -> None:
    graph = architrave.load("net.arch", classes=2)
    weights = architrave.init(graph, seed=1)
    architrave.save_weights("net.safetensors", weights)
    weights = architrave.load_weights("net.safetensors", graph)
    x = np.ones((5, 4), np.float32)
    program = architrave.compile(graph, backend="numpy")
    (expected,) = architrave.interpret(graph, [x], weights).outputs
    np.testing.assert_allclose(program(weights, x), expected, rtol=1e-5, atol=1e-6)
    assert architrave.verify(graph, ["numpy"], dtypes=["float64"]).ok


def test_operators_build_graphs() -> None:
    x = architrave.ops.input("x", "[N, 4]")
    graph = architrave.ops.graph("net", [x], [architrave.ops.relu(x)])
    assert isinstance(graph, architrave.Graph)
    assert graph == architrave.loads("model M()(x: [N, 4]) -> [N, 4] = relu(x)")
