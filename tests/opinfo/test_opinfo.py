"""PyTorch's samples of its own operators judge ours; docs/opinfo.md says how many, and which are left out."""

import importlib
import re

import pytest

pytest.importorskip("torch")
pytest.importorskip("expecttest", reason="PyTorch's table of operators imports it")

from tests.opinfo import page
from tests.opinfo.judge import RULES, judged, known

for subject in ("elementwise", "reductions", "shapes", "matrices", "networks"):
    importlib.import_module(f"tests.opinfo.{subject}")

FEW = 4
"""Samples of each operator in the short run, on the two backends that compile nothing."""


def test_every_rule_is_for_an_operator_that_there_is() -> None:
    assert [name for name in RULES if name not in known()] == []


@pytest.mark.parametrize("name", RULES)
def test_first_samples(name: str) -> None:
    verdict = judged(name, ("numpy", "torch"), FEW)
    assert verdict.failures == []


@pytest.mark.parametrize("name", list(RULES)[::12])
def test_first_samples_in_jax(name: str) -> None:
    pytest.importorskip("jax")
    assert judged(name, ("jax",), 2).failures == []


@pytest.mark.slow
def test_all_samples(request: pytest.FixtureRequest) -> None:
    """Every mapped operator on every backend. `--update-golden` writes the page."""
    pytest.importorskip("jax")
    verdicts = [judged(name) for name in RULES]
    assert [failure for v in verdicts for failure in v.failures] == []
    if request.config.getoption("--update-golden"):
        page.PAGE.write_text(page.written(verdicts), encoding="utf-8", newline="\n")


def test_the_page_has_the_rules_of_today() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    mapped = re.findall(r"^\| `([^`]+)` \|", text.partition("## Mapped")[2], re.MULTILINE)
    assert mapped == sorted(RULES), "make opinfo"
    assert "\n".join(page.unmapped()) in text, "make opinfo"
