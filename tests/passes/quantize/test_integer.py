"""Networks of integers: nothing else is left in them, and they give the same bytes on every backend."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest

from architrave.backends.load import compile
from architrave.ir.graph import Graph
from architrave.ir.interpret import interpret
from architrave.passes import apply
from architrave.passes.static import Static
from tests.passes.quantize.calibrated import rounded
from tests.stdlib.small import SMALL

Array = np.ndarray[Any, Any]
IN_PART = {
    "BARTBase": "embeddings; attention over a length that only the run knows",
    "BERTBase": "embeddings; attention over a length that only the run knows",
    "BiPFTBase": "embeddings; layers that round by themselves",
    "DLRM": "embeddings",
    "GPT2Small": "embeddings; attention over a length that only the run knows",
    "LSTMTagger": "embeddings; loops",
    "Llama": "embeddings; attention over a length that only the run knows",
    "TernaryBARTBase": "embeddings; layers that round by themselves",
}
"""Networks of which something stays in floats, and what."""
WHOLE = sorted(set(SMALL) - set(IN_PART))
QUICK = {"DenseNet121", "EfficientNetB0", "FastViTT8", "MLPMixerS16", "MobileNetV2", "ResNet18", "ViTTi16", "VGG16"}
"""Networks of every kind. The others are tried when there is time."""
BACKENDS = ("numpy", "torch", "jax")


def some(names: Sequence[str]) -> list[Any]:
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names]


@cache
def lowered(name: str) -> tuple[Graph, dict[str, Array], Sequence[Array], tuple[Array, ...]]:
    """A network of integers, its weights and input, and what the rounded network makes of that in floats."""
    graph, weights, inputs = rounded(name, "{functions=true}")
    made = apply(graph, "integer,hoist,clean")
    return made.graph, made.weights(weights), inputs, interpret(graph, inputs, weights).outputs


def floats_inside(graph: Graph) -> set[str]:
    """The operators that make floats of what depends on the input, but for the way out."""
    static = Static(graph)
    made = {node.op.name for node in graph.nodes if node.outputs[0] not in static and node.outputs[0].dtype.is_float}
    return made - {"input", "dequantize"}


@pytest.mark.parametrize("name", some(WHOLE))
def test_same_bytes_everywhere(name: str) -> None:
    graph, weights, inputs, near = lowered(name)
    assert floats_inside(graph) == set()
    expected = [y.astype(np.float32) for y in interpret(graph, inputs, weights).outputs]
    for target in BACKENDS:
        found = compile(graph, target).run(weights, *inputs).outputs
        assert [y.tobytes() for y in found] == [y.tobytes() for y in expected], target
    for wanted, rough in zip(expected, near, strict=True):
        assert np.square(wanted - rough).mean() <= 0.01 * np.square(rough).mean()


@pytest.mark.parametrize("name", sorted(IN_PART))
def test_what_stays_in_floats(name: str) -> None:
    graph, weights, inputs, near = lowered(name)
    assert floats_inside(graph)
    for found, rough in zip(interpret(graph, inputs, weights).outputs, near, strict=True):
        assert np.square(found - rough).mean() <= 0.05 * np.square(rough).mean()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["VGG16", "ResNet18", "ViTTi16", "ConvNeXtT"])
def test_jax_gives_the_same_bytes_uncompiled(name: str) -> None:
    jax = pytest.importorskip("jax")
    graph, weights, inputs, _ = lowered(name)
    compiled = compile(graph, "jax").run(weights, *inputs).outputs
    with jax.disable_jit():
        found = compile(graph, "jax").run(weights, *inputs).outputs
    assert [y.tobytes() for y in found] == [y.tobytes() for y in compiled]


# PyTorch's own compiler imports what PyTorch no longer wants to be used. It takes minutes for one transformer block,
# whose integer softmax and norms become kernels of thousands of operations.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")
@pytest.mark.slow
@pytest.mark.parametrize("name", ["ResNet18", "MobileNetV2", "ViTB16"])
def test_pytorch_gives_the_same_bytes_compiled(name: str) -> None:
    torch = pytest.importorskip("torch")
    graph, weights, inputs, _ = lowered(name)
    program = compile(graph, "torch")
    model = program.native.Model()
    model.load_state_dict({path: torch.from_numpy(np.asarray(w)) for path, w in weights.items()}, strict=False)
    given = [torch.from_numpy(np.asarray(x, np.float32)) for x in inputs]
    torch._dynamo.reset()
    with torch.no_grad():
        plain, compiled = model.eval()(*given), torch.compile(model.eval())(*given)
    assert plain.numpy().tobytes() == compiled.numpy().tobytes()
    (expected,) = compile(graph, "numpy").run(weights, *inputs).outputs
    assert plain.numpy().tobytes() == expected.tobytes()
