"""Every exact pass, on every network of the library: the same function, forward and backward, also as a file."""

from __future__ import annotations

import pytest

import architrave
from architrave.backends.agree.equal import equal
from architrave.backends.arch import write
from architrave.models import find_in_text
from architrave.passes import PASSES, Keeps, apply, known_passes
from architrave.passes.pipeline import RECIPES
from tests.stdlib.small import SMALL

EXACT = [name for name in known_passes() if PASSES[name].keeps is Keeps.EXACT]
ALONE = [f"inference,{name}" if PASSES[name].for_inference else name for name in EXACT if name != "training"]


@pytest.mark.parametrize("name", sorted(SMALL))
def test_deployed_networks(name: str) -> None:
    graph = architrave.load(name, **SMALL[name])
    made = apply(graph, "deploy")
    found = equal(graph, made.graph, weights_b=made.weights, seeds=1, gradients=True)
    assert found.ok, str(found)
    assert found.tolerance <= 1e-10
    assert find_in_text(write(made.graph)).elaborate({}, keep_choices=True).graph == made.graph
    again = apply(made.graph, "deploy")
    assert again.graph == made.graph, again.journal.changes


QUICK = {"RepVGGA0", "LSTMTagger", "FastViTT8", "GPT2Small", "NFNetF0", "DenseNet121"}
"""Networks of every kind. The others are tried when there is time."""


@pytest.mark.parametrize("passes", [*ALONE, *RECIPES])
@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in sorted(SMALL)]
)
def test_each_pass(name: str, passes: str) -> None:
    graph = architrave.load(name, **SMALL[name])
    made = apply(graph, passes)
    found = equal(graph, made.graph, weights_b=made.weights, seeds=1, gradients=True)
    assert found.ok, str(found)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_cleaning_keeps_training(name: str) -> None:
    graph = architrave.load(name, **SMALL[name])
    made = apply(graph, "clean")
    found = equal(graph, made.graph, training=True, weights_b=made.weights, seeds=1)
    assert found.ok, str(found)
