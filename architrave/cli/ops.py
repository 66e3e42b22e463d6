"""`architrave ops`: the operators that every backend knows."""

from __future__ import annotations

import fnmatch
import importlib
import inspect
from typing import TYPE_CHECKING, Any

import click

from architrave.cli.help import examples
from architrave.cli.report import json_option, print_json
from architrave.ir.source import error, nearest
from architrave.stdlib import first_sentence

if TYPE_CHECKING:
    from architrave.ir.op import Op
    from architrave.ir.signature import Attribute


@examples(
    "architrave ops",
    "architrave ops 'conv*'",
    "architrave ops softmax",
    "architrave ops --matrix 'max_*'",
)
@click.command("ops")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--matrix", "as_matrix", is_flag=True, help="Run the samples on every backend and count those that pass.")
@json_option
def command(names: tuple[str, ...], as_matrix: bool, as_json: bool) -> int:
    """List the operators.

    NAME may be a pattern; for one operator, all of its documentation is shown. In a file each is
    op.NAME(tensors..., attributes...). A primitive operator has a meaning of its own and a rule in
    every backend; a composite one is made of others.
    With --matrix the samples of each are run in f32, f64 and bf16, and the gradients of each, on every
    backend and on the interpreter. It fails if there is a hole: a sample that does not pass.
    """
    found = _matching(names)
    if as_matrix:
        from architrave.cli.matrix import report

        return report(found, as_json=as_json)
    if as_json:
        print_json("ops", True, {"ops": [_described(kind) for kind in found]})
    elif len(found) == 1:
        _show_one(found[0])
    else:
        _show_all(found)
    return 0


def _matching(patterns: tuple[str, ...]) -> list[type[Op]]:
    """The operators that match any pattern, by name. Raises E210 for a pattern that matches none."""
    from architrave.ir.op import OPS

    importlib.import_module("architrave.ir.ops")  # fills the registry

    for pattern in patterns:
        if not fnmatch.filter(OPS, pattern):
            raise error("E210", f"there is no operator `{pattern}`", hint=nearest(pattern, OPS))
    names = {name for pattern in patterns or ("*",) for name in fnmatch.filter(OPS, pattern)}
    return [OPS[name] for name in sorted(names)]


def _described(kind: type[Op]) -> dict[str, Any]:
    from architrave.ir.signature import signature

    return {
        "name": kind.name,
        "kind": _kind(kind),
        "operands": [{"name": o.name, "optional": o.optional, "variadic": o.variadic} for o in kind.operands],
        "attributes": [_described_attribute(a) for a in signature(kind.name).attributes.values()],
        "doc": inspect.getdoc(kind),
    }


def _described_attribute(attribute: Attribute) -> dict[str, Any]:
    default = {} if attribute.required else {"default": _written(attribute.default)}
    return {"name": attribute.name, "type": attribute.kind, "required": attribute.required, **default}


def _kind(kind: type[Op]) -> str:
    if kind.is_composite():
        return "composite"
    return "primitive" if kind.is_primitive() else "structural"


def _operands(kind: type[Op]) -> str:
    return ", ".join(f"{o.name}..." if o.variadic else f"[{o.name}]" if o.optional else o.name for o in kind.operands)


def _attributes(kind: type[Op]) -> str:
    from architrave.ir.signature import signature

    return ", ".join(
        a.name if a.required else f"{a.name} = {_written(a.default)}" for a in signature(kind.name).attributes.values()
    )


def _written(value: Any) -> str:
    """A default as the language writes it."""
    match value:
        case None | bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case tuple():
            return f"[{', '.join(map(_written, value))}]"  # pyright: ignore[reportUnknownArgumentType]
        case _:
            return str(value)


def _show_all(found: list[type[Op]]) -> None:
    from architrave.cli.terminal import plural, show, table

    columns = ("operator", "kind", "operands", "attributes", "meaning")
    rows = table(*columns, flexible=("attributes", "meaning"))
    for kind in found:
        meaning = first_sentence(inspect.getdoc(kind) or "")
        rows.add_row(kind.name, _kind(kind), _operands(kind), _attributes(kind), meaning)
    show(rows)
    composite = sum(kind.is_composite() for kind in found)
    click.echo(
        f"\n{plural(len(found), 'operator')}, {composite} of them composite; an operand in [brackets] may be left out"
    )


def _show_one(kind: type[Op]) -> None:
    from architrave.ir.signature import signature

    operands = [f"{o.name}..." if o.variadic else f"{o.name} = none" if o.optional else o.name for o in kind.operands]
    click.echo(f"op.{kind.name}({', '.join(filter(None, [*operands, _attributes(kind)]))})")
    click.echo(f"\n{inspect.getdoc(kind)}\n")
    for attribute in signature(kind.name).attributes.values():
        click.echo(f"  {attribute.name} is {attribute.kind}")
    click.echo(f"  The operator is {_kind(kind)}.")
