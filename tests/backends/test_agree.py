"""Verification: backends that are right pass, each kind of mistake is seen, and the node that makes it is named."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from architrave.backends import base
from architrave.backends.agree import Report, verify
from architrave.backends.agree.difference import difference
from architrave.backends.agree.trial import SMALL, index_bounds, trial
from architrave.backends.base import Backend
from architrave.backends.differentiated import Differentiated
from architrave.backends.runner import Execution, Gradients, Runner
from architrave.ir.arrays import Array
from architrave.ir.dims import symbol
from architrave.ir.graph import Graph, Node, Value, make
from architrave.ir.initial import initial
from architrave.ir.interpret import Result, interpret
from architrave.ir.op import OPS
from architrave.ir.place import Place, marked
from architrave.ir.rewrite import rebuild
from architrave.ir.source import ArchitraveError, Source, Span
from architrave.ir.types import DType
from tests.ir.graphs import leaf, param, running_max

N = symbol("N")


def change_tanh(node: Node, operands: tuple[Value, ...]) -> list[Value] | None:
    """A mistake: `tanh` is a little off."""
    return [make(node.op, operands).outputs[0] * 1.01] if node.op.name == "tanh" else None


@dataclass(frozen=True)
class Mirror(Runner):
    """Runs the oracle itself, in the run's precision, with the mistakes that it is told to make."""

    differentiates = False
    mistake: str = ""

    def run(self, execution: Execution) -> Result:
        graph = rebuild(execution.graph, change_tanh) if self.mistake == "tanh" else execution.graph
        if self.mistake == "raises" and any(node.op.name == "tanh" for node in graph.nodes):
            raise ValueError("tanh is broken\nand more")
        dtype = np.float32 if self.mistake == "dtype" else next(iter(execution.weights.values())).dtype
        result = interpret(graph, execution.inputs, execution.weights, execution.training, dtype=dtype)
        if self.mistake == "shape":
            return replace(result, outputs=tuple(o[..., None] for o in result.outputs))
        if self.mistake == "state":
            return replace(result, updates={path: value + 1 for path, value in result.updates.items()})
        return result


@dataclass(frozen=True)
class WrongGradients(Mirror):
    """Right forward, and wrong on the way back."""

    differentiates = True

    def gradients(self, execution: Execution, cotangents: Sequence[Array | None]) -> Gradients:
        mode = Differentiated.of(execution.graph, execution.training)
        found = mode.gradients(
            lambda inputs: interpret(mode.backward, inputs, execution.weights).outputs, execution.inputs, cotangents
        )
        return replace(found, params={path: 1.001 * g for path, g in found.params.items()})


class Fake(Backend):
    """A backend whose program is empty and whose runner is a mirror."""

    rules = base.Rules()

    def __init__(self, name: str, mistake: str = "") -> None:
        self.name = name  # type: ignore[misc]  # an instance stands for a class here
        self.mistake = mistake

    def emit(self, graph: Graph) -> str:
        if self.mistake == "one mode" and any(node.op.name == "mode" for node in graph.nodes):
            raise NotImplementedError("a program is of one mode")
        return '"""Nothing."""\n'

    def runner(self) -> Runner:
        if self.mistake == "missing":
            raise ModuleNotFoundError("no", name="fake")
        return WrongGradients() if self.mistake == "gradient" else Mirror(self.mistake)


@pytest.fixture(autouse=True)
def backends(monkeypatch: pytest.MonkeyPatch) -> None:
    """`right` and `also_right`, and one backend for each mistake, under its name."""
    mistakes = ("tanh", "raises", "dtype", "shape", "state", "gradient", "missing", "one mode")
    fakes = {name: Fake(name) for name in ("right", "also_right")} | {name: Fake(name, name) for name in mistakes}
    for module in ("architrave.backends.load.find", "architrave.backends.agree.verification.backend"):
        monkeypatch.setattr(module, fakes.__getitem__)


def network() -> Graph:
    """`tanh(relu(x w) + b)` and more after it, with each node at a line and a place of its own."""
    source = Source("net.arch", "y = x @ w\ny = relu(y) + b\ny = tanh(y)\nreturn exp(y)\n")
    x, w, b = leaf("x", (N, 4)), param("fc.w", (4, 3), initial("normal")), param("fc.b", (3,), initial("zeros"))

    def at(line: int) -> dict[str, object]:
        start = source.line_starts[line]
        return {"span": Span(source, start, start + 1), "place": Place(f"step{line}")}

    with marked(**at(0)):
        y = x @ w
    with marked(**at(1)):
        y = make(OPS["relu"](), (y,)).outputs[0] + b
    with marked(**at(2)):
        y = make(OPS["tanh"](), (y,)).outputs[0]
    with marked(**at(3)):
        z = make(OPS["exp"](), (y,)).outputs[0]
    return Graph("net", (x,), (z, y.named("bounded")), (w, b))


