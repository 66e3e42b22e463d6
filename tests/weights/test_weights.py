"""Checkpoints: what is saved is what is loaded, every misfit is named, and hostile files do no harm."""

import json
import os
import struct
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from architrave import weights
from architrave.files import replacing, replacing_all, write_text
from architrave.ir.graph import Graph
from architrave.ir.initial import initial
from architrave.ir.source import ArchitraveError
from architrave.ir.types import DType
from tests.ir.graphs import param


def network() -> Graph:
    zeros = initial("zeros")
    return Graph(
        "net",
        (),
        (),
        (
            param("stem.weight", (2, 3), zeros),
            param("stem.bias", (2,), zeros),
            param("scale", (), zeros, DType.F32),
            param("steps", (), zeros, DType.I64),
        ),
    )


def arrays() -> dict[str, np.ndarray]:
    return {
        "steps": np.array(7),
        "stem.weight": np.arange(6, dtype=np.float32).reshape(2, 3).T.copy().T,
        "stem.bias": np.ones(2, np.float32),
        "scale": np.array(2, np.float32),
    }


def test_saved_arrays_come_back(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    everything = {
        name: np.arange(6).reshape(1, 6).astype(name)
        for name in ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "uint32", "bool")
    }
    everything |= {
        "bfloat16": np.arange(4).astype(ml_dtypes.bfloat16),
        "scalar": np.array(1.5),
        "empty": np.zeros((0, 3)),
        "strided": np.arange(12.0).reshape(3, 4).T[::2],
        "big_endian": np.arange(3, dtype=">f4"),
        "complex64": np.ones(2, np.complex64),
    }
    weights.save(path, everything)
    loaded = weights.load(path)
    assert loaded.keys() == everything.keys()
    for name, array in everything.items():
        assert loaded[name].dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(loaded[name], array, strict=False)
    assert os.listdir(tmp_path) == ["net.safetensors"]


