"""What programs carry to draw their first weights gives the bits of the IR's own."""

import importlib.util
import types
from pathlib import Path

import numpy as np
import pytest

import architrave.backends
from architrave.backends.load import compile
from architrave.ir.draws import DRAWS
from architrave.ir.graph import Graph, make
from architrave.ir.initial import INITIALIZERS, initial
from architrave.ir.initializers import init
from architrave.ir.ops.leaves import Arange, State
from architrave.ir.types import DType, TensorType
from architrave.weights import unnest
from tests.ir.graphs import param

torch = pytest.importorskip("torch")


def load() -> types.ModuleType:
    # Preludes are text for programs: no module of ours imports them.
    path = Path(architrave.backends.__file__).parent / "torch" / "prelude" / "initial.py"
    spec = importlib.util.spec_from_file_location("initial", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("full", (0.1,)),
        ("uniform", (-0.3, 0.7)),
        ("normal", (0.02, 0.0)),
        ("normal", (1.0, 0.1)),
        ("trunc_normal", (0.02,)),
        ("orthogonal", (1.4,)),
        ("identity", ()),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (3, 7), (4, 2, 3, 3), (331, 300)])
def test_pytorch_draws_the_same_bits(name: str, numbers: tuple[float, ...], dtype: str, shape: tuple[int, ...]) -> None:
    if name == "orthogonal" and shape[0] > 100:
        shape = (40, 33)
    theirs = getattr(load(), name)(2**45 + 3, "a.0.weight", shape, *numbers).to(getattr(torch, dtype)).numpy()
    ours = DRAWS[name](2**45 + 3, "a.0.weight", shape, np.dtype(dtype), *numbers)
    assert theirs.dtype == ours.dtype
    assert theirs.tobytes() == ours.tobytes()


def test_bits_beyond_the_first_piece_are_the_same() -> None:
    theirs = load().uniform(1, "w", (100_001,), 0.0, 1.0).numpy()
    assert theirs.tobytes() == DRAWS["uniform"](1, "w", (100_001,), np.dtype("f8"), 0.0, 1.0).tobytes()


def network() -> Graph:
    """A weight for each initializer, some of other dtypes, and one that starts as what a graph computes."""
    half = Graph("start", (), (make(Arange(6, DType.FLOAT), ()).outputs[0] * 0.5,))
    weights = [
        param(f"layers.{i}.{kind}", (4, 3, 2), initial(kind, value=0.3) if kind == "full" else initial(kind))
        for i, kind in enumerate(INITIALIZERS)
    ]
    weights.append(param("named", (2, 2), initial("normal"), DType.F16))
    weights.append(param("computed", (6,), half))
    types = TensorType(DType.I64, ()), TensorType(DType.FLOAT, (3,))
    weights += [make(State(f"state.{t.dtype}", t, initial("ones")), ()).outputs[0] for t in types]
    return Graph("net", (), (weights[0] * 2.0,), tuple(weights))


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
def test_programs_start_from_the_same_bits(backend: str) -> None:
    pytest.importorskip(backend)
    graph = network()
    module = compile(graph, backend).native
    if backend == "torch":
        found = {path: w.numpy() for path, w in module.init(module.Model(), 2**33 + 7).state_dict().items()}
    else:
        params, state = module.init(2**33 + 7)
        found = {path: np.asarray(w) for path, w in {**unnest(params), **unnest(state)}.items()}
    ours = init(graph, 2**33 + 7)
    assert found.keys() == ours.keys()
    for path, value in ours.items():
        narrow = backend == "jax" and value.dtype == np.int64
        assert found[path].dtype == (np.int32 if narrow else value.dtype), path
        assert found[path].astype(value.dtype).tobytes() == value.tobytes(), path