def check(*names: str, graph: Graph | None = None, **options: object) -> Report:
    return verify(graph or network(), names, **options)  # type: ignore[arg-type]  # options of many types


def test_backends_that_are_right_agree() -> None:
    report = check("right", "also_right")
    assert report.ok, str(report)
    assert report.skipped == {"training": "it is the same as inference"}
    assert {(c.left, c.right) for c in report.comparisons} == {
        ("right", "oracle"),
        ("also_right", "oracle"),
        ("right", "also_right"),
    }
    assert {c.name for c in report.comparisons if c.kind == "output"} == {"output 0", "bounded"}
    assert {c.name for c in report.comparisons if c.kind == "gradient"} == {"fc.w", "fc.b", "input x"}
    assert {c.dtype for c in report.comparisons} == {"float32", "float64"}
    assert all(c.relative < 1e-14 for c in report.comparisons if c.dtype == "float64")
    assert report.sizes == {"N": 2}


def test_the_first_node_that_differs_is_named() -> None:
    report = check("right", "tanh")
    assert not report.ok
    assert {c.left for c in report.failures} | {c.right for c in report.failures} == {"tanh", "oracle", "right"}
    (divergence,) = report.divergences
    assert (divergence.backend, divergence.op, divergence.place) == ("tanh", "tanh", "step2")
    assert (divergence.span, divergence.line) == ("net.arch:3:1", "y = tanh(y)")
    assert "first differs at `tanh` in `step2` at net.arch:3:1: y = tanh(y)" in str(report)


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        ("raises", "ValueError: tanh is broken"),
        ("dtype", "the dtype is float32, not float64"),
        ("shape", "the shapes are [2, 3, 1] and [2, 3]"),
    ],
)
def test_mistakes_that_are_no_numbers(mistake: str, says: str) -> None:
    report = check(mistake, "right")
    assert not report.ok
    assert any(c.problem == says for c in report.failures)
    if mistake == "raises":
        assert report.divergences[0].op == "tanh"


def test_gradients_are_compared_with_the_oracle() -> None:
    report = check("right", "gradient")
    assert {(c.kind, c.name) for c in report.failures} == {("gradient", "fc.w"), ("gradient", "fc.b")}
    assert check("right", "gradient", gradients=False).ok


def test_states_are_compared() -> None:
    graph = running_max(features=3)
    assert check("right", "also_right", graph=graph).ok
    report = check("right", "state", graph=graph)
    assert {(c.mode, c.kind, c.name) for c in report.failures} >= {("training", "state", "scale.max")}
    assert not any(c.kind == "output" for c in report.failures)


def test_states_that_the_program_of_one_mode_leaves_alone_are_kept() -> None:
    report = check("right", "one mode", graph=running_max(features=3))
    assert report.ok, str(report)
    assert ("inference", "state", "one mode") in {(c.mode, c.kind, c.left) for c in report.comparisons}


def test_a_framework_that_is_not_installed_is_skipped() -> None:
    report = check("right", "missing")
    assert report.ok
    assert report.skipped["missing in inference"] == "fake is not installed"
    assert not check("missing").ok
    assert "were not compared" in str(check("missing"))


def test_the_report_is_json() -> None:
    data = json.loads(json.dumps(check("right", "raises", "tanh").to_json(), allow_nan=False))
    assert data["ok"] is False
    assert data["model"] == "net"
    assert {row["left"] for row in data["comparisons"]} >= {"right", "tanh"}
    assert {d["backend"] for d in data["divergences"]} == {"raises", "tanh"}


def test_the_worst_of_each_kind_makes_a_short_table() -> None:
    report = check("right", "also_right")
    # Two dtypes times (two outputs against the oracle, one between the backends, two of gradients).
    assert len(report.worst()) == 2 * (2 + 1 + 2)


@pytest.mark.parametrize(
    ("options", "says"),
    [({"dtypes": ["float31"]}, "float31"), ({"modes": ["train"]}, "train"), ({"sizes": {"M": 2}}, "M")],
)
def test_options_that_do_not_exist(options: dict[str, object], says: str) -> None:
    with pytest.raises(ArchitraveError, match=f"`{says}`"):
        check("right", **options)


@pytest.mark.parametrize(
    ("actual", "expected", "relative"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        ([1.0, 2.0], [1.0, 4.0], 0.5),
        ([0.5], [0.0], 0.5),
        ([np.nan, np.inf, -np.inf], [np.nan, np.inf, -np.inf], 0.0),
        ([np.nan, 1.0], [0.0, 1.0], np.inf),
        ([np.inf, 1.0], [-np.inf, 1.0], np.inf),
        ([1.0, 1.0], [np.inf, 1.0], np.inf),
        ([], [], 0.0),
        ([1, 2], [1, 3], np.inf),
        ([True], [True], 0.0),
        ([1 + 2j], [1 + 1j], 1 / np.sqrt(2)),
        ([[1.0]], [1.0], np.inf),
    ],
)
def test_differences(actual: list[float], expected: list[float], relative: float) -> None:
    assert difference(np.array(actual), np.array(expected)).relative == pytest.approx(relative)


