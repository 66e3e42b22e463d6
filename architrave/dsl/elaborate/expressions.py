"""Expressions: literals, names, lists, indexing, conditionals, lambdas, calls and pipes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from architrave.dsl import syntax
from architrave.dsl.elaborate.application import instantiate, name_stage
from architrave.dsl.elaborate.choices import choose
from architrave.dsl.elaborate.conversions import to_condition, to_int, to_range
from architrave.dsl.elaborate.core import Frame, Layer, ModeNeeded, call, evaluate, evaluates
from architrave.dsl.elaborate.indexing import index_tensor
from architrave.dsl.elaborate.kinds import is_list, is_tuple
from architrave.dsl.elaborate.limits import TURN_STEPS
from architrave.dsl.elaborate.targets import take
from architrave.dsl.elaborate.values import BlockType, Builtin, Closure, Fn, Namespace, OpRef, Partial, describe
from architrave.ir.dims import product
from architrave.ir.graph import Value
from architrave.ir.source import error, nearest


@evaluates(syntax.Integer)
@evaluates(syntax.Float)
@evaluates(syntax.String)
@evaluates(syntax.Boolean)
def _literal(node: syntax.Integer, frame: Frame) -> Any:
    return node.value


@evaluates(syntax.NoneLiteral)
def _none(node: syntax.NoneLiteral, frame: Frame) -> None:
    return None


@evaluates(syntax.Training)
def _training(node: syntax.Training, frame: Frame) -> bool:
    if frame.build.training is None:
        raise ModeNeeded(node.span)
    return frame.build.training


@evaluates(syntax.Name)
def _name(node: syntax.Name, frame: Frame) -> Any:
    return frame.lookup(node.text, node.span)


@evaluates(syntax.ListLiteral)
def _list(node: syntax.ListLiteral, frame: Frame) -> list[Any]:
    items = [evaluate(item, frame) for item in node.items]
    frame.build.handle(items, node.span)
    return items


@evaluates(syntax.TupleLiteral)
def _tuple(node: syntax.TupleLiteral, frame: Frame) -> tuple[Any, ...]:
    items = tuple([evaluate(item, frame) for item in node.items])
    frame.build.handle(items, node.span)
    return items


@evaluates(syntax.Comprehension)
def _comprehension(node: syntax.Comprehension, frame: Frame) -> list[Any]:
    before, frame.scope = frame.scope, Layer(frame.scope)
    result: list[Any] = []
    for item in elements(evaluate(node.source, frame), node.source, frame):
        take(node.target, item, frame)
        result.append(evaluate(node.item, frame))
    frame.build.handle(result, node.span)
    frame.scope = before
    return result


def elements(source: Any, node: syntax.Expression, frame: Frame) -> Any:
    """What a static loop runs over. Counts the turns."""
    if not is_list(source):
        hint = "`scan` runs over a tensor" if isinstance(source, Value) else None
        raise error("E235", f"a loop runs over a list or a range, not {describe(source)}", node.span, hint=hint)
    for item in source:
        frame.build.step(node.span, TURN_STEPS)
        yield item


@evaluates(syntax.Range)
def _range(node: syntax.Range, frame: Frame) -> range:
    start = to_int(evaluate(node.start, frame), node.start.span, "the start of a range")
    stop = to_int(evaluate(node.stop, frame), node.stop.span, "the end of a range")
    return to_range(start, stop, 1, node.span)


@evaluates(syntax.Conditional)
def _conditional(node: syntax.Conditional, frame: Frame) -> Any:
    return evaluate(taken_case(node, frame), frame)


def taken_case(node: syntax.Conditional, frame: Frame) -> syntax.Expression:
    """The side of a conditional that its conditions choose."""
    for case in node.cases:
        if to_condition(evaluate(case.condition, frame), case.condition.span):
            return case.value
    return node.otherwise


@evaluates(syntax.Lambda)
def _lambda(node: syntax.Lambda, frame: Frame) -> Closure:
    return Closure(node, frame)


@evaluates(syntax.Attribute)
def _attribute(node: syntax.Attribute, frame: Frame) -> Any:
    value = evaluate(node.value, frame)
    name = node.name.text
    match value:
        case Namespace():
            return _member(value, name, node)
        case Value():
            attribute = TENSOR_ATTRIBUTES.get(name)
            if attribute is not None:
                return attribute(value)
            raise error(
                "E202", f"a tensor has no attribute `{name}`", node.name.span, hint=nearest(name, TENSOR_ATTRIBUTES)
            )
        case _:
            raise error("E202", f"{describe(value)} has no attribute `{name}`", node.name.span)


def _member(namespace: Namespace, name: str, node: syntax.Attribute) -> Any:
    if name not in namespace.members:
        hint = nearest(name, namespace.members)
        raise error("E202", f"{describe(namespace)} has no `{name}`", node.name.span, hint=hint)
    return namespace.members[name]


TENSOR_ATTRIBUTES: dict[str, Callable[[Value], Any]] = {
    "shape": lambda x: list(x.shape),
    "rank": lambda x: x.rank,
    "size": lambda x: product(x.shape),
    "dtype": lambda x: x.dtype,
}


@evaluates(syntax.Index)
def _index(node: syntax.Index, frame: Frame) -> Any:
    value = evaluate(node.value, frame)
    if isinstance(value, Value):
        return index_tensor(value, node, frame)
    if not is_list(value) and not isinstance(value, str):
        raise error("E236", f"{describe(value)} cannot be indexed", node.value.span)
    if len(node.subscripts) != 1:
        raise error("E236", "a list takes one index", node.span)
    (subscript,) = node.subscripts
    match subscript:
        case syntax.Slice(start, stop, step):
            parts = [None if p is None else to_int(evaluate(p, frame), p.span, "a slice") for p in (start, stop, step)]
            if parts[2] == 0:
                raise error("E236", "the step of a slice is zero", node.span)
            frame.build.handle(value, node.span)
            return value[slice(*parts)]
        case syntax.Ellipsis():
            raise error("E236", "`...` is for tensors, not for lists", subscript.span)
        case _:
            index = to_int(evaluate(subscript, frame), subscript.span, "an index")
    if not -len(value) <= index < len(value):
        raise error("E237", f"there is no element {index} in {describe(value)}", subscript.span)
    return value[index]


@evaluates(syntax.Call)
def _call(node: syntax.Call, frame: Frame) -> Any:
    callee = evaluate(node.callee, frame)
    args, kwargs = arguments(node.arguments, frame)
    return call(callee, args, kwargs, node.span, frame)


def arguments(given: tuple[syntax.Argument, ...], frame: Frame) -> tuple[list[Any], dict[str, Any]]:
    """Positional and named arguments, evaluated."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for argument in given:
        value = evaluate(argument.value, frame)
        if argument.name is None:
            args.append(value)
        else:
            kwargs[argument.name.text] = value
    return args, kwargs


