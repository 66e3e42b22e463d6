"""The standard library's files: laid out, documented, and true to what they say of themselves."""

from __future__ import annotations

import pytest

from architrave.dsl.elaborate.model import elaborate
from architrave.dsl.expectations import check
from architrave.dsl.format import format_source
from architrave.dsl.modules import load_standard, standard_names
from tests.stdlib.small import SMALL

MODELS = {name: model for module in standard_names() for name, model in load_standard(f"std.{module}").models.items()}


@pytest.mark.parametrize("name", standard_names())
def test_expectations_hold(name: str) -> None:
    module = load_standard(f"std.{name}")
    outcomes = check(module)
    assert [outcome.text for outcome in outcomes if not outcome.holds] == []
    said = " ".join(outcome.text for outcome in outcomes)
    assert [model for model in module.models if model not in said] == []


@pytest.mark.parametrize("name", standard_names())
def test_file_is_laid_out_and_documented(name: str) -> None:
    module = load_standard(f"std.{name}")
    source = module.tree.source
    assert format_source(source) == source.text
    assert module.doc
    assert [model for model, block in module.models.items() if block.tree.doc is None] == []


def test_every_model_has_a_small_configuration() -> None:
    assert sorted(SMALL) == sorted(MODELS)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_small_configuration_is_small(name: str) -> None:
    graph = elaborate(MODELS[name], SMALL[name]).graph
    assert len(graph.nodes) < 1000
    assert set(graph.symbols) <= {"N", "S", "T", "H", "W"}
