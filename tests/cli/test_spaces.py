"""What is wrong with a search space is said before anything is searched."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Cli

MIXED = """from std.linear import linear

model Mixed()(x: [N, 4]) = x -> choice layer { same: linear(4), wider: linear(5) }
"""
NUMBERS = """from std.linear import linear

model Numbers()(x: [N, 4]) -> [N, 4] {
    width = choice width { four: 4, five: 5 }
    return x + (x -> linear(width))
}
"""
HEADS = """from std.attention import self_attention
from std.linear import linear

model Heads()(x: [N, T, 12]) -> [N, T, _] {
    width = choice width { w12: 12, w8: 8 }
    heads = choice heads { h2: 2, h3: 3 }
    return x -> linear(width) -> attention: self_attention(heads)
}
"""
DEEP = """block wide()(x: [N, C]) -> [N, C] = x -> choice act { relu: relu, tanh: tanh }

model Deep()(x: [N, 4]) -> [N, 4] {
    depth = choice depth { one: 1, two: 2 }
    for i in 0..depth {
        x = x -> choice layer[i] { wide: wide, none: identity }
    }
    return x
}
"""


def test_check_compares_alternatives_that_are_not_taken(cli: Cli) -> None:
    Path("mixed.arch").write_text(MIXED)
    found = cli("check", "mixed.arch")
    assert found.code == 2
    assert "alternatives `same` and `wider` give different types: ([N, 4]) and ([N, 5])" in found.err
    assert "mixed.arch:3" in found.err


def test_show_choices_tries_every_number(cli: Cli) -> None:
    Path("numbers.arch").write_text(NUMBERS)
    assert cli("check", "numbers.arch").code == 0
    found = cli("show", "numbers.arch", "--choices")
    assert found.code == 2
    assert "error[E956]: `Numbers` cannot be built where `width` is `five`" in found.err
    assert "numbers.arch:5" in found.err


def test_check_members_finds_numbers_that_do_not_go_together(cli: Cli) -> None:
    Path("heads.arch").write_text(HEADS)
    assert cli("check", "heads.arch").code == 0
    assert cli("show", "heads.arch", "--choices").code == 0
    found = cli("check", "heads.arch", "--members")
    assert found.code == 2
    assert "error[E956]: `Heads` cannot be built where `width` is `w8`, `heads` is `h3`" in found.err
    assert "(heads.arch:7:" in found.err


def test_decisions_inside_of_others_are_listed_where_they_exist(cli: Cli) -> None:
    Path("deep.arch").write_text(DEEP)
    found = cli("show", "deep.arch", "--choices")
    rows = [line.split() for line in found.out.splitlines()]
    assert ["depth", "static", "[one]", "two", "deep.arch:4:13"] in rows
    assert ["layer.1", "stage", "wide", "none", "depth=two", "deep.arch:6:18"] in rows
    assert ["layer.0.wide.act", "stage", "[relu]", "tanh", "layer.0=wide", "deep.arch:1:42"] in rows
    assert len([row for row in rows if row[:1] == ["layer.1"]]) == 1
    assert "5 decisions, 12 members" in found.out


def test_choices_of_a_standard_space(cli: Cli) -> None:
    found = cli("show", "nasbench201", "--choices")
    assert found.code == 0
    assert "15,625" in found.out
    assert "[none]  skip  conv1x1  conv3x3  pool" in found.out
