"""Searching in one process: strategies, objectives, what fails, and storages that are refused."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("optuna", reason="optuna is not installed")

from architrave.ir.source import ArchitraveError
from architrave.models import find
from architrave.search.space.costs import Costs
from architrave.search.space.feasible import Feasible
from architrave.search.study import objectives, proxies
from architrave.search.study.candidate import Candidate, Scene
from architrave.search.study.objectives import OBJECTIVES, Objective
from architrave.search.study.results import Result
from architrave.search.study.run import Search, Worker
from architrave.search.study.sampler import STRATEGIES
from architrave.search.study.settings import Settings
from architrave.search.study.strategies import Evolution, Grid, Random, Tried, Turn, dominates, key

ROOT = Path(__file__).parents[2]
SPACE = str(ROOT / "examples" / "space.arch")

POINTS = """from std.linear import linear

model Points()(x: [N, 4]) -> [N, 3] {
    width = choice width { few: 4, some: 8, many: 16 }
    y = x -> hidden: linear(width) -> choice act { relu: relu, tanh: tanh }
    depth = choice depth { one: 1, two: 2 }
    if depth == 2 {
        y = y -> more: linear(choice second { few: 4, many: 8 }) -> relu
    }
    constraint params <= 200
    return y -> head: linear(3)
}
"""


@pytest.fixture
def points(tmp_path: Path) -> str:
    """A small space, beside data in two of whose numbers the class stands."""
    (tmp_path / "points.arch").write_text(POINTS, encoding="utf-8")
    x = np.random.default_rng(0).normal(size=(160, 4)).astype(np.float32)
    np.savez(tmp_path / "points.npz", x=x, y=(x[:, 0] > 0).astype(np.int64) + (x[:, 1] > 0))
    return str(tmp_path / "points.arch")


def settings(model: str, **given: Any) -> Settings:
    return Settings(model, **{"objectives": ("params",), "trials": 12, "backend": "numpy", **given})


def searched(given: Settings) -> list[Result]:
    with Search.of(given) as search:
        Worker(search).run()
        return search.results()


def feasible(model: str) -> Feasible:
    return Feasible(Costs(find(model), {}, {"N": 1}))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_keeps_to_the_space_and_follows_from_the_seed(points: str, strategy: str) -> None:
    space, results = feasible(points), searched(settings(points, strategy=strategy, trials=24))
    assert [one.slot for one in results] == [*range(len(results))]
    assert len(results) == (sum(m in space for m in space.costs.space) if strategy == "grid" else 24)
    assert all(one.member in space for one in results), "constraints are kept"
    assert all(one.values == {"params": space.costs.of(one.member)["params"]} for one in results)
    again = searched(settings(points, strategy=strategy, trials=24))
    assert [one.member for one in results] == [one.member for one in again]


@pytest.mark.parametrize("strategy", ["evolution", "reinforce", "tpe", "nsga2"])
def test_strategies_find_more_than_chance(strategy: str) -> None:
    """The median of what they try last is better than that of random members."""
    options = {"evolution": {"population": 8, "tournament": 4}, "nsga2": {"population_size": 8}}.get(strategy, {})
    given = Settings(SPACE, objectives=("macs",), strategy=strategy, options=options, trials=40)
    last = [one.values["macs"] for one in searched(given)][-15:]
    chance = [one.values["macs"] for one in searched(replace(given, strategy="random", options={}))]
    assert np.median(last) < np.median(chance)


@pytest.mark.parametrize(("strategy", "options"), [("evolution", {"population": 4}), ("reinforce", {"rate": 0.02})])
def test_trials_on_the_way_do_not_matter(points: str, tmp_path: Path, strategy: str, options: dict[str, Any]) -> None:
    """A search that is cut off and goes on is the search that was not cut off."""
    whole = searched(settings(points, strategy=strategy, options=options, trials=20))
    parts = settings(points, strategy=strategy, options=options, storage=f"journal:{tmp_path}/s.log")
    for trials in (3, 4, 11, 20):
        found = searched(replace(parts, trials=trials))
    assert [one.member for one in found] == [one.member for one in whole]


def test_the_front_holds_what_nothing_beats(points: str) -> None:
    with Search.of(settings(points, objectives=("params", "memory"), trials=30, strategy="random")) as search:
        Worker(search).run()
        front, results = search.front(), search.results()
    values = [tuple(-v for v in one.values.values()) for one in results]
    best = [tuple(-v for v in one.values.values()) for one in front]
    assert best
    assert not any(dominates(v, b) for v in values for b in best)
    assert all(any(dominates(b, v) or b == v for b in best) for v in values)
    assert len({key(one.member) for one in front}) == len(front)


def test_evolution_lets_the_oldest_go_and_the_best_have_children(points: str) -> None:
    space = feasible(points)
    members = [space.costs.space.member(i) for i in range(10)]
    past = [Tried(member, (float(10 - i),)) for i, member in enumerate(members)]
    child = Evolution(population=4, tournament=4).propose(Turn(space, np.random.default_rng(0), 10, past))
    assert child not in members
    parent = members[6]
    shared = [path for path in child if path in parent and child[path] == parent[path]]
    assert len(shared) >= len(parent) - 1 or len(child) != len(parent)


def test_the_grid_is_all_members_once(points: str) -> None:
    space = feasible(points)
    found = [Grid().propose(Turn(space, None, i, ())) for i in range(5)]
    assert found == [m for m in space.costs.space if m in space][:5]


def test_random_members_are_new_while_there_are_new_ones(points: str) -> None:
    space, past = feasible(points), list[Tried]()
    for slot in range(12):
        member = Random().propose(Turn(space, np.random.default_rng(slot), slot, past))
        past.append(Tried(member, (0.0,)))
    assert len({key(one.member) for one in past}) == 12


def test_members_are_trained(points: str, tmp_path: Path) -> None:
    data = str(tmp_path / "points.npz")
    given = settings(
        points, objectives=("accuracy", "loss", "macs"), data=data, trials=3, epochs=2, batch=16, rate=0.01
    )
    results = searched(given)
    assert [one.failure for one in results] == [None] * 3
    assert all(0 < one.values["accuracy"] <= 1 and one.values["loss"] > 0 for one in results)
    scene = Scene(given)
    again = Candidate(scene, results[0].member).learnt.history[-1]
    assert again["val_loss"] == results[0].values["loss"], "trained again, it learns the same"


@pytest.mark.parametrize("pruner", ["asha", "hyperband"])
def test_hopeless_trials_stop_early(points: str, tmp_path: Path, pruner: str) -> None:
    data = str(tmp_path / "points.npz")
    results = searched(
        settings(points, objectives=("loss",), data=data, trials=14, epochs=4, batch=16, pruner=pruner, rate=0.01)
    )
    assert len(results) == 14
    assert any(one.pruned for one in results)
    assert not any(one.values for one in results if one.pruned)
    assert any(one.values for one in results)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_measures(points: str, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # More examples than that are not told apart by so few rectifiers.
    monkeypatch.setattr(proxies, "EXAMPLES", 6)
    data = str(tmp_path / "points.npz")
    scene = Scene(settings(points, objectives=(name,), data=data, epochs=1, batch=16))
    member = {"width": "some", "act": "relu", "depth": "one"}
    first, second = (float(OBJECTIVES[name].measure(Candidate(scene, member))) for _ in range(2))
    assert math.isfinite(first)
    assert first == second or name == "latency"


def test_proxies_are_what_they_say(points: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a network with one hidden layer, by hand."""
    monkeypatch.setattr(proxies, "EXAMPLES", 6)
    data = str(tmp_path / "points.npz")
    candidate = Candidate(Scene(settings(points, data=data)), {"width": "some", "act": "relu", "depth": "one"})
    w, b, v, c = (
        np.float64(candidate.first[name]) for name in ("hidden.weight", "hidden.bias", "head.weight", "head.bias")
    )
    x, y = (np.float64(a) for a in _batch(candidate))
    hidden = np.maximum(x @ w.T + b, 0)
    scores = hidden @ v.T + c
    p = np.exp(scores - scores.max(1, keepdims=True))
    slope = (p / p.sum(1, keepdims=True) - np.eye(3)[y.astype(int)]) / len(x)
    inner = (slope @ v) * (hidden > 0)
    gradients = {"w": inner.T @ x, "b": inner.sum(0), "v": slope.T @ hidden, "c": slope.sum(0)}
    weights = {"w": w, "b": b, "v": v, "c": c}
    norm = math.sqrt(sum(float((g**2).sum()) for g in gradients.values()))
    snip = sum(float(abs(gradients[name] * weights[name]).sum()) for name in gradients)
    on = (hidden > 0).astype(float)
    told_apart = np.linalg.slogdet(on @ on.T + (1 - on) @ (1 - on).T)[1]
    # Each weight of the first layer has its way through the second, which counts the same for both.
    through = float(((abs(w).sum(1) + abs(b)) * abs(v).sum(0)).sum())
    flow = 2 * through + float(abs(c).sum())
    wanted = {"grad-norm": norm, "snip": snip, "naswot": told_apart, "synflow": math.log(flow)}
    found = {name: OBJECTIVES[name].measure(candidate) for name in wanted}
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=1e-4), name


