"""Few members in which every two labels come together."""

from __future__ import annotations

from itertools import combinations

import pytest

from architrave.ir.source import ArchitraveError
from architrave.models import find_in_text
from architrave.search.space import covering as module
from architrave.search.space.costs import CHECKED, Costs
from architrave.search.space.covering import covering
from architrave.search.space.members import Space
from tests.search.spaces import SPACES, costs
from tests.search.test_space import NESTED


def pairs(member: dict[str, str]) -> set[frozenset[tuple[str, str]]]:
    return {frozenset(pair) for pair in combinations(member.items(), 2)}


@pytest.mark.parametrize("text", [NESTED, None], ids=["nested", "a standard space"])
def test_every_two_labels_come_together_that_any_member_has(text: str | None) -> None:
    space = Space.of(find_in_text(text)) if text is not None else costs("SortedNet").space
    some = [*covering(space, [*space.labels])]
    assert set[object]().union(*map(pairs, some)) == set[object]().union(*map(pairs, space))
    assert len(some) < space.size


@pytest.mark.parametrize("name", [name for name in SPACES if name not in ("DARTSSpace", "NASNetSpace")])
def test_members_of_standard_spaces_have_types_that_fit(name: str) -> None:
    costs(name).check()


def test_a_single_decision() -> None:
    space = Space.of(find_in_text("model M()(x: [4]) = x * (choice c { a: 1, b: 2, c: 3 })"))
    assert [member["c"] for member in covering(space, ["c"])] == ["a", "b", "c"]


def many(decisions: int, condition: str) -> Costs:
    names = [f"c{i}" for i in range(decisions)]
    lines = [f"    {name} = choice {name} {{ one: 1, two: 2, three: 3 }}" for name in names]
    body = "\n".join([*lines, f"    assert {condition}", f"    return x * ({' + '.join(names)})"])
    return Costs(find_in_text(f"model Many()(x: [N]) -> [N] {{\n{body}\n}}\n"))


def test_two_of_very_many_numbers_that_do_not_go_together() -> None:
    """3 to the power of 20 members are beyond what could be built."""
    assert CHECKED < 3**20
    many(20, "c3 + c17 < 7").check()
    with pytest.raises(ArchitraveError, match=r"E956[^\n]*where `c3` is `three`, `c17` is `three`\n"):
        many(20, "c3 + c17 < 6").check()


def test_of_too_many_pairs_the_first_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAIRS", 5)
    space = costs("SortedNet").space
    assert 1 <= len([*covering(space, [*space.labels])]) <= 5
