"""Examples to learn from: arrays in memory, files, and any iterable of batches."""

from architrave.train.data.archives import archive
from architrave.train.data.dataset import Batches, Dataset, check_labels, entropy
from architrave.train.data.digits import digits
from architrave.train.data.images import image_folder
from architrave.train.data.sources import open_data
from architrave.train.data.stream import Stream
from architrave.train.data.texts import text_file

__all__ = [
    "Batches",
    "Dataset",
    "Stream",
    "archive",
    "check_labels",
    "digits",
    "entropy",
    "image_folder",
    "open_data",
    "text_file",
]
