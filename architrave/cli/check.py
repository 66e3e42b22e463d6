"""`architrave check`: is a file well typed, and does it keep what its `expect` lines promise?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import click

from architrave.cli.folders import expanded
from architrave.cli.help import examples
from architrave.cli.report import errors_json, json_option, print_json, show_error
from architrave.cli.selection import Selection, model_options
from architrave.ir.dims import Size
from architrave.ir.source import ArchitraveError, printable

if TYPE_CHECKING:
    from architrave.dsl.expectations import Outcome
    from architrave.ir.graph import Graph
    from architrave.models import Named


@dataclass
class Checked:
    """What checking one name came to."""

    name: str
    graphs: list[Graph] = field(default_factory=list["Graph"])
    outcomes: list[Outcome] = field(default_factory=list["Outcome"])
    problem: ArchitraveError | None = None

    @property
    def ok(self) -> bool:
        return self.problem is None and all(o.holds for o in self.outcomes)


@examples(
    "architrave check net.arch",
    "architrave check resnet50 vit_b_16",
    "architrave check net.arch --set classes=100",
    "architrave check net.arch --members",
)
@click.command("check")
@click.argument("names", nargs=-1, required=True, metavar="MODEL...")
@model_options
@click.option("--members", is_flag=True, help="Check the combinations of choices of numbers, too.")
@json_option
def command(names: tuple[str, ...], members: bool, as_json: bool, **selected: Any) -> int:
    """Check types and expectations.

    Says whether models are well typed, and whether what their files expect of them holds.

    Of a file, every model is built with its default arguments (or those of --set) and every
    `expect` line is evaluated; of one model, what concerns it. A folder stands for every .arch
    file in it, and - for standard input.
    """
    results: list[Checked] = []
    for name in expanded(names):
        results.append(_checked(Selection(name, **selected), members))
        if not as_json:
            _tell(results[-1])
    ok = all(r.ok for r in results)
    if as_json:
        print_json("check", ok, {"checked": [_described(r) for r in results]})
    return 2 if any(r.problem for r in results) else 0 if ok else 1


def _checked(selection: Selection, members: bool) -> Checked:
    from architrave.dsl.expectations import check

    result = Checked(selection.name)
    try:
        named = selection.named
        for model in named.models:
            one = replace(named, model=model)
            built = one.elaborate(selection.arguments, selection.decisions)
            result.graphs.append(built.graph)
            if built.choices:
                # The alternatives that are not taken must have types that fit, too.
                one.elaborate(selection.arguments, selection.decisions, keep_choices=True)
            if built.choices and members:
                _check_members(one, selection.arguments)
        as_declared = not selection.arguments and not selection.decisions
        known = dict(zip(named.models, result.graphs, strict=True)) if as_declared else {}
        result.outcomes += check(named.module, named.model, known)
    except ArchitraveError as problem:
        result.problem = problem
    return result


def _check_members(named: Named, arguments: Mapping[str, Any]) -> None:
    # What draws members takes NumPy, which is slow to import.
    from architrave.search.space.costs import Costs

    Costs(named, arguments).check()


def _tell(result: Checked) -> None:
    from architrave.cli.terminal import count, plural

    click.secho(printable(result.name), bold=True)
    for graph in result.graphs:
        inputs = ", ".join(f"{v.hint}: {v.type}" for v in graph.inputs)
        outputs = ", ".join(str(v.type) for v in graph.outputs)
        weights = count(_parameters(graph))
        _line(True, f"{graph.name}({inputs}) -> {outputs}, {weights} parameters")
    for outcome in result.outcomes:
        _line(outcome.holds, printable(" ".join(outcome.text.split())))
        if not outcome.holds:
            found = ", ".join(f"{name} is {written(value)}" for name, value in outcome.values.items())
            click.echo(f"      {found} ({outcome.span})")
    if result.problem is not None:
        show_error(result.problem)
    elif not result.graphs:
        click.echo(f"  it parses; it declares no model, and {plural(len(result.outcomes), 'expectation')}")


def _line(holds: bool, text: str) -> None:
    mark = click.style("ok  ", fg="green") if holds else click.style("FAIL", fg="red", bold=True)
    click.echo(f"  {mark}  {text}")


def _parameters(graph: Graph) -> Size:
    from architrave.ir.cost import parameters

    return parameters(graph)


def written(value: Any) -> str:
    """A value of an expectation as the language writes it: `66_378`, `[N, 10]`."""
    match value:
        case bool():
            return str(value).lower()
        case int():
            return f"{value:_}"
        case list():
            return f"[{', '.join(map(str, value))}]"  # pyright: ignore[reportUnknownArgumentType]
        case tuple():
            return f"({', '.join(map(written, value))})"  # pyright: ignore[reportUnknownArgumentType]
        case _:
            return printable(str(value))


def _described(result: Checked) -> Mapping[str, Any]:
    models = [
        {
            "name": graph.name,
            "inputs": {str(v.hint): str(v.type) for v in graph.inputs},
            "outputs": [str(v.type) for v in graph.outputs],
            "parameters": _parameters(graph),
        }
        for graph in result.graphs
    ]
    expectations = [
        {
            "text": o.text,
            "holds": o.holds,
            "values": {name: written(value) for name, value in o.values.items()},
            "file": o.span.source.name,
            "line": o.span.line,
        }
        for o in result.outcomes
    ]
    described = {"name": result.name, "ok": result.ok, "models": models, "expectations": expectations}
    return described if result.problem is None else {**described, "errors": errors_json(result.problem)}
