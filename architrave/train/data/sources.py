"""Where examples come from: a name, an archive of arrays, a folder of images, or a text.

Files are checked before they are believed: nothing in them is run, and what they may take is bounded.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.source import ArchitraveError, error, printable
from architrave.train.data.dataset import Dataset
from architrave.train.data.images import image_folder
from architrave.train.data.texts import text_file

LARGEST = 1 << 34
"""Bytes that an archive may unpack to."""
TARGETS = ("target", "targets", "labels", "label", "y")

Pair = tuple[Dataset, Dataset | None]


def open_data(name: str, network: Graph, held_out: float = 0.2, seed: int = 0) -> Pair:
    """The examples for a network, and the share of them that is held out for validation (None for a share of 0).

    `name` is `digits`, an `.npz` file, a `.txt` file of characters to predict, or a folder with a folder of images for
    each class. Raises E560 for anything else, E561 to E568 for what is wrong with a file.
    """
    path = Path(name)
    if name == "digits":
        return _divided(digits().fitted(network), held_out, seed)
    if path.suffix == ".txt":
        return text_file(path, network, held_out)
    if path.suffix == ".npz":
        return _divided(archive(path, network).fitted(network), held_out, seed)
    if path.is_dir():
        return _divided(image_folder(path, network), held_out, seed)
    kinds = "`digits`, an .npz file, a .txt file, or a folder of images"
    raise error("E560", f"{printable(name)} is no data that can be read", hint=f"data are {kinds}")


def digits() -> Dataset:
    """1,797 handwritten digits of 8 x 8 pixels, with mean 0 and variance 1: those that scikit-learn ships.

    Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits" (1998), the test part of the UCI repository's.
    """
    try:
        from sklearn import datasets  # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        raise error("E568", "the digits are part of scikit-learn", hint="pip install 'architrave[data]'") from None
    library: Any = datasets
    found = library.load_digits()
    pixels = np.asarray(found.images, np.float32)
    labels = tuple(map(str, found.target_names))
    return Dataset(((pixels - pixels.mean()) / pixels.std(),), np.asarray(found.target, np.int64), "digits", labels)


def archive(path: Path, network: Graph) -> Dataset:
    """The arrays of an `.npz` file: one for each input, by its name, and the target.

    A network of one input takes whatever array is not the target. Raises E561 for a file that is damaged, E562 for
    arrays that do not fit one another, E566 for numbers that are not finite.
    """
    arrays = _arrays(path)
    named = printable(str(path))
    target = next((arrays.pop(name) for name in TARGETS if name in arrays), None)
    wanted = [str(v.hint) for v in network.inputs]
    if len(wanted) == len(arrays) == 1:
        inputs = tuple(arrays.values())
    elif set(wanted) <= set(arrays):
        inputs = tuple(arrays[name] for name in wanted)
    else:
        held = ", ".join(map(printable, arrays)) or "no arrays but the target"
        raise error("E562", f"{named} holds {held}, but `{network.name}` takes {', '.join(wanted)}")
    for array in (*inputs, *(() if target is None else (target,))):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise error("E566", f"{named} holds numbers that are not finite")
    if target is not None and target.dtype.kind in "iu":
        target = target.astype(np.int64)
    return Dataset(inputs, target, named)


def _arrays(path: Path) -> dict[str, Array]:
    named = printable(str(path))
    try:
        with zipfile.ZipFile(path) as file:
            size = sum(entry.file_size for entry in file.infolist())
        if size > LARGEST:
            raise error("E561", f"{named} unpacks to {size:,} bytes; at most {LARGEST:,} are read")
        with np.load(path, allow_pickle=False) as held:
            found: Mapping[str, Any] = {name: held[name] for name in held.files}
    except ArchitraveError:
        raise
    except FileNotFoundError:
        raise error("E561", f"there is no file {named}") from None
    except Exception as problem:  # a damaged archive raises whatever its damage leads the libraries into
        why = "arrays of Python objects are not read" if "pickle" in str(problem) else str(problem)
        raise error("E561", f"cannot read {named}: {printable(why[:200])}") from None
    wrong = next((name for name, a in found.items() if a.dtype.kind not in "fiub" or not a.ndim), None)
    if wrong is not None:
        raise error("E561", f"`{printable(wrong)}` in {named} is no array of numbers with an axis of examples")
    return dict(found)


def _divided(data: Dataset, held_out: float, seed: int) -> Pair:
    return data.split(held_out, seed) if held_out else (data, None)
