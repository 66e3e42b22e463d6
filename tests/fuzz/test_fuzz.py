"""Random well-typed graphs: every backend agrees with the oracle, forward and backward.

`make test` draws 600 of them, the same every time; `make fuzz` draws new ones, as many as EXAMPLES says. What
fails is shrunk, and shown as text that `architrave` can read.
"""

import numpy as np
import pytest
from hypothesis import given, seed, settings

from architrave.dsl.elaborate.model import elaborate
from architrave.dsl.modules import load_text
from architrave.ir.op import OPS
from architrave.ir.verify import verify
from tests.fuzz.agreement import BACKENDS, Agreement
from tests.fuzz.graphs import Drawn, drawn, uses

SHARES = 6
"""The graphs are drawn in as many tests, so that several processes share them."""
FEWER = {"jax": 10}
"""JAX compiles every operation for every shape, which takes ten times as long as all else: it gets one graph in ten."""


@pytest.mark.hypothesis
@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize("backend", BACKENDS)
def test_random_graphs_agree_with_the_oracle(backend: str, share: int) -> None:
    if backend != "numpy":
        pytest.importorskip(backend)

    @settings(max_examples=settings().max_examples // FEWER.get(backend, 1))
    @given(drawn())
    def check(case: Drawn) -> None:
        Agreement(case).check(backend)

    # Where a failure must repeat, each share has graphs of its own.
    (seed(share)(check) if settings().derandomize else check)()


@given(drawn())
@settings(max_examples=50)
def test_random_graphs_are_sound_and_read_back(case: Drawn) -> None:
    (model,) = load_text(str(verify(case.graph))).models.values()
    assert elaborate(model).graph == case.graph


UNDRAWN = {
    *("full", "arange"),
    *("add_integer", "average_pool_integer", "layer_norm_integer", "lookup", "rms_norm_integer", "softmax_integer"),
    *("conv_integer", "linear_integer", "matmul_integer", "unpack"),
}
"""Leaves; and what takes 8 bits, which random graphs do not make, or has large samples alone."""


def test_graphs_are_drawn_from_nearly_every_operator() -> None:
    missing = {name for name, op in OPS.items() if op.unsampled is None} - {use.op.name for use in uses()}
    assert missing == UNDRAWN


def test_a_difference_shows_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Drawn(elaborate(next(iter(load_text(ONE).models.values()))).graph, {}, [np.array([1.0, -2.0])], False)
    monkeypatch.setattr(OPS["sign"], "reference", lambda self, x: x)
    with pytest.raises(AssertionError, match=r"(?s)numpy: .*op\.sign\(x\)"):
        Agreement(case).check("numpy")


ONE = "model M()(x: [2]) { return op.sign(x) }"
