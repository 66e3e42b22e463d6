"""Number formats: minifloats against others' tables, MX against its specification, packed bytes and codebooks."""

from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir import build
from architrave.ir.graph import Graph
from architrave.ir.interpret import interpret
from architrave.ir.ops.minifloat import FORMATS

Array = np.ndarray[Any, Any]
BACKENDS = ("numpy", "torch", "jax")
OTHERS = {
    "e4m3": "float8_e4m3fn",
    "e5m2": "float8_e5m2",
    "e3m2": "float6_e3m2fn",
    "e2m3": "float6_e2m3fn",
    "e2m1": "float4_e2m1fn",
}
"""The names that ml_dtypes has for them."""
EMAX = {"e4m3": 8, "e5m2": 15, "e3m2": 4, "e2m3": 2, "e2m1": 2, "int8": 0}


def of_one(operator: str, type: str, **attributes: Any) -> Graph:
    x = build.input("x", type)
    return build.graph("Of", [x], [build.call(operator, x, **attributes)])


def run(graph: Graph, *inputs: Array) -> dict[str, Array]:
    """What the oracle gives, and each backend."""
    found = {name: architrave.compile(graph, backend=name).run({}, *inputs).outputs[0] for name in BACKENDS}
    return {"oracle": interpret(graph, list(inputs)).outputs[0], **found}


def numbers(format: str) -> Array:
    """Floats of every kind: of every magnitude, random bits, numbers of the format, ties and their neighbours."""
    rng: Any = np.random.default_rng(0)
    magnitudes = np.exp2(rng.uniform(-30, 18, 100_000)) * rng.choice([-1, 1], 100_000)
    bits = rng.integers(0, 2**32, 100_000, dtype=np.uint32).view(np.float32)
    exact = FORMATS[format].value(np.arange(FORMATS[format].top + 2))
    ties = ((exact[1:] + exact[:-1]) / 2).astype(np.float32)
    near = [np.nextafter(ties, np.float32(0)), ties, np.nextafter(ties, np.float32(np.inf)), exact]
    edges = [0.0, -0.0, np.inf, -np.inf, np.nan, 464.0, 464.1, 480.0, 61439.0, 61440.0, 3e38]
    x = np.concatenate([magnitudes, *near, *(-v for v in near), edges]).astype(np.float32)
    x = np.concatenate([x, bits])
    # Processors may take what is below the least normal number for 0: its sign is left open.
    return x[(abs(x) >= 2.0**-126) | (x == 0) | np.isnan(x)]


