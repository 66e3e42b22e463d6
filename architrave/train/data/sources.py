"""Where examples come from: a name, an archive of arrays, a folder of images, or a text."""

from __future__ import annotations

from pathlib import Path

from architrave.ir.graph import Graph
from architrave.ir.source import error, printable
from architrave.train.data.archives import archive
from architrave.train.data.dataset import Dataset
from architrave.train.data.digits import digits
from architrave.train.data.images import image_folder
from architrave.train.data.texts import text_file

Pair = tuple[Dataset, Dataset | None]


def open_data(name: str, network: Graph, held_out: float = 0.2) -> Pair:
    """The examples for a network, and the share of them that is held out for validation (None for a share of 0).

    `name` is `digits`, an `.npz` file, a `.txt` file of characters to predict, or a folder with a folder of images for
    each class. What is held out is the same each time: of a text its end, else drawn at random with the seed 0; data
    that say themselves what is for testing are not split. Raises E560 for anything else, E561 to E568 for bad data.
    """
    path = Path(name)
    if name == "digits":
        return _divided((digits().fitted(network), None), held_out)
    if path.suffix == ".txt":
        return text_file(path, network, held_out)
    if path.suffix == ".npz":
        train, test = archive(path, network)
        return _divided((train.fitted(network), test and test.fitted(network)), held_out)
    if path.is_dir():
        return _divided(image_folder(path, network), held_out)
    kinds = "`digits`, an .npz file, a .txt file, or a folder of images"
    raise error("E560", f"{printable(name)} is no data that can be read", hint=f"data are {kinds}")


def _divided(pair: Pair, held_out: float) -> Pair:
    train, test = pair
    return pair if test is not None or not held_out else train.split(held_out)
