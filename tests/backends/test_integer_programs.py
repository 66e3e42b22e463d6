"""Integers come out the same by every way that a program has to them."""

from collections.abc import Iterator

import numpy as np
import pytest

from architrave.backends.load import Program, compile
from architrave.ir.graph import Graph, make
from architrave.ir.interpret import interpret
from architrave.ir.op import OPS, Sample
from architrave.ir.ops.leaves import Input

NAMES = ("linear_integer", "matmul_integer", "conv_integer", "requantize", "fixed_point")
FEW = {"linear_integer": 6, "conv_integer": 8, "requantize": 6}
"""So many samples, the last ones, where a way is slow."""


def cases(name: str, target: str) -> Iterator[tuple[Program, list[np.ndarray], tuple[np.ndarray, ...]]]:
    """Programs of the operator's samples, inputs, and what must come out."""
    good = [sample for sample in OPS[name].samples() if sample.error is None]
    for number, sample in enumerate(good[-FEW.get(name, len(good)) :]):
        graph = graph_of(name, sample)
        inputs = [x.astype(np.float32) if x.dtype.kind == "f" else x for x in sample.draw(number)]
        yield compile(graph, target), inputs, interpret(graph, inputs).outputs


def graph_of(name: str, sample: Sample) -> Graph:
    inputs = tuple(make(Input(f"x{i}", type), ()).outputs[0] for i, type in enumerate(sample.types))
    return Graph(name, inputs, make(OPS[name](**sample.attributes), inputs).outputs)


def same(found: tuple[np.ndarray, ...], wanted: tuple[np.ndarray, ...]) -> bool:
    return [(y.dtype, y.shape, y.tobytes()) for y in found] == [(y.dtype, y.shape, y.tobytes()) for y in wanted]


@pytest.mark.parametrize("name", NAMES)
def test_jax_uncompiled(name: str) -> None:
    jax = pytest.importorskip("jax")
    for program, inputs, wanted in cases(name, "jax"):
        with jax.disable_jit():
            assert same(program.run({}, *inputs).outputs, wanted), program.source


@pytest.mark.parametrize("name", ["linear_integer", "conv_integer"])
def test_torch_where_there_are_no_products_of_bytes(name: str) -> None:
    pytest.importorskip("torch")
    for program, inputs, wanted in cases(name, "torch"):
        program.native.HAS_BYTES = False
        assert same(program.run({}, *inputs).outputs, wanted), program.source


@pytest.mark.parametrize("name", NAMES)
def test_torch_compiled(name: str) -> None:
    torch = pytest.importorskip("torch")
    for program, inputs, wanted in cases(name, "torch"):
        torch._dynamo.reset()
        compiled = torch.compile(program.native.Model(), fullgraph=True, backend="eager")
        found = compiled(*(torch.from_numpy(x.copy()) for x in inputs))
        found = found if isinstance(found, tuple) else (found,)
        assert same(tuple(y.numpy() for y in found), wanted), program.source


@pytest.mark.parametrize("target", ["numpy", "torch"])
def test_multipliers_of_24_bits_round_as_others_do(target: str) -> None:
    """Float64 holds their products with sums of 30 bits: ties, next to ties, and beyond."""
    sums = np.array([0, 1, -1, 3, 2**29, -(2**29), 2**29 + 1, 2**31 - 1, -(2**31), 12345678, 2**28 + 1], np.int32)
    multipliers = np.array([2**30, (2**24 - 1) << 7, 1518500352, 128, 0], np.int32)[:, None]
    for cut, shift in ((10, 31), (4, 1), (6, 46), (6, 35), (11, 46), (11, 62)):
        sample = Sample((np.tile(sums[:cut], (5, 1)), multipliers, np.array(shift, np.int32)), {"bits": 24})
        graph, inputs = graph_of("requantize", sample), list(sample.inputs)
        assert same(compile(graph, target).run({}, *inputs).outputs, interpret(graph, inputs).outputs)


@pytest.mark.parametrize("target", ["numpy", "torch"])
def test_many_sums_are_requantized_in_parts(target: str) -> None:
    rng = np.random.default_rng(0)
    sums = rng.integers(-(2**20), 2**20, (3, 5, 128, 128)).astype(np.int32)
    by = rng.integers(2**23, 2**24, (5, 1, 1)).astype(np.int32) << 7
    shift = np.array([40, 41, 42, 43, 44], np.int32).reshape(5, 1, 1)
    sample = Sample((sums, by, shift, np.array(-3, np.int32)), {})
    graph, inputs = graph_of("requantize", sample), list(sample.inputs)
    assert same(compile(graph, target).run({}, *inputs).outputs, interpret(graph, inputs).outputs)