@pytest.mark.parametrize("format", OTHERS)
def test_codes_stand_for_the_numbers_that_they_have_elsewhere(format: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    codes = np.arange(2 * FORMATS[format].sign).astype(np.uint8)
    wanted = codes.view(getattr(ml_dtypes, OTHERS[format])).astype(np.float32)
    for name, found in run(of_one("from_minifloat", "u8[N]", format=format), codes).items():
        np.testing.assert_array_equal(found, wanted, name)
        np.testing.assert_array_equal(np.signbit(found[found == 0]), np.signbit(wanted[wanted == 0]), name)


@pytest.mark.parametrize("format", OTHERS)
def test_floats_are_rounded_as_elsewhere(format: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x, saturate = numbers(format), FORMATS[format].beyond is None
    a_number = ~np.isnan(x)
    with np.errstate(all="ignore"):
        wanted = x.astype(getattr(ml_dtypes, OTHERS[format]))
    for name, found in run(of_one("to_minifloat", "f32[N]", format=format, saturate=saturate), x).items():
        np.testing.assert_array_equal(found[a_number], wanted.view(np.uint8)[a_number], name)
        assert set(found[~a_number]) == {FORMATS[format].nan}
    for name, found in run(of_one("round_minifloat", "f32[N]", format=format, saturate=saturate), x).items():
        same = np.ascontiguousarray(found[a_number], np.float32).view(np.int32)
        rounded = wanted.astype(np.float32)[a_number]
        there = ~np.isnan(rounded)
        np.testing.assert_array_equal(same[there], rounded.view(np.int32)[there], name)
        assert np.isnan(found[~a_number]).all()
        assert np.isnan(found[a_number][~there]).all()


@pytest.mark.parametrize(("format", "dtype"), [("e4m3", "float8_e4m3fn"), ("e5m2", "float8_e5m2")])
def test_floats_are_rounded_as_in_pytorch(format: str, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    x = numbers(format)
    # Within the numbers of the format: what PyTorch does beyond them has changed between its versions.
    x = x[abs(x) <= FORMATS[format].largest]
    wanted = torch.from_numpy(x).to(getattr(torch, dtype)).view(torch.uint8).numpy()
    for name, found in run(of_one("to_minifloat", "f32[N]", format=format), x).items():
        np.testing.assert_array_equal(found, wanted, name)


def test_saturating_keeps_the_largest_number() -> None:
    x = np.array([500.0, -1e30, np.inf, 448.0, 479.0, np.nan])
    for found in run(of_one("round_minifloat", "[N]"), x).values():
        np.testing.assert_array_equal(found, [448, -448, 448, 448, 448, np.nan])
    for found in run(of_one("round_minifloat", "[N]", saturate=False), x).values():
        np.testing.assert_array_equal(found, [np.nan, np.nan, np.nan, 448, np.nan, np.nan])


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_gradients_go_straight_through_up_to_the_largest_number(backend: str) -> None:
    x = np.array([0.3, -500.0, 448.0, np.inf, -3.0])
    program = architrave.compile(of_one("round_minifloat", "[5]"), backend=backend)
    (found,) = program.gradients({}, x, cotangents=[np.arange(1.0, 6.0)]).inputs
    np.testing.assert_array_equal(found, [1, 0, 3, 0, 5])


@pytest.mark.parametrize("precision", ["bfloat16", "float16", "float32", "float64"])
def test_every_precision_has_the_same_bytes_everywhere(precision: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    dtype = np.dtype(getattr(ml_dtypes, precision, precision))
    x, w = build.input("x", "[6, 8]"), build.input("w", "[8, 5]")
    outputs = [
        build.round_minifloat(x, format="e5m2", saturate=False),
        build.to_minifloat(x),
        build.from_minifloat(build.to_minifloat(x, format="e2m1"), format="e2m1"),
        build.power_of_two(x),
        build.round_mantissa(x, bits=3),
        build.l_mul(x, x, mantissa=4),
        build.l_mul_matmul(x, w),
    ]
    graph = build.graph("Formats", [x, w], outputs)
    rng: Any = np.random.default_rng(0)
    given = [(100 * rng.normal(size=(6, 8))).astype(dtype), rng.normal(size=(8, 5)).astype(dtype)]
    given[0][:2, 0] = np.inf, -0.0
    wanted = interpret(graph, given, dtype=dtype).outputs
    for name in BACKENDS:
        for found, right in zip(architrave.compile(graph, backend=name).run({}, *given).outputs, wanted, strict=True):
            assert (found.dtype, found.tobytes()) == (right.dtype, right.tobytes()), name


@pytest.mark.parametrize("rounding", ["down", "nearest", "up"])
def test_powers_of_two_are_those_of_exact_logarithms(rounding: str) -> None:
    rng: Any = np.random.default_rng(0)
    x = np.exp2(rng.uniform(-120, 120, 50_000)).astype(np.float32)
    x = np.concatenate([x, np.exp2(np.arange(-120, 120)).astype(np.float32)])
    mantissa, exponent = np.frexp(x.astype(float))
    # The square of a float32 is exact in float64.
    ups = {"down": mantissa < 0, "nearest": (2 * mantissa) ** 2 > 2, "up": mantissa > 0.5}[rounding]
    for found in run(of_one("power_of_two", "f32[N]", rounding=rounding), x).values():
        np.testing.assert_array_equal(found, np.exp2(exponent - 1.0 + ups))


def mx_by_hand(x: Array, format: str) -> Array:
    """The specification's: a group of 32 at a time, in float64."""
    groups = x.astype(float).reshape(-1, 32)
    largest = abs(groups).max(1, keepdims=True)
    scale = np.exp2(np.floor(np.log2(np.where(largest > 0, largest, 1))) - EMAX[format])
    if format == "int8":
        rounded = np.clip(np.rint(groups / scale * 64), -127, 127) / 64
    else:
        rounded = interpret(of_one("round_minifloat", "f64[N, 32]", format=format), [groups / scale]).outputs[0]
    return (rounded * scale).reshape(x.shape)


@pytest.mark.parametrize("format", EMAX)
def test_mx_is_that_of_the_specification(format: str) -> None:
    text = f"""
from std.formats import mx, mx_decode, mx_encode
model M()(x: [N, 64]) -> [N, 64] = mx(x, "{format}")
"""
    coded = f"""
from std.formats import mx, mx_decode, mx_encode
model M()(x: [N, 64]) -> [N, 64] {{
    (codes, exponents) = mx_encode(x, "{format}")
    return mx_decode(codes, exponents, "{format}")
}}
"""
    rng: Any = np.random.default_rng(0)
    x = (rng.normal(size=(40, 64)) * np.exp2(rng.integers(-80, 80, (40, 1)))).astype(np.float32)
    x[0, :32] = 0
    wanted = mx_by_hand(x, format)
    for graph in map(architrave.loads, (text, coded)):
        for name, found in run(graph, x).items():
            np.testing.assert_array_equal(found, wanted, name)
    x[1, 3], x[2, 5] = np.nan, np.inf
    for graph in map(architrave.loads, (text, coded)):
        for found in run(graph, x).values():
            assert np.isnan(found[1, :32]).all()
            assert np.isnan(found[2, :32]).all()
            np.testing.assert_array_equal(found[1:3, 32:], wanted[1:3, 32:])


def test_a_scale_that_is_a_power_of_two_saturates_nothing() -> None:
    text = """
from std.formats import power_of_two_scale
model M()(x: [N, 8]) -> [N, 1] = power_of_two_scale(x, bits = 4, axis = 1)
"""
    x = np.array([[7.0] + [0.0] * 7, [7.1] + [0.0] * 7, [-1.75] + [0.0] * 7])
    for found in run(architrave.loads(text), x).values():
        np.testing.assert_array_equal(found, [[1], [2], [0.25]])


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_packed_integers_come_back(bits: int) -> None:
    rng: Any = np.random.default_rng(0)
    x = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (3, 16)).astype(np.int8)
    given = build.input("x", "i8[N, 16]")
    packed = build.pack(given, bits=bits)
    graph = build.graph("P", [given], [build.unpack(packed, bits=bits)])
    assert packed.shape[1] == 2 * bits
    for found in run(graph, x).values():
        np.testing.assert_array_equal(found, x)


@pytest.mark.parametrize(("entries", "width", "bits"), [(256, 1, 8), (16, 1, 4), (16, 4, 4), (4, 2, 2), (2, 1, 1)])
def test_codebooks_stand_for_a_weight(entries: int, width: int, bits: int) -> None:
    text = f"""
from std.codebook import codebook_linear
model M()(x: [N, 64]) -> [N, 5] = x -> fc: codebook_linear(5, {entries}, {width})
"""
    rng: Any = np.random.default_rng(0)
    graph = architrave.loads(text)
    weights = architrave.init(graph)
    assert weights["fc.codes"].shape == (5, 64 // width * bits // 8)
    codes = rng.integers(0, entries, (5, 64 // width)).astype(np.uint8)
    given = build.input("codes", f"u8[5, {64 // width}]")
    pack = build.graph("P", [given], [build.pack(given, bits=bits) if bits < 8 else given])
    weights["fc.codes"] = interpret(pack, [codes]).outputs[0]
    x = rng.normal(size=(3, 64)).astype(np.float32)
    wanted = x @ weights["fc.table"][codes].reshape(5, 64).T + weights["fc.bias"]
    for name in BACKENDS:
        (found,) = architrave.compile(graph, backend=name).run(weights, x).outputs
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


def test_training_through_the_nearest_entries() -> None:
    text = """
from std.codebook import entries_of
model M()(x: [N, 4], table: [3, 2]) -> [N, 4] = entries_of(x, table)
"""
    x, table = np.array([[0.1, 0.0, 0.9, 1.2]]), np.array([[0.0, 0.0], [1.0, 1.0], [-5.0, 2.0]])
    for name in ("torch", "jax"):
        program = architrave.compile(architrave.loads(text), backend=name)
        np.testing.assert_array_equal(program.run({}, x, table).outputs[0], [[0, 0, 1, 1]])
        by_x, by_table = program.gradients({}, x, table, cotangents=[np.array([[1.0, 2.0, 3.0, 4.0]])]).inputs
        np.testing.assert_array_equal(by_x, [[1, 2, 3, 4]])
        np.testing.assert_array_equal(by_table, [[1, 2], [3, 4], [0, 0]])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own, of itself
def test_compiled_and_eager_programs_have_the_same_bytes() -> None:
    torch, jax = pytest.importorskip("torch"), pytest.importorskip("jax")
    x = build.input("x", "f32[90000]")
    outputs = [
        *(build.round_minifloat(x, format=f) for f in FORMATS),
        *(build.to_minifloat(x, format=f) for f in FORMATS),
        *(build.from_minifloat(build.to_minifloat(x, format=f), format=f) for f in FORMATS),
        *(build.power_of_two(x, rounding=r) for r in ("down", "nearest", "up")),
        *(build.round_mantissa(x, bits=b) for b in (0, 3, 7)),
        build.l_mul(x, build.flip(x, axes=[0])),
        build.unpack(build.pack(build.to_minifloat(x, format="e2m1"))),
    ]
    graph = build.graph("Formats", [x], outputs)
    array = numbers("e4m3")[-100_000:]
    array = array[np.isfinite(array)][:90_000]
    wanted = [y.astype(np.float32 if y.dtype.kind == "f" else y.dtype) for y in interpret(graph, [array]).outputs]
    programs: dict[str, dict[str, Any]] = {}
    for name in ("torch", "jax"):
        exec(architrave.compile(graph, name).source, programs.setdefault(name, {}))  # noqa: S102  # our own program
    model, apply = programs["torch"]["Formats"](), programs["jax"]["apply"]
    runs = {
        "eager torch": model(torch.from_numpy(array)),
        "torch.compile": torch.compile(model, fullgraph=True)(torch.from_numpy(array)),
        "eager jax": apply({}, {}, array),
        "jit": jax.jit(apply)({}, {}, array),
    }
    for name, found in runs.items():
        for value, y, right in zip(graph.outputs, found, wanted, strict=True):
            assert np.asarray(y).tobytes() == right.tobytes(), (name, value.op)