@evaluates(syntax.Pipe)
def _pipe(node: syntax.Pipe, frame: Frame) -> Any:
    value = evaluate(node.source, frame)
    for stage in node.stages:
        inputs = value if is_tuple(value) else (value,)
        value = apply_stage(stage, inputs, frame)
    return value


def apply_stage(stage: syntax.Stage, inputs: tuple[Any, ...], frame: Frame) -> Any:
    """What a stage makes of the piped values."""
    if isinstance(stage.value, syntax.StageTuple):
        results = tuple([apply_stage(part, inputs, frame) for part in stage.value.stages])
        frame.build.handle(results, stage.value.span)
        return results
    callee = stage_callee(stage.value, frame)
    if stage.path is not None:
        callee = name_stage(callee, stage.path, frame)
    return call(callee, inputs, {}, stage.value.span, frame)


def stage_callee(node: syntax.Expression, frame: Frame) -> Any:
    """What a stage applies. `f(...)` in a stage leaves the first arguments of a fn open, for the piped values."""
    match node:
        case syntax.Call():
            return _waiting(node, frame)
        case syntax.Choice():
            return choose(node, stage_callee, frame)
        case syntax.Conditional():
            return stage_callee(taken_case(node, frame), frame)
        case _:
            callee = evaluate(node, frame)
            return instantiate(callee, [], {}, node.span, frame) if isinstance(callee, BlockType) else callee


def _waiting(node: syntax.Call, frame: Frame) -> Any:
    callee = evaluate(node.callee, frame)
    args, kwargs = arguments(node.arguments, frame)
    if not isinstance(callee, Fn | Builtin | OpRef) or (isinstance(callee, Builtin) and callee.makes_stage):
        return call(callee, args, kwargs, node.span, frame)
    return Partial(callee, tuple(args), kwargs)


@evaluates(syntax.Choice)
def _choice(node: syntax.Choice, frame: Frame) -> Any:
    return choose(node, evaluate, frame)