def _batch(candidate: Candidate) -> tuple[Any, ...]:
    return proxies._batch(candidate)  # pyright: ignore[reportPrivateUsage]


FAILURES: Mapping[str, Any] = {
    "a crash": (RuntimeError("the device is lost"), "RuntimeError: the device is lost"),
    "no memory": (MemoryError(), "MemoryError"),
    "NaN": (math.nan, "`bad` is nan"),
    "infinity": (math.inf, "`bad` is inf"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_trial_that_fails_is_recorded(points: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, reason = FAILURES[name]

    def measure(candidate: Candidate) -> float:
        if candidate.member["act"] != "tanh":
            return 1.0
        if isinstance(outcome, Exception):
            raise outcome
        return float(outcome)

    monkeypatch.setattr(objectives, "OBJECTIVES", {**OBJECTIVES, "bad": Objective(measure)})
    results = searched(settings(points, objectives=("bad",), strategy="random"))
    assert len(results) == 12
    failed = [one for one in results if one.failure is not None]
    assert {one.failure for one in failed} == {reason}
    assert failed == [one for one in results if one.member["act"] == "tanh"]


def test_an_interrupted_trial_is_done_later(points: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted = list[Any]()

    def measure(candidate: Candidate) -> float:
        if not interrupted:
            interrupted.append(candidate.member)
            raise KeyboardInterrupt
        return 1.0

    monkeypatch.setattr(objectives, "OBJECTIVES", {**OBJECTIVES, "bad": Objective(measure)})
    given = settings(points, objectives=("bad",), trials=4, storage=f"sqlite:///{tmp_path}/s.db")
    with pytest.raises(KeyboardInterrupt):
        searched(given)
    results = searched(given)
    assert [one.failure for one in results] == [None] * 4
    assert results[0].member == interrupted[0]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"objectives": ("speed",)}, "E964"),
        ({"objectives": ("params", "params")}, "E964"),
        ({"objectives": ()}, "E964"),
        ({"strategy": "luck"}, "E966"),
        ({"options": {"size": 3}}, "E966"),
        ({"options": {"population": -1}}, "E966"),
        ({"options": {"population": 2.5}}, "E966"),
        ({"pruner": "asha"}, "E966"),
        ({"pruner": "knife"}, "E966"),
        ({"strategy": "reinforce", "objectives": ("params", "macs")}, "E967"),
        ({"sizes": {"Q": 2}}, "E968"),
        ({"storage": "search.db"}, "E963"),
        ({"storage": "sqlite:///nowhere/at/all/s.db"}, "E962"),
        ({"storage": "journal:nowhere/at/all/s.log"}, "E962"),
        ({"storage": "postgresql+psycopg://nobody@/none?host=/nowhere"}, "E962"),
    ],
)
def test_what_is_wrong_is_said_before_the_search(points: str, given: dict[str, Any], code: str) -> None:
    with pytest.raises(ArchitraveError) as problem:
        searched(settings(points, **given))
    assert problem.value.diagnostics[0].code == code


