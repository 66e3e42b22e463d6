"""`architrave list`: the standard library."""

from __future__ import annotations

import itertools
import textwrap
from typing import Any

import click

from architrave.cli.help import examples
from architrave.cli.report import json_option, print_json
from architrave.ir.dims import Size
from architrave.stdlib import Entry


@examples(
    "architrave list",
    "architrave list conv",
    "architrave list std.norm resnet50",
)
@click.command("list")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@json_option
def command(names: tuple[str, ...], as_json: bool) -> int:
    """List the standard library.

    NAME is a module, such as conv, or a network; of a module, everything that it declares is
    listed with what it takes. The numbers of its parameters are those of the default arguments.
    """
    found = _found(names)
    if as_json:
        print_json("list", True, {"entries": [_described(e) for e in found]})
        return 0
    if names:
        _show_in_full(found)
    else:
        _show_overview(found)
    return 0


def _found(names: tuple[str, ...]) -> list[Entry]:
    """The entries of the named modules and the named models; all of them without a name."""
    from architrave.models import find
    from architrave.stdlib import entries, modules

    if not names:
        return [entry for module in modules() for entry in entries(module)]
    found: list[Entry] = []
    for name in names:
        module = name if name.startswith("std.") else f"std.{name}"
        if module in modules():
            found += entries(module)
            continue
        model = find(name)
        found += [e for e in entries(model.module.name) if e.name in model.models]
    return found


def _parameters(entry: Entry) -> Size | None:
    """The trained weights of a model with its default arguments."""
    if entry.kind != "model":
        return None
    from architrave.ir.cost import parameters
    from architrave.models import find

    return parameters(find(f"{entry.module}:{entry.name}").elaborate({}).graph)


def _described(entry: Entry) -> dict[str, Any]:
    described = {
        "name": entry.name,
        "kind": entry.kind,
        "module": entry.module,
        "signature": entry.signature,
        "doc": entry.doc,
        "papers": [{"title": p.title, "year": p.year} for p in entry.papers],
    }
    return described if entry.kind != "model" else {**described, "parameters": _parameters(entry)}


def _show_overview(found: list[Entry]) -> None:
    from architrave.cli.terminal import count

    networks = [e for e in found if e.kind == "model"]
    with_networks = {e.module for e in networks}
    click.secho("Networks, and their parameters", bold=True)
    for module, entries in itertools.groupby(networks, key=lambda e: e.module):
        _show_module(module)
        for entry in entries:
            click.echo(f"  {entry.name:15} {count(_parameters(entry) or 0):>11}  {entry.summary}")
    click.secho("\nLayers and functions", bold=True)
    for module, entries in itertools.groupby(found, key=lambda e: e.module):
        if module not in with_networks:
            _show_module(module)
            names = ", ".join(e.name for e in entries)
            click.echo(textwrap.fill(names, 96, initial_indent="  ", subsequent_indent="  "))
    click.echo("\n`architrave list conv` shows what those of `std.conv` take.")


def _show_module(module: str) -> None:
    """The first sentence of a module's docstring, and the papers that the docstring cites after it."""
    from architrave.stdlib import doc, first_sentence, papers

    text = doc(module)
    title = first_sentence(text)
    cited = "; ".join(str(p) for p in papers(text) if p.title not in title)
    click.echo(f"\n{click.style(module, bold=True)}: {title}")
    if cited:
        click.secho(f"  {cited}", dim=True)


def _show_in_full(found: list[Entry]) -> None:
    from architrave.cli.terminal import count

    for entry in found:
        title = click.style(f"{entry.kind} {entry.name}", bold=True)
        click.echo(f"{title}{entry.signature}")
        click.echo(f"    from {entry.module} import {entry.name}")
        for line in (entry.doc or "").splitlines():
            click.echo(f"    {line}".rstrip())
        parameters = _parameters(entry)
        if parameters is not None:
            click.echo(f"    {count(parameters)} parameters")
        click.echo("")
