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


NOISE = """
from std.regularize import dropout
block Layer()(x: [N, C]) -> [N, C] = x -> dropout(0.25)
model M()(x: [N, C]) = (x -> a: Layer -> b: Layer, random.uniform([4000]), random.normal([4000]), random.bits([4000]))
"""


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
def test_the_generator_of_the_framework_is_keyed_by_the_run_and_the_place(backend: str) -> None:
    if backend != "numpy":
        pytest.importorskip(backend)
    program = architrave.compile(architrave.loads(NOISE), backend, random="framework")
    assert "threefry" not in program.source.partition("def weights")[0]
    assert "framework's own generator" in program.source
    x = np.ones((40, 50), np.float32)
    noisy, uniform, normal, bits = first = program({}, x, training=True, key=(7, 3))
    for one, again in zip(first, program({}, x, training=True, key=(7, 3)), strict=True):
        np.testing.assert_array_equal(one, again)
    assert (program({}, x, training=True, key=(7, 4))[1] != uniform).any()
    np.testing.assert_allclose((noisy == 0).mean(), 1 - 0.75**2, atol=0.05)  # not 0.25, as the same mask twice gave
    np.testing.assert_allclose([uniform.mean(), uniform.std()], [1 / 2, 12**-0.5], atol=0.02)
    np.testing.assert_allclose([normal.mean(), normal.std()], [0, 1], atol=0.06)
    np.testing.assert_allclose([bits.mean() / 2**32, bits.std() / 2**32], [1 / 2, 12**-0.5], atol=0.02)
    gradient = program.gradients({}, x, training=True, key=(7, 3)).inputs[0]
    assert gradient is not None
    np.testing.assert_allclose(gradient, noisy, rtol=1e-6)


def test_a_generator_that_there_is_not() -> None:
    with pytest.raises(architrave.ArchitraveError, match="E406"):
        architrave.compile(architrave.loads(NOISE), "numpy", random="mersenne")
