"""`architrave apply`: a network after passes, as a file, with its new weights."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from architrave.cli.help import examples
from architrave.cli.report import json_option, print_json, show_diagnostics
from architrave.cli.selection import Selection, check_sizes, model_options, sizes_option
from architrave.ir.source import error, printable

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

    places = _Places.of(output, weights, weights_out)
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
    for path in places.files:
        click.echo(f"wrote {path}", err=True)
    return 0


@dataclass(frozen=True)
class _Places:
    """Where the new network and its weights go, and where the old weights are."""

    network: Path | None
    piped: bool
    weights: Path | None
    old: str | None

    @classmethod
    def of(cls, output: str | None, weights: str | None, weights_out: str | None) -> _Places:
        """What the options say."""
        piped = output == "-"
        network = Path(output) if output is not None and not piped else None
        if network is not None and network.suffix != ".arch":
            raise click.BadParameter(f"`{output}` must end in `.arch`, as every network's file", param_hint="--output")
        if weights_out is not None and weights is None:
            raise click.UsageError("--weights-out needs --weights, the checkpoint that it is computed from")
        if weights is None:
            return cls(network, piped, None, None)
        if weights_out is None and network is None:
            raise click.UsageError("--weights needs --output or --weights-out, to say where the new ones go")
        beside = network.with_suffix(".safetensors") if network is not None else None
        return cls(network, piped, Path(weights_out) if weights_out is not None else beside, weights)

    @property
    def files(self) -> tuple[Path, ...]:
        """What is written."""
        return tuple(path for path in (self.network, self.weights) if path is not None)

    def check(self, source: Path | None) -> None:
        """Raises E705 where a file would be lost that is read, or written twice."""
        read = [path for path in (source, self.old) if path is not None]
        for path in self.files:
            if any(_same(path, other) for other in read):
                hint = "give the new file another name"
                raise error("E705", f"{printable(str(path))} is what this command reads", hint=hint)
        if len(self.files) == 2 and _same(*self.files):
            raise error("E705", f"the network and its weights cannot both be {printable(str(self.network))}")

    def to_json(self, text: str | None) -> Mapping[str, str]:
        """The names of what was written, and the text that went into no file."""
        files = {"file": self.network, "weights": self.weights}
        named = {key: str(path) for key, path in files.items() if path is not None}
        return {**named, "source": text} if self.piped and text is not None else named


def _same(a: str | os.PathLike[str], b: str | os.PathLike[str]) -> bool:
    """Whether two paths lead to one file."""
    if os.path.exists(a) and os.path.exists(b):
        return os.path.samefile(a, b)
    return os.path.realpath(a) == os.path.realpath(b)


def _write(graph: Graph, transformed: Transformed, pipeline: Pipeline, places: _Places) -> str | None:
    """Compute all that is to be written, and then write it; the text of the network, where one was asked for."""
    from architrave.files import replacing_all
    from architrave.weights import load, read_metadata, save

    text = _text(transformed.graph) if places.piped or places.network is not None else None
    new: Mapping[str, Any] = {}
    about: dict[str, str] = {}
    if places.old is not None:
        new = transformed.weights(load(places.old, graph))
        about = {**read_metadata(places.old), "passes": str(pipeline)}
    if not places.files:
        return text
    with replacing_all(*places.files) as temporaries:
        for path, temporary in zip(places.files, temporaries, strict=True):
            if path is places.network:
                temporary.write_text(text or "", encoding="utf-8")
            else:
                save(temporary, new, about)
    return text


def _text(graph: Graph) -> str:
    """The file of a network, which has been read back: it must be the same network."""
    from architrave.backends.arch import write
    from architrave.models import find_in_text
    from architrave.stdlib.instances import applied

    text = write(graph, applied)
    if find_in_text(text).elaborate({}, keep_choices=True).graph != graph:
        raise AssertionError(f"the file of {graph.name} does not read back to the same network")
    return text
