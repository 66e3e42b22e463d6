"""Spaces: members by number, and what leads from one member to others."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from architrave.ir.source import ArchitraveError
from architrave.models import find_in_text
from architrave.search.space.costs import Costs
from architrave.search.space.members import Space
from tests.search.spaces import SPACES, costs

NESTED = """
from std import linear
block Inner()(x: [N, C]) -> [N, C] {
    width = choice width { narrow: 4, wide: 8 }
    return x -> up: linear(width) -> choice act { relu: relu, tanh: tanh, none: identity } -> down: linear(C)
}
model Nested()(x: [N, 4]) -> [N, 4] {
    depth = choice depth { one: 1, two: 2 }
    for i in 0..depth {
        x = x -> choice op[i] { inner: Inner, plain: linear(4), more: choice more[i] { relu: relu, inner: Inner } }
    }
    h = choice pick { last: x, negative: -x }
    return h
}
"""
FLAT = "model Flat()(x: [N]) = x * (choice a { l: 1, m: 2, n: 3 }) * (choice b { p: 4, q: 5 })"


def space(text: str) -> Space:
    return Space.of(find_in_text(text))


def test_nested_decisions_are_counted() -> None:
    nested = space(NESTED)
    op = 6 + 1 + (1 + 6)
    assert nested.size == 2 * (op + op * op) == len({json.dumps(member) for member in nested})
    assert nested.kinds["depth"] == "static"
    assert nested.kinds["op.0"] == nested.kinds["op.0.inner.act"] == "stage"
    assert nested.kinds["pick"] == "tensor"
    assert {"op.1", "op.1.inner.width", "more.1"} <= {*nested.labels} - {*nested.member(0)}


@pytest.mark.parametrize("text", [NESTED, FLAT], ids=["nested", "flat"])
def test_numbers_and_members_are_inverse(text: str) -> None:
    whole = space(text)
    for number, member in enumerate(whole):
        assert whole.number(member) == number
        assert whole.decode(whole.encode(member)) == member
        assert whole.from_json(whole.to_json(member)) == member
        assert json.loads(json.dumps(member)) == member
        assert member in whole


@pytest.mark.parametrize("name", SPACES)
def test_members_of_standard_spaces(name: str) -> None:
    whole, rng = costs(name).space, np.random.default_rng(0)
    assert whole.size > 1
    for _ in range(20):
        member = whole.sample(rng)
        assert whole.member(whole.number(member)) == member
        assert whole.decode(whole.encode(member)) == member
        assert whole.from_json(whole.to_json(member)) == member
        changed = whole.mutate(member, rng)
        assert changed in whole
        assert changed != member
        crossed = whole.cross(member, changed, rng)
        assert crossed in whole
        assert all(label in (member.get(path), changed.get(path)) for path, label in crossed.items())


def test_every_member_is_as_likely_as_every_other() -> None:
    whole, rng = space(NESTED), np.random.default_rng(0)
    drawn = Counter(whole.number(whole.sample(rng)) for _ in range(20 * whole.size))
    expected = 20.0
    statistic = sum((drawn[i] - expected) ** 2 / expected for i in range(whole.size))
    assert abs(statistic - whole.size) < 5 * (2 * whole.size) ** 0.5


def test_a_space_beyond_64_bits() -> None:
    choices = " * ".join(f"(choice c[{i}] {{ {', '.join(f'l{n}: {n}' for n in range(4))} }})" for i in range(40))
    whole = space(f"model Large()(x: [N]) = x * {choices}")
    assert whole.size == 4**40
    rng = np.random.default_rng(0)
    numbers = [whole.number(whole.sample(rng)) for _ in range(50)]
    assert max(numbers) > 4**39
    assert all(whole.number(whole.member(number)) == number for number in numbers)


def test_some_decisions() -> None:
    nested = space(NESTED)
    member = nested.decided({"op.0": "more", "more.0": "inner"})
    assert member["more.0.inner.width"] == "narrow"
    assert member["depth"] == "one"
    rng = np.random.default_rng(0)
    drawn = {nested.decided({"depth": "two"}, rng)["op.1"] for _ in range(200)}
    assert drawn == {"inner", "plain", "more"}


def test_fingerprints_tell_spaces_apart() -> None:
    assert space(FLAT).fingerprint == space(FLAT.replace("Flat", "Other")).fingerprint
    assert space(FLAT).fingerprint != space(FLAT.replace("n: 3", "o: 3")).fingerprint


@pytest.mark.parametrize(
    ("member", "problem"),
    [
        ({"a": "l"}, "`b` is missing"),
        ({"a": "l", "b": "z"}, "`b` is 'z', and one of p, q"),
        ({"a": "l", "b": "p", "c": "d"}, "no decision `c`"),
        ({"a": 1, "b": "p"}, "`a` is 1"),
    ],
)
def test_what_is_no_member(member: dict[str, str], problem: str) -> None:
    flat = space(FLAT)
    assert member not in flat
    for use in (flat.check, flat.number, flat.encode):
        with pytest.raises(ArchitraveError, match=rf"E952[\s\S]*{problem}"):
            use(member)


@pytest.mark.parametrize(
    "text",
    ["", "[", "[" * 100_000, "null", "[1]", '{"a": "l"}', '{"a": 1, "b": "p"}', '{"a": ["l"], "b": "p"}', "1e999"],
)
def test_json_that_holds_no_member(text: str) -> None:
    with pytest.raises(ArchitraveError, match="E952"):
        space(FLAT).from_json(text)


@pytest.mark.parametrize(
    ("use", "code"),
    [
        (lambda flat: flat.member(6), "E951"),
        (lambda flat: flat.member(-1), "E951"),
        (lambda flat: flat.decode([0]), "E952"),
        (lambda flat: flat.decode([0, 2]), "E952"),
        (lambda flat: flat.decode([-1, 0]), "E952"),
        (lambda flat: flat.decided({"a": "z"}), "E952"),
        (lambda flat: flat.decided({"aa": "l"}), "E952"),
    ],
)
def test_bad_uses(use: object, code: str) -> None:
    with pytest.raises(ArchitraveError, match=code):
        use(space(FLAT))  # type: ignore[operator]  # a function of the table above


def test_a_model_without_choices_has_one_member() -> None:
    whole = space("model M()(x: [N]) = relu(x)")
    assert [*whole] == [{}]
    assert whole.mutate({}, np.random.default_rng(0)) == {}


def test_one_decision_with_two_domains() -> None:
    text = (
        "model M()(x: [N]) {\nk = choice k { a: 1, b: 2 }\n"
        "if k == 1 { return x * (choice c { p: 1, q: 2 }) }\nreturn x * (choice c { p: 1, r: 2 })\n}"
    )
    with pytest.raises(ArchitraveError, match=r"E950[\s\S]*`c` has two domains: p, q; p, r[\s\S]*chosen here, too"):
        _ = space(text).labels


TYPES = {
    "tensors": ("return choice c { same: x, sum: sum(x) }", r"E272[\s\S]*\[N, 4\][\s\S]*\[\]"),
    "stages": ("return x -> choice c { same: linear(4), wider: linear(5) }", r"E325[\s\S]*\[N, 4\][\s\S]*\[N, 5\]"),
    "kinds": ("return x * (choice c { one: 1, stage: relu })", "E271"),
}


@pytest.mark.parametrize(("body", "found"), TYPES.values(), ids=TYPES.keys())
def test_alternatives_that_do_not_fit_are_both_shown(body: str, found: str) -> None:
    with pytest.raises(ArchitraveError, match=found) as caught:
        space(f"from std import linear\nmodel M()(x: [N, 4]) {{\n{body}\n}}\n")
    assert "<text>:3" in str(caught.value)


def test_a_number_with_which_the_model_cannot_be_built() -> None:
    text = (
        "from std import linear\nmodel M()(x: [N, 4]) {\nw = choice w { four: 4, five: 5 }\n"
        "return x + (x -> linear(w))\n}\n"
    )
    with pytest.raises(ArchitraveError, match=r"E956[\s\S]*where `w` is `five`[\s\S]*<text>:4"):
        space(text)


def test_numbers_that_do_not_go_together() -> None:
    text = (
        "from std import linear\nmodel M()(x: [N, 4]) {\n"
        "a = choice a { p: 4, q: 8 }\nb = choice b { p: 4, q: 6 }\n"
        'assert a == 4 or b == 4, "both are wide"\nreturn x -> linear(a) -> linear(b)\n}\n'
    )
    found = Costs(find_in_text(text), {}, {"N": 1})
    assert found.space.size == 4
    with pytest.raises(ArchitraveError, match=r"E956[\s\S]*`a` is `q`, `b` is `q`[\s\S]*both are wide"):
        found.check()


def test_a_decision_of_what_is_used_anyway_is_always_there() -> None:
    """Even if an alternative uses it again."""
    text = """
    from std.linear import linear
    block unit()(x: [N, C]) -> [N, C] = x -> choice act { relu: relu, same: identity }
    model Twice()(x: [N, 4]) {
        layer = unit()
        return x -> layer -> choice op { again: layer, skip: identity }
    }
    """
    named = find_in_text(text)
    for found in (Space.of(named), Space.within(named.elaborate({}, keep_choices=True).graph)):
        assert found.size == 4
        assert {*found.domains} == {"layer.act", "op"}