def test_a_storage_of_another_space_is_refused(points: str, tmp_path: Path) -> None:
    given = settings(points, storage=f"sqlite:///{tmp_path}/s.db", study="mine", trials=2)
    searched(given)
    for changed, code in ((replace(given, model=SPACE), "E960"), (replace(given, seed=1), "E965")):
        with pytest.raises(ArchitraveError) as problem:
            searched(changed)
        assert problem.value.diagnostics[0].code == code
    searched(replace(given, model=SPACE, study="other"))
    # The choices of another network may be the same.
    Path(points).write_text(POINTS.replace("head: linear(3)", "head: linear(3, bias = false)"), encoding="utf-8")
    with pytest.raises(ArchitraveError) as problem:
        searched(given)
    assert problem.value.diagnostics[0].code == "E965"
    assert "network was" in problem.value.diagnostics[0].message


def test_a_file_that_is_no_storage(points: str, tmp_path: Path) -> None:
    (tmp_path / "s.db").write_text("nothing of the kind\n" * 50, encoding="utf-8")
    with pytest.raises(ArchitraveError) as problem:
        searched(settings(points, storage=f"sqlite:///{tmp_path}/s.db"))
    assert problem.value.diagnostics[0].code == "E962"


def test_a_locked_storage(points: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from architrave.search.study import storage

    monkeypatch.setattr(storage, "PATIENCE", 0.1)
    given = settings(points, storage=f"sqlite:///{tmp_path}/s.db", trials=2)
    searched(given)
    other = sqlite3.connect(tmp_path / "s.db")
    try:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ArchitraveError) as problem:
            searched(replace(given, trials=3))
    finally:
        other.close()
    assert problem.value.diagnostics[0].code == "E961"
    assert len(searched(replace(given, trials=3))) == 3


def test_a_storage_that_goes_away(points: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(candidate: Candidate) -> float:
        (tmp_path / "s.db").unlink()
        return 1.0

    monkeypatch.setattr(objectives, "OBJECTIVES", {**OBJECTIVES, "bad": Objective(measure)})
    with pytest.raises(ArchitraveError) as problem:
        searched(settings(points, objectives=("bad",), storage=f"sqlite:///{tmp_path}/s.db"))
    assert problem.value.diagnostics[0].code == "E962"
