"""Folders of images: one folder for each class, named after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.source import error, printable
from architrave.train.data.dataset import Dataset

MOST_PIXELS = 1 << 26
"""Of one image: more is no picture to train on, or no picture."""


def image_folder(path: Path, network: Graph) -> Dataset:
    """Images as the network takes them, `[N, C, H, W]`, with pixels from -1 to 1; classes are sorted by name.

    They are resized; with one channel they are grey. Raises E563 for a file that is no image, naming it, E565 for a
    folder without any, E568 without Pillow.
    """
    channels, height, width = _format(network)
    classes = sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    files = [(file, i) for i, folder in enumerate(classes) for file in sorted(folder.iterdir()) if file.is_file()]
    if not files:
        hint = "it holds a folder for each class, and those hold the images"
        raise error("E565", f"there are no images in {printable(str(path))}", hint=hint)
    pixels = np.stack([_pixels(file, channels, height, width) for file, _ in files])
    target = np.array([i for _, i in files], np.int64)
    return Dataset((pixels,), target, printable(str(path)), tuple(folder.name for folder in classes))


def _format(network: Graph) -> tuple[int, int, int]:
    shape = network.inputs[0].shape[1:]
    if len(network.inputs) != 1 or len(shape) != 3 or not all(isinstance(size, int) for size in shape):
        raise error("E548", f"`{network.name}` takes no images of a known size, [N, C, H, W]")
    channels, height, width = (int(size) for size in shape)  # type: ignore[arg-type]  # they are, as was just asked
    if channels not in (1, 3):
        raise error("E548", f"`{network.name}` takes images of {channels} channels; files have 1 or 3")
    return channels, height, width


def _pixels(file: Path, channels: int, height: int, width: int) -> Array:
    try:
        from PIL import Image
    except ImportError:
        raise error("E568", "images are read by Pillow", hint="pip install 'architrave[data]'") from None
    try:
        with Image.open(file) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise ValueError(f"it has {picture.width} x {picture.height} pixels")
            ready: Any = picture.convert("L" if channels == 1 else "RGB").resize((width, height))
    except Exception as problem:  # whatever a broken file leads the library into
        raise error("E563", f"{printable(str(file))} is no image: {printable(str(problem)[:200])}") from None
    array = np.asarray(ready, np.float32).reshape(height, width, channels)
    return np.ascontiguousarray(array.transpose(2, 0, 1)) / np.float32(127.5) - np.float32(1)
