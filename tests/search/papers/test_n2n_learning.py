"""N2N learning: students inside a teacher, found by policies: Ashok and others (2018)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from architrave.ir import cost
from architrave.ir.initializers import init
from architrave.ir.interpret import interpret
from architrave.ir.source import ArchitraveError
from architrave.ir.verify import verify
from architrave.models import load
from architrave.search.study.n2n import REMOVE, Student, compress, removals, removed, reward, shrinks, shrunk

DIGITS = Path(__file__).parents[3] / "examples" / "digits"


def teacher(name: str) -> Student:
    graph = load(DIGITS / f"{name}.arch")
    return Student(graph, init(graph, 0, "float64"))


def outputs(student: Student) -> list[np.ndarray]:
    shape = [2 if not isinstance(size, int) else size for size in student.graph.inputs[0].shape]
    x = np.random.default_rng(0).normal(size=shape)
    return [*interpret(student.graph, [x], student.weights).outputs]


def test_the_reward() -> None:
    assert reward(0.9, 0.9, 0, 1000) == 1, "all is gone, and nothing is lost"
    assert reward(0.9, 0.9, 1000, 1000) == 0, "nothing is gone"
    assert reward(0.45, 0.9, 500, 1000) == pytest.approx(0.5 * 1.5 * 0.5)


@pytest.mark.parametrize("name", ["resnet", "vit"])
def test_who_keeps_all_is_the_teacher(name: str) -> None:
    whole = teacher(name)
    same = removed(whole, dict.fromkeys(removals(whole.graph), "keep"))
    same = shrunk(same, dict.fromkeys(shrinks(same.graph), "1.0"))
    assert same.graph == whole.graph
    for a, b in zip(outputs(same), outputs(whole), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["resnet", "vit"])
@pytest.mark.parametrize("seed", range(4))
def test_every_list_of_actions_gives_a_network(name: str, seed: int) -> None:
    whole, rng = teacher(name), np.random.default_rng(seed)
    first = removed(whole, {part: str(rng.choice(some)) for part, some in removals(whole.graph).items()})
    second = shrunk(first, {part: str(rng.choice(some)) for part, some in shrinks(first.graph).items()})
    for student in (first, second):
        verify(student.graph)
        assert [v.type for v in student.graph.inputs] == [v.type for v in whole.graph.inputs]
        assert [v.type for v in student.graph.outputs] == [v.type for v in whole.graph.outputs]
        assert all(np.isfinite(found).all() for found in outputs(student))
    assert cost.parameters(second.graph) <= cost.parameters(first.graph) <= cost.parameters(whole.graph)


def test_policies_find_what_is_rewarded() -> None:
    """With a stub for training: what is left of the first block is what accuracy comes from."""
    whole = teacher("vit")
    kept = next(iter(removals(whole.graph)))

    def evaluate(student: Student) -> float:
        return 0.9 if kept in removals(student.graph) else 0.1

    found = compress(whole, 0.9, evaluate, trials=30)
    assert kept in removals(found.student.graph)
    late, early = (np.mean([value for _, value in part]) for part in (found.removals[-10:], found.removals[:10]))
    assert late > early
    assert found.reward >= max(value for _, value in found.removals)
    assert cost.parameters(found.student.graph) < cost.parameters(whole.graph)
    again = compress(whole, 0.9, evaluate, trials=30)
    assert (again.reward, again.removals) == (found.reward, found.removals)


def test_what_there_is_not() -> None:
    whole = teacher("vit")
    for act, actions in (
        (removed, {"nothing": REMOVE}),
        (removed, {next(iter(removals(whole.graph))): "halve"}),
        (shrunk, {"nothing": "0.2"}),
    ):
        with pytest.raises(ArchitraveError) as problem:
            act(whole, actions)
        assert problem.value.diagnostics[0].code == "E940"