def test_a_graphs_weights_come_in_its_order_and_dtypes(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    weights.save(path, {**arrays(), "bn.num_batches_tracked": np.array(3)})
    loaded = weights.load(path, network(), np.float64)
    assert list(loaded) == ["stem.weight", "stem.bias", "scale", "steps"]
    assert [array.dtype.name for array in loaded.values()] == ["float64", "float64", "float32", "int64"]
    np.testing.assert_array_equal(loaded["stem.weight"], arrays()["stem.weight"])
    assert weights.load(path, network())["stem.weight"].dtype == np.float32


def test_every_misfit_is_in_one_error(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    held = arrays()
    held["stem.wieght"] = held.pop("stem.weight")
    held["stem.bias"] = np.ones((3,), np.float32)
    held["steps"] = np.array(7.0)
    held["\x1b[31mevil"] = np.zeros(())
    weights.save(path, held)
    with pytest.raises(ArchitraveError) as caught:
        weights.load(path, network())
    text = str(caught.value)
    assert [d.code for d in caught.value.diagnostics] == ["E500", "E502", "E504", "E505", "E503", "E503"]
    assert "1 missing, 2 unexpected, 1 misshapen, 1 of another dtype" in text
    assert "did you mean `stem.wieght`?" in text
    assert "`stem.bias` is [2], but the array is [3]" in text
    assert "\x1b" not in text


def safetensors(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype: str = "F32", shape: object = (1,), stop: int = 4) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [0, stop]}


HOSTILE = {
    "empty": b"",
    "short": b"\x00\x00",
    "huge header": struct.pack("<Q", 2**63) + b"{}",
    "not JSON": safetensors(b"}{"),
    "deep": safetensors(b"[" * 100_000),
    "deep inside": safetensors(b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
    "not UTF-8": safetensors(b'{"\xff": 1}'),
    "a list": safetensors([1, 2]),
    "truncated": safetensors({"a": entry()}, b"123"),
    "too long": safetensors({"a": entry()}, b"12345"),
    "overlapping": safetensors({"a": entry(), "b": entry()}, b"1234"),
    "backwards": safetensors({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}, b"1234"),
    "negative": safetensors({"a": entry(shape=[-1])}, b"1234"),
    "overflowing": safetensors({"a": entry(shape=[2**40, 2**40])}, b"1234"),
    "unknown dtype": safetensors({"a": entry("F99")}, b"1234"),
    "float8": safetensors({"a": entry("F8_E4M3", (4,))}, b"1234"),
    "uint16": safetensors({"a": entry("U16", (2,))}, b"1234"),
    "many axes": safetensors({"a": entry(shape=[1] * 100)}, b"1234"),
    "pickle": b"\x80\x04\x95\x1f\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.",
    "escape codes": safetensors({"\x1b[2J": entry("U16", (2,))}, b"1234"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(name: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(HOSTILE[name])
    with pytest.raises(ArchitraveError, match="E501") as caught:
        weights.load(path)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("name", ["missing.safetensors", ""])
def test_paths_that_are_not_files(name: str, tmp_path: Path) -> None:
    with pytest.raises(ArchitraveError, match="E501"):
        weights.load(tmp_path / name)


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    weights.save(path, arrays())
    before = path.read_bytes()
    for bad in (np.array(["text"]), np.array([1j]), np.array([object()])):
        with pytest.raises(ArchitraveError, match="E505"):
            weights.save(path, {"a": bad})
    with pytest.raises(ArchitraveError, match="E520"):
        weights.save(tmp_path / "no" / "folder", arrays())
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["net.safetensors"]


def test_files_are_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "out.py"
    write_text(path, "one\n")
    path.chmod(0o640)
    link = tmp_path / "link.py"
    link.symlink_to(path)

    def interrupted() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "one\n"
    write_text(link, "two\n")
    assert path.read_text() == "two\n"
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(tmp_path)) == ["link.py", "out.py"]


def test_nesting_and_back() -> None:
    flat = {"a.0.weight": 1, "a.0.bias": 2, "b": 3}
    assert weights.nest(flat) == {"a": {"0": {"weight": 1, "bias": 2}}, "b": 3}
    assert weights.unnest(weights.nest(flat)) == flat
    assert list(weights.unnest(weights.nest(flat))) == list(flat)
    deep = {".".join(["x"] * 5000): 1}
    assert weights.unnest(weights.nest(deep)) == deep
    for bad in ({"a": 1, "a.b": 2}, {"a.b": 1, "a": 2}):
        with pytest.raises(ArchitraveError, match="E506"):
            weights.nest(bad)


def test_a_checkpoint_of_another_network_is_refused_quickly() -> None:
    other = {f"model.layers.{i}.weight.{'x' * (i % 50)}": np.zeros(()) for i in range(20_000)}
    with pytest.raises(ArchitraveError) as caught:
        weights.fit(other, network())
    assert len(caught.value.diagnostics) == 1 + 4 + weights.MANY + 1
    assert "4 missing, 20000 unexpected" in str(caught.value)
    assert "18000 more keys" in str(caught.value)


@pytest.mark.parametrize("failing", ["the first cannot be made", "the body fails", "the second cannot be placed"])
def test_files_that_belong_together_are_replaced_together(tmp_path: Path, failing: str) -> None:
    old, new, folder = tmp_path / "old", tmp_path / "new", tmp_path / "folder"
    old.write_text("one")
    folder.mkdir()
    paths = {
        "the first cannot be made": (old, tmp_path / "no" / "where"),
        "the body fails": (old, new),
        "the second cannot be placed": (old, new, folder),
    }

    def write() -> None:
        with replacing_all(*paths[failing]) as temporaries:
            for path in temporaries:
                path.write_text("two")
            if failing == "the body fails":
                raise OSError(28, "No space left on device")

    with pytest.raises(ArchitraveError, match="E520"):
        write()
    assert old.read_text() == "one"
    assert sorted(os.listdir(tmp_path)) == ["folder", "old"]


def test_files_that_belong_together_are_all_written(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one")
    with replacing_all(tmp_path / "a", tmp_path / "b") as temporaries:
        for path in temporaries:
            path.write_text("two")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "two", "b": "two"}
