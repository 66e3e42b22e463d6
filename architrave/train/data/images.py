"""Folders of images: one folder for each class, named after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.source import error, printable
from architrave.train.data.archives import LARGEST
from architrave.train.data.dataset import Dataset

MOST_PIXELS = 1 << 26
"""Of one image: more is no picture to train on, or no picture."""
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB")
"""Pillow's names for pixels of 8 bits; it cuts wider ones off."""
TESTS = ("test", "val", "valid", "validation")


def image_folder(path: Path, network: Graph) -> tuple[Dataset, Dataset | None]:
    """Images as the network takes them, `[N, C, H, W]`, with pixels from -1 to 1; classes are sorted by name.

    They are resized; with one channel they are grey. Where the folder holds `train` and `test` (or `val`), each of
    these has the folders of classes. Hidden files are passed over. Raises E563 for a file that is no image, naming it,
    E565 for a folder without any, E568 without Pillow.
    """
    size = _format(network)
    held_out = next((path / name for name in TESTS if (path / name).is_dir()), None)
    if held_out is None or not (path / "train").is_dir():
        return _read(path, _classes(path), size), None
    classes = _classes(path / "train")
    strange = next((name for name in _classes(held_out) if name not in classes), None)
    if strange is not None:
        raise error("E565", f"{printable(str(held_out))} has the class `{printable(strange)}`, which `train` lacks")
    return _read(path / "train", classes, size), _read(held_out, classes, size)


def _classes(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _read(path: Path, classes: list[str], size: tuple[int, int, int]) -> Dataset:
    folders = [(path / name, i) for i, name in enumerate(classes) if (path / name).is_dir()]
    files = [(file, i) for folder, i in folders for file in sorted(folder.iterdir()) if _counts(file)]
    named = printable(str(path))
    if not files:
        hint = "it holds a folder for each class, and those hold the images"
        raise error("E565", f"there are no images in {named}", hint=hint)
    channels, height, width = size
    if len(files) * channels * height * width * 4 > LARGEST:
        raise error("E565", f"the {len(files):,} images of {named} take more than {LARGEST:,} bytes")
    pixels = np.empty((len(files), channels, height, width), np.float32)
    for i, (file, _) in enumerate(files):
        pixels[i] = _pixels(file, channels, height, width)
    return Dataset((pixels,), np.array([i for _, i in files], np.int64), named, tuple(classes))


def _counts(file: Path) -> bool:
    return file.is_file() and not file.name.startswith(".")


def _format(network: Graph) -> tuple[int, int, int]:
    """Channels, height and width that the network takes. Raises E548."""
    match [v.shape for v in network.inputs]:
        case [(_, (1 | 3) as channels, int(height), int(width))]:
            return channels, height, width
        case _:
            hint = "it should take one input, [N, C, H, W], of a known size with 1 or 3 channels"
            raise error("E548", f"`{network.name}` takes no images", hint=hint)


def _pixels(file: Path, channels: int, height: int, width: int) -> Array:
    try:
        from PIL import Image
    except ImportError:
        raise error("E568", "images are read by Pillow", hint="pip install 'architrave[data]'") from None
    try:
        with Image.open(file) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise ValueError(f"it has {picture.width} x {picture.height} pixels")
            if picture.mode not in MODES:
                raise ValueError(f"its pixels are `{picture.mode}`, not of 8 bits")
            ready: Any = picture.convert("L" if channels == 1 else "RGB").resize((width, height))
    except Exception as problem:  # whatever a broken file leads the library into
        raise error("E563", f"{printable(str(file))} is no image: {printable(str(problem)[:200])}") from None
    array = np.asarray(ready, np.float32).reshape(height, width, channels)
    return np.ascontiguousarray(array.transpose(2, 0, 1)) / np.float32(127.5) - np.float32(1)
