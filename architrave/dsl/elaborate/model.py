"""From a model to a graph, and from `expect` lines to outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from architrave.dsl import syntax
from architrave.dsl.elaborate import loops, statements
from architrave.dsl.elaborate.application import bind_arguments, bind_parameters, run_body
from architrave.dsl.elaborate.constraints import Constraint
from architrave.dsl.elaborate.core import Build, Decision, Frame, Labels, Names, elaborating, located
from architrave.dsl.elaborate.facts import evaluated_facts
from architrave.dsl.elaborate.mode import flatten
from architrave.dsl.elaborate.shapes import input_type
from architrave.dsl.elaborate.values import BlockType, describe
from architrave.ir.graph import Graph, make
from architrave.ir.ops.leaves import Input
from architrave.ir.place import Block, Here, Place, mark
from architrave.ir.source import ArchitraveError, Span, error, nearest

HANDLERS = (loops, statements)
"""Importing them registers how statements run."""


@dataclass(frozen=True)
class Elaborated:
    """A model's graph, the choices that were met on the way, by path, and what it demands of its members."""

    graph: Graph
    choices: Mapping[str, Decision]
    constraints: tuple[Constraint, ...] = ()
    within: Mapping[str, frozenset[Labels]] = field(default_factory=dict[str, "frozenset[Labels]"])
    """The alternatives inside which each weight is declared, by its path; of choices that are kept."""


def elaborate(
    model: BlockType,
    arguments: Mapping[str, Any] | None = None,
    *,
    decisions: Mapping[str, str] | None = None,
    keep_choices: bool = False,
    at: Span | None = None,
) -> Elaborated:
    """The graph of a model for static arguments and decisions; `at` is where those are given.

    A choice that is not decided takes its first alternative; with `keep_choices`, choices of stages and
    tensors become `choice` nodes. Raises `ArchitraveError` for whatever is wrong with the model or the arguments.
    """
    build = Build(decisions=decisions or {}, keep_choices=keep_choices)
    before = mark(Here())
    try:
        with elaborating(model.tree.name.span):
            graph = _graph(model, arguments or {}, build, at or model.tree.name.span)
    finally:
        mark(before)
    unknown = [path for path in build.decisions if path not in build.choices]
    if unknown:
        hint = nearest(unknown[0], build.choices)
        raise error(
            "E273", f"`{model.tree.name.text}` has no choice `{unknown[0]}` here", model.tree.name.span, hint=hint
        )
    within: dict[str, set[Labels]] = {}
    for path, labels in build.uses:
        within.setdefault(path, set()).add(labels)
    declared = {path: frozenset(labels) for path, labels in within.items()}
    return Elaborated(graph, build.choices, tuple(build.constraints), declared)


def _graph(model: BlockType, arguments: Mapping[str, Any], build: Build, at: Span) -> Graph:
    tree = model.tree
    what = f"model `{tree.name.text}`"
    place = Place(
        "", Block("model", tree.name.text, tree.doc.text if tree.doc else None, tree.span, tuple(arguments.items()))
    )
    frame = Frame(build, {}, model.globals, place, Names(), (), "model")
    try:
        frame.facts = evaluated_facts(model.facts, frame)
        given = bind_arguments(what, tree.static, (), arguments, at)
        bind_parameters(what, tree.static, given, at, frame)
        inputs = [_input(p, frame) for p in tree.inputs]
        frame.scope.update({v.hint or "": v for v in inputs})
        result = run_body(tree.body, tree.result, what, tree.span, frame)
        outputs = flatten(result)
        if not outputs:
            raise error("E281", f"{what} must return a tensor, not {describe(result)}", tree.name.span)
    except ArchitraveError as problem:
        raise located(problem, tree.name.span, frame) from None
    return Graph(
        name=tree.name.text,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        weights=tuple(build.weights.values()),
        updates=tuple((build.weights[p], v) for p, v in build.states.present.items() if v is not build.weights[p]),
        place=place,
        facts=frame.facts,
        constraints=tuple(c.text for c in build.constraints),
    )


def _input(parameter: syntax.Parameter, frame: Frame) -> Any:
    kind = input_type(parameter.type, parameter.name, frame)
    marks = Here(parameter.span, frame.place, frame.facts)
    return make(Input(parameter.name.text, kind), (), marks).outputs[0].named(parameter.name.text)
