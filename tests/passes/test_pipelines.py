"""Pipelines as text: what reads back, and what is wrong with those that do not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from importlib import metadata
from typing import Literal

import pytest

import architrave
from architrave.ir.graph import Graph
from architrave.ir.source import ArchitraveError
from architrave.passes import PASSES, Journal, Keeps, Pass, Pipeline, Select, apply, known_passes, option
from architrave.passes.options import option_types, type_text
from architrave.passes.pipeline import RECIPES

NET = """from std import conv2d, batch_norm, linear

block Stage(width: int)(x: [N, C, H, W]) -> [N, width, H, W] {
    return x -> conv: conv2d(width, 3) -> bn: batch_norm -> relu
}

model Net()(x: [N, 3, 8, 8]) -> [N, 5] {
    return x -> stem: Stage(4) -> body: Stage(6) -> op.mean(axes = [2, 3]) -> head: linear(5)
}
"""


@pytest.fixture(scope="module")
def net() -> Graph:
    return architrave.loads(NET)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("inference", "inference"),
        (" inference , dead ", "inference,dead"),
        ("reparam{only=layer3.* grow=true}", "reparam{only=layer3.* grow=true}"),
        ("reparam{grow=false}", "reparam"),
        ("reparam{only=*}", "reparam"),
        ("reparam {only=a|!op:conv&@keep}", "reparam{only=a|!op:conv&@keep}"),
        ("constants{largest=-1}", "constants{largest=-1}"),
        ("clean", RECIPES["clean"]),
    ],
)
def test_text_reads_back(text: str, shown: str) -> None:
    pipeline = Pipeline.parse(text)
    assert str(pipeline) == shown
    assert Pipeline.parse(shown) == pipeline


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("", "E801", "a pass is expected at the end"),
        ("   ", "E801", "a pass is expected"),
        (",", "E801", "a pass is expected at `,`"),
        ("inference,", "E801", "a pass is expected at the end"),
        ("inference,,dead", "E801", "a pass is expected at `,dead`"),
        ("inference dead", "E801", "a comma is expected at `dead`"),
        ("inference;dead", "E801", "a comma is expected at `;dead`"),
        ("reparam{only=a", "E801", "`}` after the options"),
        ("reparam{a{b}}", "E801", "`}` after the options"),
        ("reparam{only}", "E801", "`only` is no option"),
        ("reparam{only=}", "E801", "`only=` is no option"),
        ("reparam{=a}", "E801", "`=a` is no option"),
        ("reparam{grow=true grow=true}", "E801", "given `grow` twice"),
        ("9lives", "E801", "a pass is expected at `9lives`"),
        ("a" * 100_000, "E800", "there is no pass"),
        ("{" * 100_000, "E801", "a pass is expected"),
        ("dead" + " " * 100_000 + "!", "E801", "a comma is expected at `!`"),
        ("\x1b[31m", "E801", "a pass is expected"),
        ("reparm", "E800", "did you mean `reparam`?"),
        ("deploi", "E800", "did you mean `deploy`?"),
        ("fold", "E800", "`architrave passes` lists all of them"),
        ("reparam{gro=true}", "E802", "did you mean `grow`?"),
        ("reparam{x=true}", "E802", "it has only, grow"),
        ("dead{x=1}", "E802", "it has none"),
        ("deploy{only=a}", "E802", "`deploy` is a recipe"),
        ("reparam{grow=1}", "E803", "takes true | false, not `1`"),
        ("constants{largest=many}", "E803", "takes integer, not `many`"),
        ("constants{largest=1e3}", "E803", "takes integer"),
        (f"constants{{largest={'9' * 10_000}}}", "E803", "takes integer"),
        ("reparam{only=((}", "E805", "`((` is no selector"),
        ("reparam{only=a||b}", "E805", "is no selector"),
        ("reparam{only=op:conf}", "E805", "did you mean `conv`?"),
    ],
    ids=lambda text: repr(text[:20]),
)
def test_what_is_no_pipeline(text: str, code: str, said: str) -> None:
    with pytest.raises(ArchitraveError) as caught:
        Pipeline.parse(text)
    assert caught.value.diagnostics[0].code == code
    assert said in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("only", "said"),
    [
        ("stme.*", "did you mean `stem`?"),
        ("stem.con", "did you mean `stem.conv`?"),
        ("zzz", "`architrave show` lists the places"),
        ("stem|boddy", "did you mean `body`?"),
        ("op:gelu", "did you mean `relu`?"),
        ("op:tan", "its operators are batch_norm, conv,"),
        ("@quant", "its annotations are none"),
        ("stem&body", "no node meets all"),
    ],
)
def test_selectors_that_match_nothing_are_warned_of(net: Graph, only: str, said: str) -> None:
    (warning,) = apply(net, f"inference,reparam{{only={only}}}").journal.warnings
    assert (warning.code, said in str(warning)) == ("E806", True), str(warning)
    assert str(warning).startswith("warning[E806]: ")


@pytest.mark.parametrize(
    "only", ["stem", "stem.*", "*", "st*", "!body", "op:conv", "!@keep", "stem|body", "op:con*&stem"]
)
def test_selectors_that_match(net: Graph, only: str) -> None:
    assert not apply(net, f"inference,reparam{{only={only}}}").journal.warnings


def test_a_network_of_training_is_unfit_for_passes_of_inference(net: Graph) -> None:
    with pytest.raises(ArchitraveError) as caught:
        apply(net, "reparam")
    (problem,) = caught.value.diagnostics
    assert problem.code == "E804"
    assert problem.span is not None
    assert "state running_mean" in problem.span.text
    assert [note.message for note in problem.trail][-1].startswith("`stem.bn`")
    assert problem.hint == "put the pass `inference` before it: `inference,reparam`"


def test_what_differs_in_training_is_unfit_without_states_too() -> None:
    graph = architrave.loads("from std import dropout\nmodel M()(x: [N, 3]) -> [N, 3] = x -> dropout(0.5)\n")
    with pytest.raises(ArchitraveError) as caught:
        apply(graph, "reparam")
    assert caught.value.diagnostics[0].code == "E804"
    assert caught.value.diagnostics[0].span is not None


@pytest.mark.parametrize("name", list(known_passes()))
def test_every_pass_is_documented(name: str) -> None:
    kind = PASSES[name]
    assert kind.summary().endswith(".")
    assert set(kind.documented()) == set(option_types(kind))
    assert all(kind.documented().values())
    assert str(kind()) == name
    assert Pipeline.parse(name).passes == (kind(),)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_pipelines(name: str) -> None:
    assert Pipeline.parse(name) == Pipeline.parse(RECIPES[name])
    assert name not in known_passes()


class Point:
    """What `importlib.metadata` gives of an installed package, as far as is used."""

    def __init__(self, name: str, problem: Exception | None = None) -> None:
        self.name, self.value, self.problem = name, f"{name.replace('-', '_')}:Pass", problem

    def load(self) -> type[Pass]:
        if self.problem is not None:
            raise self.problem

        class TheirPass(Pass):
            """Leaves the network as it is."""

            keeps = Keeps.BOUNDED
            style: Literal["loud", "silent"] = option("silent", "what to do")
            share: float = option(0.5, "how much")
            only: Select = option(Select(), "where")

            def apply(self, graph: Graph, journal: Journal) -> Graph:
                for node in graph.nodes if self.style == "loud" else ():
                    journal.changed("loud", node)
                return graph

        return TheirPass


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Point]]:
    """The entry points of installed packages. Passes that a test defines are forgotten after it."""
    found: list[Point] = []

    def entry_points(*, group: str, name: str | None = None) -> list[Point]:
        assert group == "architrave.passes"
        return [p for p in found if name in (None, p.name)]

    known_passes()
    ours = dict(PASSES)
    monkeypatch.setattr(metadata, "entry_points", entry_points)
    yield found
    PASSES.clear()
    PASSES.update(ours)


def test_passes_of_installed_packages(points: list[Point], net: Graph) -> None:
    points.append(Point("their-pass"))
    found = apply(net, "inference,their-pass{style=loud share=0.25}")
    assert str(Pipeline.parse("their-pass{share=0.5}")) == "their-pass"
    assert found.keeps is Keeps.BOUNDED
    assert found.journal.counts["their-pass{style=loud share=0.25}", "loud"] == len(found.graph.nodes)
    assert "their-pass" in known_passes()
    assert type_text(option_types(PASSES["their-pass"])["style"]) == "loud | silent"
    for text, code in (("{style=lout}", "E803"), ("{share=half}", "E803"), ("{share=nan}", "E803"), ("{a=1}", "E802")):
        with pytest.raises(ArchitraveError) as caught:
            Pipeline.parse(f"their-pass{text}")
        assert caught.value.diagnostics[0].code == code


def test_a_broken_package_breaks_its_own_pass_alone(points: list[Point], net: Graph) -> None:
    points.append(Point("broken-pass", ImportError("no module named `x`\nand more")))
    assert apply(net, "inference").graph.nodes
    with pytest.raises(ArchitraveError) as caught:
        apply(net, "broken-pass")
    assert caught.value.diagnostics[0].code == "E800"
    assert "cannot be loaded (ImportError: no module named `x`)" in str(caught.value)
    assert "broken_pass:Pass" in str(caught.value)


def test_a_package_may_register_a_name_that_it_does_not_define(points: list[Point]) -> None:
    points.append(Point("other-name"))
    with pytest.raises(ArchitraveError) as caught:
        Pipeline.parse("other-name")
    assert caught.value.diagnostics[0].code == "E800"


def test_options_are_fields() -> None:
    assert all(dataclasses.is_dataclass(kind) for kind in known_passes().values())
