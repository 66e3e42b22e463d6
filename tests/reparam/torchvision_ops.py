"""What torchvision needs to be imported beside a build of PyTorch that is not its own.

Import this before what imports torchvision: timm, and transformers where it finds it. Its compiled operators load only
beside the PyTorch that they were built for. Without them all of it that is used here works, but on import it describes
two of them to PyTorch, which knows nothing of them. Nothing here calls them.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch

DESCRIBED = ("nms", "qnms")
SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def declare() -> torch.library.Library | None:
    """Declare the operators where torchvision's own cannot be loaded. They are there as long as what is returned is."""
    spec = find_spec("torchvision")
    if spec is None or spec.origin is None or _loads(Path(spec.origin).parent):
        return None
    library = torch.library.Library("torchvision", "DEF")
    for name in DESCRIBED:
        library.define(name + SCHEMA)
    return library


def _loads(package: Path) -> bool:
    try:
        for file in sorted(package.glob("_C.*")):
            torch.ops.load_library(file)
    except OSError:
        return False
    return hasattr(torch.ops.torchvision, "nms")


OPERATORS = declare()
"""Held, so that they stay declared."""
