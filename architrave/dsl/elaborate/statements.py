"""Statements that build: assignments, weights, states, branches and static loops."""

from __future__ import annotations

from typing import Any

from architrave.dsl import syntax
from architrave.dsl.elaborate.constraints import Constraint, names
from architrave.dsl.elaborate.conversions import to_condition
from architrave.dsl.elaborate.core import Frame, ModeNeeded, Returned, evaluate, execute, executes, run
from architrave.dsl.elaborate.expressions import elements
from architrave.dsl.elaborate.facts import evaluated_facts
from architrave.dsl.elaborate.initial import to_initial
from architrave.dsl.elaborate.mode import branch_on_training
from architrave.dsl.elaborate.names import claim_name, weight_path
from architrave.dsl.elaborate.shapes import tensor_type
from architrave.dsl.elaborate.targets import assign, take
from architrave.dsl.elaborate.values import apply_op, describe
from architrave.ir.graph import Value, make
from architrave.ir.op import Op
from architrave.ir.ops.leaves import Param, State
from architrave.ir.ops.logic import Cast
from architrave.ir.place import Here
from architrave.ir.source import Note, error, nearest


@executes(syntax.Assign)
def _assign(node: syntax.Assign, frame: Frame) -> None:
    assign(node.target, evaluate(node.value, frame), frame)


@executes(syntax.Evaluate)
def _evaluate(node: syntax.Evaluate, frame: Frame) -> None:
    evaluate(node.value, frame)


@executes(syntax.Return)
def _return(node: syntax.Return, frame: Frame) -> Returned:
    return Returned(evaluate(node.value, frame), node.value.span)


@executes(syntax.If)
def _if(node: syntax.If, frame: Frame) -> Returned | None:
    for branch in node.branches:
        try:
            holds = to_condition(evaluate(branch.condition, frame), branch.condition.span)
        except ModeNeeded:
            branch_on_training(node, frame)
            return None
        if holds:
            return run(branch.body, frame)
    return run(node.otherwise, frame) if node.otherwise is not None else None


@executes(syntax.For)
def _for(node: syntax.For, frame: Frame) -> Returned | None:
    for item in elements(evaluate(node.source, frame), node.source, frame):
        take(node.target, item, frame)
        returned = run(node.body, frame)
        if returned is not None:
            return returned
    return None


@executes(syntax.Param)
def _param(node: syntax.Param, frame: Frame) -> None:
    _declare(node, Param, frame)


@executes(syntax.State)
def _state(node: syntax.State, frame: Frame) -> None:
    value = _declare(node, State, frame)
    path = weight_path(frame.place, node.name.text)
    states = frame.build.states
    if path not in states.present:
        states.set(path, value)
    frame.scope[_variable(node)] = states.present[path]
    frame.states[_variable(node)] = path


def _variable(node: syntax.Param | syntax.State) -> str:
    return node.alias.text if node.alias is not None else node.name.text


def _declare(node: syntax.Param | syntax.State, kind: type[Param] | type[State], frame: Frame) -> Value:
    """The leaf of a weight: a new one, or that of an earlier application of the same instance."""
    if frame.kind == "fn":
        raise error("E206", "a fn has no weights", node.span, hint="make it a block")
    claim_name(node.name.text, node.span, frame, hint="in a loop, put it into a block that each turn applies")
    what = tensor_type(node.type, frame)
    path = weight_path(frame.place, node.name.text)
    known = frame.build.weights.get(path)
    if known is not None:
        _check_shared(node, path, known, what, frame)
        value = known
    else:
        given = None if node.initializer is None else evaluate(node.initializer, frame)
        initial = to_initial(given, what, node, frame)
        op: Op = kind(path=path, type=what, initial=initial)
        value = make(op, (), Here(node.span, frame.place, frame.facts)).outputs[0].named(_variable(node))
        frame.build.weights[path] = value
        frame.build.declared[path] = (node, node.span)
    frame.build.uses.append((path, frame.build.within))
    frame.scope[_variable(node)] = value
    return value


def _check_shared(node: syntax.Param | syntax.State, path: str, known: Value, what: Any, frame: Frame) -> None:
    tree, span = frame.build.declared[path]
    place = known.node.place
    notes = [Note(f"`{path}` was made here", span if place is None or place.span is None else place.span)]
    if tree is not node:
        raise error("E203", f"there are two weights `{path}`", node.span, notes=notes)
    if known.type != what:
        raise error(
            "E207",
            f"the shared weight `{path}` is {known.type} and cannot be {what} as well",
            node.span,
            notes=notes,
            hint="an instance that is applied twice shares its weights, so its inputs must have one type",
        )


@executes(syntax.Update)
def _update(node: syntax.Update, frame: Frame) -> None:
    name = node.name.text
    path = frame.states.get(name)
    if path is None:
        hint = nearest(name, frame.states)
        if isinstance(frame.scope.get(name), Value):
            hint = f"an ordinary name is assigned: `{name} = ...`; a buffer is declared: `state {name}: [C] = zeros`"
        raise error("E208", f"`:=` updates a state, and `{name}` is none of this block's", node.span, hint=hint)
    leaf = frame.build.weights[path]
    value = evaluate(node.value, frame)
    if not isinstance(value, Value):
        if not isinstance(value, int | float):
            raise error("E209", f"a state holds a tensor, not {describe(value)}", node.value.span)
        frame.here(node.span)
        value = apply_op("full", value=value, shape=leaf.shape, dtype=leaf.dtype)
    if value.shape != leaf.shape:
        raise error("E209", f"the state `{name}` is {leaf.type} and cannot become {value.type}", node.value.span)
    if value.dtype is not leaf.dtype:
        value = make(Cast(dtype=leaf.dtype), (value,), Here(node.span, frame.place, frame.facts)).outputs[0]
    frame.build.states.set(path, value)
    frame.scope[name] = value


@executes(syntax.Assert)
def _assert(node: syntax.Assert, frame: Frame) -> None:
    if to_condition(evaluate(node.condition, frame), node.condition.span):
        return
    message = "the assertion does not hold"
    if node.message is not None:
        message = str(evaluate(node.message, frame))
    facts = [f"{n} = {frame.scope[n]}" for n in names(node.condition) if n in frame.scope and _plain(frame.scope[n])]
    notes = [Note(f"with {', '.join(facts)}")] if facts else []
    raise error("E251", f"{message} (`{node.condition.span.text}`)", node.span, notes=notes)


def _plain(value: Any) -> bool:
    return isinstance(value, int | float | str | bool)


@executes(syntax.Constraint)
def _constraint(node: syntax.Constraint, frame: Frame) -> None:
    if all(known.condition is not node.condition for known in frame.build.constraints):  # one body for each mode
        scope = {name: frame.scope[name] for name in names(node.condition) if name in frame.scope}
        frame.build.constraints.append(Constraint(node.condition, scope, frame.globals))


@executes(syntax.AnnotatedStatement)
def _annotated(node: syntax.AnnotatedStatement, frame: Frame) -> Returned | None:
    before = frame.facts
    frame.facts = (*before, *evaluated_facts(node.annotations, frame))
    try:
        return execute(node.statement, frame)
    finally:
        frame.facts = before
