"""`architrave apply`: a network after passes, as a file, with its new weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from architrave.cli.help import examples
from architrave.cli.places import Places, network_text
from architrave.cli.report import json_option, print_json, show_diagnostics
from architrave.cli.selection import Selection, check_sizes, model_options, sizes_option

if TYPE_CHECKING:
    from architrave.ir.graph import Graph
    from architrave.passes import Pipeline, Transformed


@examples(
    'architrave apply net.arch --passes "inference,reparam,hoist"',
    "architrave apply net.arch --passes clean --output small.arch --explain",
    "architrave apply letters.arch --passes deploy -o new.arch --weights letters.safetensors --trace",
)
@click.command("apply")
@click.argument("name", metavar="MODEL")
@click.option("--passes", required=True, metavar="PIPELINE", help="Names from `architrave passes`, with commas.")
@click.option("--output", "-o", metavar="FILE", help="The .arch file to write; - for standard output.")
@click.option("--weights", metavar="FILE", help="The checkpoint of the network as it is.")
@click.option("--weights-out", metavar="FILE", help="The new checkpoint; by default, beside --output.")
@click.option("--explain", is_flag=True, help="List what was declined, and why.")
@click.option("--trace", is_flag=True, help="List which rule changed which node, how often, how long.")
@sizes_option("--at", "Sizes for symbolic dimensions, N=1,H=224.")
@model_options
@json_option
def command(
    name: str,
    passes: str,
    output: str | None,
    weights: str | None,
    weights_out: str | None,
    explain: bool,
    trace: bool,
    sizes: dict[str, int],
    as_json: bool,
    **selected: Any,
) -> int:
    """Transform a network by passes.

    Shows what it costs before and after, and what the pipeline keeps of its function. With --output
    the new network is written as a file of its own; with --weights so are its weights, computed in
    float64 from those of the network as it is. All of it is checked first, and both files are
    written or none.
    """
    from architrave.cli.applied import Applied
    from architrave.cli.terminal import telling
    from architrave.passes import Pipeline

    places = Places.of(output, weights, weights_out)
    pipeline = Pipeline.parse(passes)
    selection = Selection(name, **selected)
    places.check(selection.named.module.path)
    graph = selection.graph()
    check_sizes(graph, sizes)
    with telling(quiet=as_json) as progress:
        transformed = pipeline.run(graph, progress)
        progress("writing")
        text = _write(graph, transformed, pipeline, places)
    applied = Applied(graph, transformed, pipeline, sizes)
    if as_json:
        print_json("apply", True, {**applied.to_json(), **places.to_json(text)})
        return 0
    if places.piped:
        click.echo(text, nl=False)
    show_diagnostics(transformed.journal.warnings)
    applied.show(explain=explain, trace=trace, err=places.piped)
    places.announce()
    return 0


def _write(graph: Graph, transformed: Transformed, pipeline: Pipeline, places: Places) -> str | None:
    """Compute all that is to be written, and then write it; the text of the network, where one was asked for."""
    from architrave.weights import load, read_metadata

    text = network_text(transformed.graph) if places.piped or places.network is not None else None
    new: Mapping[str, Any] = {}
    about: dict[str, str] = {}
    if places.old is not None:
        new = transformed.weights(load(places.old, graph))
        about = {**read_metadata(places.old), "passes": str(pipeline)}
    places.write(text, new, about)
    return text
