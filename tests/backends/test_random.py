"""The generator of random numbers against the vectors that its authors publish."""

from types import ModuleType

import numpy as np
import pytest

import architrave
from architrave.ir.ops.random import RandomBits
from architrave.ir.threefry import threefry

VECTORS = (
    ((0x00000000, 0x00000000), (0x00000000, 0x00000000), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
)
"""Keys, counters and results of `threefry2x32 20` in kat_vectors of Random123, of Salmon and others (2011)."""
KEYS, COUNTERS, RESULTS = (np.array(rows, np.uint32).T for rows in zip(*VECTORS, strict=True))


def emitted(backend: str) -> ModuleType:
    """A program that draws."""
    return architrave.compile(architrave.loads("model M()(x: [2]) = random.bits([2])"), backend).native


def test_the_reference_gives_the_published_numbers() -> None:
    np.testing.assert_array_equal(threefry(KEYS, COUNTERS), RESULTS)


def test_numpy_programs_give_the_published_numbers() -> None:
    np.testing.assert_array_equal(emitted("numpy").threefry(KEYS, COUNTERS), RESULTS)


def test_torch_programs_give_the_published_numbers() -> None:
    torch = pytest.importorskip("torch")
    key, counter = (torch.from_numpy(x.astype(np.int64)) for x in (KEYS, COUNTERS))
    np.testing.assert_array_equal(emitted("torch").threefry(key, counter).numpy(), RESULTS)


def test_jax_programs_give_the_published_numbers() -> None:
    jax = pytest.importorskip("jax")
    found = emitted("jax").threefry_2x32(jax.numpy.asarray(KEYS), jax.numpy.asarray(COUNTERS))
    np.testing.assert_array_equal(found, RESULTS)


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
def test_bits_are_the_words_of_the_encrypted_numbers(backend: str) -> None:
    """The definition in docs/numerics.md, word for word."""
    if backend != "numpy":
        pytest.importorskip(backend)
    place = np.array(RandomBits((5,), "random_0").place, np.uint32)[:, None]
    key = threefry(np.array([[7], [3]], np.uint32), place)
    words = threefry(key, np.array([[0, 1, 2], [0, 0, 0]], np.uint32)).T.reshape(-1)
    program = architrave.compile(architrave.loads("model M()(x: [2]) = random.bits([5])"), backend)
    np.testing.assert_array_equal(program({}, np.zeros(2), key=(7, 3)), words[:5])
