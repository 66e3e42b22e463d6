"""docs/quantization-aware-training.md, followed literally in an empty folder."""

from pathlib import Path

import pytest

from tests.docs.following import follow
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "quantization-aware-training.md"


@pytest.mark.slow
def test_the_page_works(tmp_path: Path) -> None:
    for package in ("torch", "jax", "optax", "sklearn", "safetensors"):
        pytest.importorskip(package)
    follow(PAGE, tmp_path, [ROOT])
