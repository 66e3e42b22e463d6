"""Building graphs from Python: a function for every operator, and for inputs, weights and graphs.

    from architrave.ir import build

    image = build.input("image", "f32[N, 3, 32, 32]")
    weight = build.param("conv.weight", "[16, 3, 3, 3]", Initial("kaiming_uniform"))
    y = build.relu(build.conv(image, weight, padding=[[1, 1], [1, 1]]))
    print(build.graph("small", [image], [y]))

`build.NAME(operands, attributes)` is `call("NAME", ...)`. Nodes get the span and place of `place.marked`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from typing import Any

from architrave.ir.dims import Dim
from architrave.ir.graph import Graph, Node, Value, apply, lift, make
from architrave.ir.op import OPS
from architrave.ir.ops.leaves import Initial, Input, Param, State
from architrave.ir.signature import Signature, signature
from architrave.ir.source import error
from architrave.ir.type_parser import parse_type
from architrave.ir.types import TensorType

__all__ = ["call", "graph", "input", "param", "parse_type", "state"]

ZEROS = Initial("zeros")


def call(name: str, /, *arguments: Any, **named: Any) -> Any:
    """Apply the operator `name`: operands first, then attributes, each by position or by name.

    Numbers among the operands become constants of the tensors' dtype, lists become tuples, and None leaves
    out an optional operand. Returns a Value, or a tuple of them for an operator with several results.
    Raises E210 for an unknown operator, E211 and E213 for operands, E212, E214 and E215 for attributes that
    do not fit, and what the operator's `infer` raises.
    """
    known = signature(name)
    operands, given = _sorted_out(known, arguments, named)
    node = make(known.instance(given), lift(*operands))
    return node.outputs[0] if len(node.outputs) == 1 else node.outputs


def input(name: str, type: str | TensorType) -> Value:
    """A tensor that the caller gives: `input("image", "f32[N, 3, H, W]")`."""
    return apply(Input(name, _typed(type))).named(name)


def param(path: str, type: str | TensorType, initial: Initial | Graph = ZEROS) -> Value:
    """A trained weight; `path` is its key in a checkpoint."""
    return apply(Param(path, _typed(type), initial)).named(path.rpartition(".")[2])


def state(path: str, type: str | TensorType, initial: Initial | Graph = ZEROS) -> Value:
    """A buffer that the network updates and does not train; `path` is its key in a checkpoint."""
    return apply(State(path, _typed(type), initial)).named(path.rpartition(".")[2])


def graph(
    name: str,
    inputs: Iterable[Value],
    outputs: Iterable[Value],
    weights: Iterable[Value] | None = None,
    updates: Iterable[tuple[Value, Value]] = (),
) -> Graph:
    """A network. `weights` are the params and states that the outputs need, in order of making, unless given;
    `updates` pairs each state that changes with its new value.

    Raises E216 for an input that is not among `inputs`, E217 for two weights with one path, E218 for an update
    that does not fit.
    """
    pairs = tuple(updates)
    draft = Graph(name, tuple(inputs), tuple(outputs), tuple(weights or ()), pairs)
    found = tuple(n.outputs[0] for n in draft.nodes if isinstance(n.op, Param | State))
    _check_leaves(draft, found)
    for old, new in pairs:
        if not isinstance(old.op, State) or old.type != new.type:
            raise error("E218", f"an update gives a state a new value of its type, but {old.type} became {new.type}")
    return Graph(name, draft.inputs, draft.outputs, found if weights is None else draft.weights, pairs)


def __getattr__(name: str) -> Callable[..., Any]:
    if name not in OPS:
        raise AttributeError(f"there is no operator `{name}`")
    return _function(name)


def __dir__() -> list[str]:
    return sorted({*__all__, *OPS})


@cache
def _function(name: str) -> Callable[..., Any]:
    """The function that applies one operator, with its documentation and signature."""
    known = signature(name)
    kind = inspect.Parameter
    operands = [
        kind(o.name, kind.VAR_POSITIONAL if o.variadic else kind.POSITIONAL_OR_KEYWORD, default=_default(o.optional))
        for o in known.operands
    ]
    attributes = [
        kind(a.name, kind.KEYWORD_ONLY, default=kind.empty if a.required else a.default)
        for a in known.attributes.values()
    ]
    function: Any = partial(call, name)
    function.__name__ = function.__qualname__ = name
    function.__doc__ = known.op.__doc__
    function.__signature__ = inspect.Signature([*operands, *attributes])
    return function  # type: ignore[no-any-return]


def _default(optional: bool) -> Any:
    return None if optional else inspect.Parameter.empty


def _sorted_out(
    known: Signature, arguments: Sequence[Any], named: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """The operands, and the attributes by name."""
    split = len(known.operands)
    if known.variadic:
        split = next((i for i, a in enumerate(arguments) if not isinstance(a, Value)), len(arguments))
    first, rest = arguments[:split], arguments[split:]
    if len(rest) > len(known.attributes):
        most = f"at most {split + len(known.attributes)} arguments"
        raise error("E211", f"`{known.op.name}` takes {most}, not {len(arguments)}", hint=f"`{known}`")
    given = dict(zip(known.attributes, rest, strict=False))
    names = [] if known.variadic else [operand.name for operand in known.operands]
    by_name = dict(zip(names, first, strict=False))
    for key, value in named.items():
        target = by_name if key in names else given
        if key in target:
            raise error("E212", f"`{known.op.name}` gets `{key}` twice")
        target[key] = value
    return list(first) if known.variadic else _operands(known, by_name), given


def _operands(known: Signature, given: Mapping[str, Any]) -> list[Any]:
    """The operands in order. Raises E211 for a missing one, E213 for what is no tensor."""
    operands: list[Any] = []
    absent = None
    for operand in known.operands:
        value = given.get(operand.name)
        if value is None and not operand.optional:
            raise error("E211", f"`{known.op.name}` needs the tensor `{operand.name}`", hint=f"`{known}`")
        if value is None:
            absent = operand.name
            continue
        if absent is not None:
            raise error("E211", f"`{known.op.name}` cannot take `{operand.name}` without `{absent}`")
        if not isinstance(value, Value | int | float | Dim):
            raise error("E213", f"`{operand.name}` of `{known.op.name}` must be a tensor, not a {type(value).__name__}")
        operands.append(value)
    return operands


def _check_leaves(draft: Graph, weights: Iterable[Value]) -> None:
    paths: dict[str, Node] = {}
    for node in draft.nodes:
        if isinstance(node.op, Input) and node.outputs[0] not in draft.inputs:
            raise error("E216", f"`{draft.name}` uses the input `{node.op.label}`, which is not among its inputs")
        if isinstance(node.op, Param | State) and paths.setdefault(node.op.path, node) is not node:
            raise error("E217", f"there are two weights `{node.op.path}`", hint="use one value in both places")
    for value in draft.inputs:
        if not isinstance(value.op, Input):
            raise error("E216", f"an input of `{draft.name}` is the result of `{value.op.name}`, not an input")


def _typed(type: str | TensorType) -> TensorType:
    return parse_type(type) if isinstance(type, str) else type
