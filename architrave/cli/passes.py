"""`architrave passes`: what can be done to networks."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import click

from architrave.cli.help import examples
from architrave.cli.report import json_option, print_json

if TYPE_CHECKING:
    from architrave.passes import Pass


@examples(
    "architrave passes",
    "architrave passes reparam",
    "architrave passes deploy",
)
@click.command("passes")
@click.argument("name", metavar="[NAME]", required=False)
@json_option
def command(name: str | None, as_json: bool) -> int:
    """List the passes, and what they keep.

    A pass that is exact keeps the function, one that is bounded keeps it within a bound, and a lossy
    one does not. With NAME, all of its documentation is shown, and its options, which a pipeline
    gives in braces: `architrave apply net.arch --passes "inference,reparam{only=layer1.*},hoist"`.
    A recipe is a pipeline with a name of its own.
    """
    from architrave.passes import find_pass, known_passes
    from architrave.passes.pipeline import RECIPES

    recipes = {key: text for key, text in RECIPES.items() if name in (None, key)}
    passes = list(known_passes().values()) if name is None else [] if recipes else [find_pass(name, RECIPES)]
    if as_json:
        shown = [_recipe(key, text) for key, text in recipes.items()]
        print_json("passes", True, {"passes": [_described(kind) for kind in passes], "recipes": shown})
    elif name is None:
        _show_all(passes, recipes)
    elif recipes:
        _show_recipe(name, recipes[name])
    else:
        _show_one(passes[0])
    return 0


def _described(kind: type[Pass]) -> dict[str, Any]:
    return {
        "name": kind.name,
        "keeps": str(kind.keeps),
        "for_inference": kind.for_inference,
        "doc": inspect.getdoc(kind),
        "options": _options(kind),
    }


def _options(kind: type[Pass]) -> list[dict[str, str]]:
    import dataclasses

    from architrave.passes.options import option_types, type_text, value_text

    types, docs = option_types(kind), kind.documented()
    return [
        {"name": f.name, "type": type_text(types[f.name]), "default": value_text(f.default), "doc": docs[f.name]}
        for f in dataclasses.fields(kind)  # type: ignore[arg-type]  # every pass is one
    ]


def _recipe(name: str, text: str) -> dict[str, str]:
    from architrave.passes import Pipeline

    pipeline = Pipeline.parse(text)
    return {"name": name, "keeps": str(pipeline.keeps), "stands_for": text, "passes": str(pipeline)}


def _show_all(passes: list[type[Pass]], recipes: dict[str, str]) -> None:
    from architrave.cli.terminal import show, table

    rows = table("pass", "keeps", "options", "what it does", flexible=("what it does",))
    for kind in passes:
        rows.add_row(kind.name, str(kind.keeps), ", ".join(kind.documented()), kind.summary())
    show(rows)
    click.echo("")
    rows = table("recipe", "keeps", "stands for")
    for name, text in recipes.items():
        rows.add_row(name, _recipe(name, text)["keeps"], text)
    show(rows)
    click.echo("\n`architrave passes NAME` shows one in full; `architrave apply` applies them.")


def _show_recipe(name: str, text: str) -> None:
    recipe = _recipe(name, text)
    click.echo(f"{click.style(name, bold=True)} ({recipe['keeps']}) stands for `{text}`")
    if recipe["passes"] != text:
        click.echo(f"  which is `{recipe['passes']}`")


def _show_one(kind: type[Pass]) -> None:
    click.echo(f"{click.style(kind.name, bold=True)} ({kind.keeps}: {kind.keeps.meaning})\n")
    click.echo(inspect.getdoc(kind) or "")
    options = _options(kind)
    if options:
        click.echo("")
    for option in options:
        click.echo(f"  {option['name']}={option['default']}  ({option['type']})")
        click.echo(f"      {option['doc']}")
    if kind.for_inference:
        click.echo("\n  It takes networks as they are in inference: put `inference` before it.")