def test_small_gradients_are_measured_against_the_largest() -> None:
    assert difference(np.array([2e-9]), np.array([1e-9]), floor=1e-3).relative == pytest.approx(1e-6)


def test_weights_are_drawn_so_that_nothing_is_hidden() -> None:
    weights = (
        param("zeros", (50,), initial("zeros")),
        param("ones", (50,), initial("ones")),
        param("tiny", (50,), initial("full", 1e-6)),
        param("steps", (), initial("zeros"), DType.I64),
        param("normal", (50,), initial("normal", 3.0)),
    )
    drawn = trial(Graph("g", (), (), weights)).weights
    assert drawn["zeros"].std() == pytest.approx(0.1, rel=0.5)
    assert 0.5 <= drawn["ones"].min() < drawn["ones"].max() <= 1.5
    assert drawn["tiny"].std() > 0.05
    assert drawn["steps"] == 0
    assert drawn["normal"].std() == pytest.approx(3, rel=0.5)
    assert all(w.dtype == np.float32 for path, w in drawn.items() if path != "steps")


def test_token_inputs_lie_within_what_they_index() -> None:
    tokens, positions, free = (leaf(name, (N, 50), DType.I64) for name in ("tokens", "positions", "free"))
    mask = leaf("mask", (N, 50), DType.BOOL)
    table, other = param("table", (7, 3), initial("normal")), param("other", (300, 3), initial("normal"))
    take = OPS["take"]
    flat = make(OPS["reshape"]((N * 50,)), (tokens,)).outputs[0]
    outputs = (
        make(take(axis=0), (table, flat)).outputs[0],
        make(take(axis=0), (other, tokens)).outputs[0],
        make(OPS["one_hot"](count=20), (positions,)).outputs[0],
        free + 1,
    )
    graph = Graph("g", (tokens, positions, free, mask), outputs, (table, other))
    assert {v.op.label: bounds for v, bounds in index_bounds(graph).items()} == {  # type: ignore[attr-defined]
        "tokens": [7, 300],
        "positions": [20],
    }
    drawn = trial(graph, {"N": 3})
    assert [x.max() for x in drawn.inputs] == [6, 19, SMALL - 1, True]
    assert all(x.min() == 0 for x in drawn.inputs)
    assert drawn.inputs[3][:, 0].all()


def test_sizes_that_fit_are_found() -> None:
    x = leaf("x", (N, symbol("H")))
    graph = Graph("g", (x,), (make(OPS["slice"]((0, 0), (N, symbol("H") - 20), (1, 1)), (x,)).outputs[0],))
    assert trial(graph).sizes == {"N": 2, "H": 32}
    assert trial(graph, {"H": 21, "N": 1}).sizes == {"N": 1, "H": 21}


def test_the_node_through_which_gradients_part_ways_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch twice, once with a `tanh` that is right forward and wrong backward."""
    pytest.importorskip("torch")
    from architrave.backends.torch import Torch

    class Wrong(Torch):
        name = "wrong"

        def emit(self, graph: Graph) -> str:
            wrong = "def wrong_tanh(x):\n    return torch.tanh(x) + 0.1 * (x - x.detach())\n"
            return super().emit(graph).replace("torch.tanh(", "wrong_tanh(") + "\n\n" + wrong

    known = {"torch": Torch(), "wrong": Wrong()}
    for module in ("architrave.backends.load.find", "architrave.backends.agree.verification.backend"):
        monkeypatch.setattr(module, known.__getitem__)
    report = check("torch", "wrong")
    assert {c.kind for c in report.failures} == {"gradient"}
    assert [(d.backend, d.op, d.span) for d in report.divergences] == [("wrong", "tanh", "net.arch:3:1")]


def test_what_rounding_explains_is_allowed_in_narrow_precisions_alone() -> None:
    """`(a + 1000000) - 1000000` has few digits left in float32, and so has the sine of a large number."""
    x, w = leaf("x", (3,)), param("w", (3,), initial("normal"))
    for lost in (((x * w + 1e6) - 1e6) * 1.0, make(OPS["sin"](), (x * w * 1e4,)).outputs[0]):
        report = check("right", "also_right", graph=Graph("net", (x,), (lost,), (w,)), gradients=False)
        assert report.ok, str(report)
        assert {c.dtype for c in report.comparisons if c.noise} == {"float32"}
        assert "rounding alone may change them by" in str(report)
