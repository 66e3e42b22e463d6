"""Applying things: binding arguments, running bodies, giving instances their places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from architrave.dsl import syntax
from architrave.dsl.elaborate import names, templates
from architrave.dsl.elaborate.binding import Match, check_result, check_static
from architrave.dsl.elaborate.conversions import short_enough, to_float, to_list
from architrave.dsl.elaborate.core import Frame, Layer, ModeNeeded, Names, call, calls, evaluate, located, run
from architrave.dsl.elaborate.facts import evaluated_facts
from architrave.dsl.elaborate.kinds import is_tuple
from architrave.dsl.elaborate.values import BlockType, Builtin, Closure, Fn, Instance, Named, OpRef, Partial, holdable
from architrave.ir import build
from architrave.ir.graph import Value
from architrave.ir.place import Block, Place
from architrave.ir.source import ArchitraveError, Note, Span, error, nearest
from architrave.ir.types import DType

DTYPE_WORDS = {"float": DType.FLOAT, "int": DType.I64, "bool": DType.BOOL, "complex": DType.COMPLEX}


def bind_arguments(
    what: str,
    parameters: Sequence[syntax.Parameter],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    span: Span,
) -> dict[str, Any]:
    """The given arguments by parameter. Raises E221..E223 for too many, unknown and repeated ones."""
    if len(args) > len(parameters):
        raise error("E221", f"{what} takes {_count(len(parameters), 'argument')}, not {len(args)}", span)
    given = {p.name.text: value for p, value in zip(parameters, args, strict=False)}
    known = {p.name.text for p in parameters}
    for name, value in kwargs.items():
        if name not in known:
            raise error("E222", f"{what} has no parameter `{name}`", span, hint=nearest(name, known) or _listed(known))
        if name in given:
            raise error("E223", f"{what} gets `{name}` twice", span)
        given[name] = value
    return given


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number or 'no'} {noun}s"


def _listed(names: set[str]) -> str | None:
    return f"its parameters are {', '.join(f'`{n}`' for n in sorted(names))}" if names else "it takes none"


def is_tensor(parameter: syntax.Parameter) -> bool:
    """Whether a parameter is declared as a tensor, or a tuple of them."""
    return isinstance(parameter.type, syntax.TensorType | syntax.TupleType)


def bind_parameters(
    what: str, parameters: Sequence[syntax.Parameter], given: Mapping[str, Any], span: Span, frame: Frame
) -> None:
    """Put arguments and defaults into the frame's scope and check them: static ones first, so that the
    types of tensors may name them. Raises E224 for a missing argument.
    """
    for parameter in parameters:
        name = parameter.name.text
        if name in given:
            value = given[name]
        elif parameter.default is not None:
            value = evaluate(parameter.default, frame)
        else:
            notes = [Note("it is declared here", parameter.span)]
            hint = "a tuple pipes several inputs: `(x, h) -> ...`" if is_tensor(parameter) else None
            raise error("E224", f"{what} needs `{name}`", span, notes=notes, hint=hint)
        if isinstance(parameter.type, syntax.NamedType):
            check_static(parameter.type.name, value, f"`{name}` of {what}", span)
            value = _canonical(parameter.type.name.text, value, f"`{name}` of {what}", span)
        frame.scope[name] = value
    for parameter in parameters:
        value = frame.scope[parameter.name.text]
        if is_tensor(parameter) and not (value is None and parameter.default is not None):
            Match(f"`{parameter.name.text}`", span, frame, parameters).fit(parameter.type, value)


def _canonical(type_name: str, value: Any, what: str, span: Span) -> Any:
    """A value of the type that it is declared with: 3 as a `float` is 3.0, a range as a `list` is a list."""
    if type_name == "int" and isinstance(value, float):
        return int(value)
    if type_name == "float" and isinstance(value, int):
        return to_float(value, span, what)
    return to_list(value, span, what) if type_name == "list" else value


# ---------------------------------------------------------------- fns and lambdas


@calls(Fn)
def _call_fn(fn: Fn, args: Sequence[Any], kwargs: Mapping[str, Any], span: Span, frame: Frame) -> Any:
    tree = fn.tree
    what = f"fn `{tree.name.text}`"
    if not args and _waits(tree, kwargs):
        return Partial(fn, (), kwargs)
    given = bind_arguments(what, tree.parameters, args, kwargs, span)
    tensors = tuple(name for name, value in given.items() if isinstance(value, Value))
    static = tuple((name, value) for name, value in given.items() if name not in tensors)
    block = Block("fn", tree.name.text, tree.doc.text if tree.doc else None, tree.span, static, tensors)
    inner = Frame(frame.build, {}, fn.globals, Place("", block, frame.place, span), frame.names, frame.facts, "fn")
    bind_parameters(what, tree.parameters, given, span, inner)
    if tree.gradient is not None:
        from architrave.dsl.elaborate.gradient import call_with_gradient

        return call_with_gradient(fn, inner, span)
    return run_body(tree.body, tree.result, what, span, inner)


def _waits(tree: syntax.Fn, kwargs: Mapping[str, Any]) -> bool:
    """Whether a fn that is applied to no tensor is a stage, which waits for one: `attention(causal = true)`."""
    if not tree.parameters or not is_tensor(tree.parameters[0]) or tree.parameters[0].default is not None:
        return False
    return tree.parameters[0].name.text not in kwargs


def run_body(body: Sequence[syntax.Statement], result: syntax.Type | None, what: str, span: Span, frame: Frame) -> Any:
    """Run a body to its `return` and check the result. A body that must know whether it is in training,
    where no `if training` can split it, is built once for each mode.
    """
    if frame.build.training is not None:
        return _run_once(body, result, what, span, frame)
    before, checkpoint = dict(frame.scope), frame.build.checkpoint(frame.names)
    try:
        return _run_once(body, result, what, span, frame)
    except ModeNeeded:
        from architrave.dsl.elaborate.mode import build_both

        frame.build.go_back(checkpoint, frame.names)
        return build_both(lambda side: _run_once(body, result, what, span, side), before, span, frame)


def _run_once(body: Sequence[syntax.Statement], result: syntax.Type | None, what: str, span: Span, frame: Frame) -> Any:
    try:
        returned = run(body, frame)
        if returned is None:
            raise error("E225", f"{what} ends without `return`", body[-1].span if body else span)
        frame.build.handle(returned.value, returned.span)
        check_result(result, returned.value, returned.span, frame)
    except ArchitraveError as problem:
        raise located(problem, span, frame) from None
    return returned.value


@calls(Closure)
def _call_closure(closure: Closure, args: Sequence[Any], kwargs: Mapping[str, Any], span: Span, frame: Frame) -> Any:
    parameters = closure.tree.parameters
    if kwargs:
        names = ", ".join(f"`{name}`" for name in kwargs)
        raise error("E222", f"a lambda takes arguments by their place, not by a name: {names}", span)
    if len(args) != len(parameters):
        raise error("E221", f"this lambda takes {_count(len(parameters), 'argument')}, not {len(args)}", span)
    outer = closure.frame
    scope = Layer(outer.scope, {p.text: a for p, a in zip(parameters, args, strict=True)})
    inner = Frame(frame.build, scope, outer.globals, frame.place, frame.names, frame.facts, frame.kind)
    return evaluate(closure.tree.body, inner)


# ---------------------------------------------------------------- blocks and instances


@calls(BlockType)
def _call_block(block: BlockType, args: Sequence[Any], kwargs: Mapping[str, Any], span: Span, frame: Frame) -> Any:
    """`conv2d(64, 3)` makes an instance; `batch_norm(x)` applies one whose parameters all have defaults."""
    if args and all(map(names_tensor, args)):
        instance = instantiate(block, [], kwargs, span, frame)
        return call(instance, args, {}, span, frame)
    return instantiate(block, args, kwargs, span, frame)


def names_tensor(value: Any) -> bool:
    """Whether an argument is a tensor, or a tuple that holds one."""
    return isinstance(value, Value) or (is_tuple(value) and any(map(names_tensor, value)))


def instantiate(block: BlockType, args: Sequence[Any], kwargs: Mapping[str, Any], span: Span, frame: Frame) -> Instance:
    """An instance of a block with static arguments. Its weights come when it is first applied."""
    what = f"block `{block.tree.name.text}`"
    given = bind_arguments(what, block.tree.static, args, kwargs, span)
    scratch = Frame(frame.build, {}, block.globals, frame.place, Names(), (), "static")
    bind_parameters(what, block.tree.static, given, span, scratch)
    return Instance(block, scratch.scope, span)


@calls(Instance)
def _call_instance(instance: Instance, args: Sequence[Any], kwargs: Mapping[str, Any], span: Span, frame: Frame) -> Any:
    tree = instance.block.tree
    what = f"block `{tree.name.text}`"
    if instance.path is None:
        names.claim_counted(instance, frame)
    facts = (*frame.facts, *evaluated_facts(instance.block.facts, frame))
    build_, place = frame.build, block_place(instance, span, frame.place)
    for value in instance.arguments.values():
        build_.handle(value, span)
    given = bind_arguments(what, tree.inputs, args, kwargs, span)
    key = templates.key_of(instance, given, facts, build_)
    template = templates.find(key) if key is not None else None
    if template is not None and not templates.declared_before(template, place, build_):
        return templates.recall(template, given, place, span, build_)
    names_ = frame.names if instance.segment == "" else Names()
    inner = Frame(build_, dict(instance.arguments), instance.block.globals, place, names_, facts, "block")
    before = templates.marker(build_)
    bind_parameters(what, tree.inputs, given, span, inner)
    result = run_body(tree.body, tree.result, what, span, inner)
    if key is not None:
        templates.remember(key, given, result, place, before, build_)
    return result


def block_place(instance: Instance, span: Span, parent: Place) -> Place:
    """The place of one application of an instance. An instance that was named further out keeps its path."""
    tree = instance.block.tree
    kind = "model" if isinstance(tree, syntax.Model) else "block"
    block = Block(
        kind,
        tree.name.text,
        tree.doc.text if tree.doc else None,
        tree.span,
        tuple(instance.arguments.items()),
        tuple(parameter.name.text for parameter in tree.inputs),
    )
    if _joined(parent.path, instance.segment) == instance.path:
        return Place(instance.segment, block, parent, span)
    return Place(instance.path or "", block, None, span)


def _joined(above: str, segment: str) -> str:
    return f"{above}.{segment}" if above and segment else above or segment


def name_stage(callee: Any, path: syntax.Path, frame: Frame) -> Any:
    """A stage under the instance name that stands before it."""
    segment = names.path_segment(path, frame)
    if isinstance(callee, BlockType):
        callee = instantiate(callee, [], {}, path.span, frame)
    if not isinstance(callee, Instance):
        names.claim_name(segment, path.span, frame)
        return Named(callee, segment)
    if callee.path is not None:
        raise error("E205", f"this instance is called `{callee.path}` already", path.span)
    names.claim(callee, segment, path.span, frame)
    return callee


@calls(Named)
def _call_named(named: Named, args: Sequence[Any], kwargs: Mapping[str, Any], span: Span, frame: Frame) -> Any:
    place = Place(named.segment, None, frame.place, span)
    inner = Frame(frame.build, frame.scope, frame.globals, place, Names(), frame.facts, frame.kind)
    return call(named.callee, args, kwargs, span, inner)


# ---------------------------------------------------------------- stages and operators


@calls(Partial)
def _call_partial(stage: Partial, args: Sequence[Any], kwargs: Mapping[str, Any], span: Span, frame: Frame) -> Any:
    return call(stage.callee, (*args, *stage.args), {**stage.kwargs, **kwargs}, span, frame)


@calls(OpRef)
def _call_op(ref: OpRef, args: Sequence[Any], kwargs: Mapping[str, Any], span: Span, frame: Frame) -> Any:
    operands = ref.kind.operands
    if operands and not args and not any(o.name in kwargs for o in operands):
        return Partial(ref, (), kwargs)
    frame.here(span)
    positional = [as_argument(v, span) for v in args]
    result = build.call(ref.kind.name, *positional, **{k: as_argument(v, span) for k, v in kwargs.items()})
    return holdable(result) if isinstance(result, Value) else tuple(map(holdable, result))


def as_argument(value: Any, span: Span) -> Any:
    """An argument of an operator: the words `float` and `bool` as dtypes, a range as a list. Raises E453."""
    if isinstance(value, range):
        return short_enough(value, span)
    return DTYPE_WORDS.get(value.name, value) if isinstance(value, Builtin) else value
