"""The draws that PyTorch programs carry give the bits of the IR's own."""

import importlib.util
import types
from pathlib import Path

import numpy as np
import pytest

import architrave.backends
from architrave.ir.draws import DRAWS

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
    theirs = getattr(load(), name)(2**45 + 3, "a.0.weight", shape, getattr(torch, dtype), *numbers).numpy()
    ours = DRAWS[name](2**45 + 3, "a.0.weight", shape, np.dtype(dtype), *numbers)
    assert theirs.dtype == ours.dtype
    assert theirs.tobytes() == ours.tobytes()


def test_bits_beyond_the_first_piece_are_the_same() -> None:
    theirs = load().uniform(1, "w", (100_001,), torch.float64, 0.0, 1.0).numpy()
    assert theirs.tobytes() == DRAWS["uniform"](1, "w", (100_001,), np.dtype("f8"), 0.0, 1.0).tobytes()
