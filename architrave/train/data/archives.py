"""Archives of arrays, `.npz`: nothing in them is run, and what they take is known before it is read."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.source import ArchitraveError, error, printable
from architrave.train.data.dataset import Dataset

LARGEST = 1 << 34
"""Bytes that an archive may unpack to."""
TARGETS = ("target", "targets", "labels", "label", "y")


def archive(path: Path, network: Graph) -> tuple[Dataset, Dataset | None]:
    """The examples of an archive: one array for each input, by its name, and the target.

    A network of one input takes whatever array is not the target. Where names end in `_train` and `_test`, the latter
    are held out. Raises E561 for a damaged file, E562 for arrays that do not fit, E566 for NaN and infinity.
    """
    held = arrays(path)
    named = printable(str(path))
    parts = [
        {name.removesuffix(end): a for name, a in held.items() if name.endswith(end)} for end in ("_train", "_test")
    ]
    if not all(parts):
        return _examples(held, network, named), None
    train, test = (_examples(part, network, named) for part in parts)
    return train, test


def arrays(path: Path) -> dict[str, Array]:
    """All arrays of an archive, by name. Raises E561, naming what cannot be read."""
    named = printable(str(path))
    if not path.is_file():
        raise error("E561", f"there is no file {named}")
    try:
        with zipfile.ZipFile(path) as file:
            entries = file.infolist()
            if sum(entry.file_size for entry in entries) > LARGEST:
                raise error("E561", f"{named} unpacks to more than {LARGEST:,} bytes")
            return {entry.filename.removesuffix(".npy"): _array(file, entry, named) for entry in entries}
    except ArchitraveError:
        raise
    except Exception as problem:  # a damaged archive raises whatever its damage leads the library into
        raise error("E561", f"{named} is damaged, or no archive of arrays: {printable(str(problem)[:200])}") from None


def _array(file: zipfile.ZipFile, entry: zipfile.ZipInfo, archive: str) -> Array:
    named = f"`{printable(entry.filename)}` in {archive}"
    try:
        with file.open(entry) as data:
            shape, by_columns, dtype = _header(data)
            if dtype.hasobject:
                raise error("E561", f"{named} holds Python objects, which are not read")
            if dtype.kind not in "fiub" or not shape:
                raise error("E561", f"{named} is no array of numbers with an axis of examples")
            size = math.prod(shape) * dtype.itemsize
            if size > entry.file_size:
                raise error("E561", f"{named} claims {size:,} bytes, but has {entry.file_size:,}")
            # Reading to the end compares the checksum.
            content = data.read()
    except ArchitraveError:
        raise
    except Exception as problem:  # see above
        raise error("E561", f"{named} is damaged, or no array: {printable(str(problem)[:200])}") from None
    if len(content) != size:
        raise error("E561", f"{named} should have {size:,} bytes, but has {len(content):,}")
    array = np.frombuffer(content, dtype).reshape(shape, order="F" if by_columns else "C")
    return array.astype(dtype.newbyteorder("="), copy=False)


def _header(data: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """The shape, whether it is stored by columns, and the dtype."""
    formats: Any = np.lib.format
    version = formats.read_magic(data)
    if version == (1, 0):
        return formats.read_array_header_1_0(data)  # type: ignore[no-any-return]  # NumPy does not say
    if version == (2, 0):
        return formats.read_array_header_2_0(data)  # type: ignore[no-any-return]  # NumPy does not say
    raise ValueError(f"its format is of version {version[0]}.{version[1]}")


def _examples(held: dict[str, Array], network: Graph, named: str) -> Dataset:
    """The arrays as what the network takes. Raises E562, E566."""
    wanted = [str(v.hint) for v in network.inputs]
    target = next((name for name in TARGETS if name in held and name not in wanted), None)
    others = [name for name in held if name != target]
    names = others if len(wanted) == len(others) == 1 else wanted
    missing = [name for name in names if name not in held]
    if missing:
        has = ", ".join(map(printable, held)) or "nothing"
        hint = f"a target is called {', '.join(TARGETS[:-1])} or {TARGETS[-1]}"
        raise error("E562", f"{named} has {has}, but `{network.name}` takes {', '.join(wanted)}", hint=hint)
    for name in (*names, *([target] if target else [])):
        check_finite(held[name], f"`{printable(name)}` in {named}")
    given = None if target is None else held[target]
    if given is not None and given.dtype.kind in "iu":
        given = given.astype(np.int64)
    return Dataset(tuple(held[name] for name in names), given, named)


def check_finite(array: Array, named: str) -> None:
    """Raises E566 where an array of examples has NaN or infinity, and says in which example."""
    if array.dtype.kind != "f":
        return
    wrong = ~np.isfinite(array)
    if not wrong.any():
        return
    first = int(wrong.reshape(len(array), -1).any(axis=1).argmax())
    count = int(np.count_nonzero(wrong))
    raise error("E566", f"{named} holds NaN or infinity: {count:,} in all, the first in example {first}")
