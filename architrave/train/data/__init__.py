"""Examples to learn from: arrays in memory, files, and any iterable of batches."""

from architrave.train.data.dataset import Dataset, check_labels

__all__ = ["Dataset", "check_labels"]
