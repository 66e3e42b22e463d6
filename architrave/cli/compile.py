"""`architrave compile`: a model to a program that stands alone."""

from __future__ import annotations

import keyword
from pathlib import Path

import click

from architrave.cli.help import examples
from architrave.cli.report import json_option, print_json
from architrave.cli.selection import Selection, model_options
from architrave.ir.source import error


@examples(
    "architrave compile net.arch --backend torch",
    "architrave compile resnet50 --backend jax --set classes=10 --output resnet10.py",
    "architrave compile net.arch:Net --backend numpy --output -",
    "architrave compile net.arch --backend torch --random framework",
)
@click.command("compile")
@click.argument("name", metavar="MODEL")
@click.option("--backend", "-b", required=True, metavar="NAME", help="numpy, torch, jax, or one that is installed.")
@click.option("--output", "-o", metavar="FILE", help="Where to write; a folder, or - for standard output.")
@click.option(
    "--random", default="threefry", metavar="NAME", help="Draw with the framework's own generator: framework."
)
@model_options
@json_option
def command(name: str, backend: str, output: str | None, random: str, as_json: bool, **selected: object) -> int:
    """Write a model as a program of its own.

    The program imports the backend's framework and nothing of architrave.
    Without --output the program is named after the model: net.arch becomes net.py, in the current
    folder; it takes the place of an earlier program, but not of a file that architrave did not
    write. The file is replaced whole, and a compilation that fails writes nothing.
    """
    from architrave.backends.base import backend as find
    from architrave.files import write_text

    selection = Selection(name, **selected)  # type: ignore[arg-type]  # what model_options gives
    graph = selection.graph()
    source = find(backend).drawing_with(random).emit(graph)
    path = _path(selection, output)
    if path is not None:
        write_text(path, source)
    if as_json:
        shown = {"file": str(path)} if path is not None else {"source": source}
        print_json("compile", True, {"model": graph.name, "backend": backend, "lines": source.count("\n"), **shown})
    elif path is None:
        click.echo(source, nl=False)
    else:
        click.echo(f"{path}: {graph.name} for {backend}, {source.count(chr(10)):,} lines", err=True)
    return 0


def _path(selection: Selection, output: str | None) -> Path | None:
    """Where to write the program; None for standard output. Raises E703 for a file that was not asked for."""
    if output == "-":
        return None
    if output is not None and not Path(output).is_dir():
        return Path(output)
    path = Path(output or "") / f"{_module_name(selection)}.py"
    if path.exists() and not _is_ours(path):
        hint = f"`--output {path}` replaces it"
        raise error("E703", f"{path} exists, and was not written by architrave", hint=hint)
    return path


def _is_ours(path: Path) -> bool:
    """Whether a file says that it was compiled."""
    try:
        with path.open("rb") as file:
            return b"compiled by Architrave" in file.read(1000)
    except OSError:
        return False


def _module_name(selection: Selection) -> str:
    """A name that Python can import: the file's, or the model's where that was named."""
    path = selection.named.module.path
    whole_file = path is not None and selection.named.model is None
    name = path.stem if whole_file and path is not None else selection.named.only().lower()
    safe = "".join(c if c.isalnum() else "_" for c in name)
    return f"{safe}_" if keyword.iskeyword(safe) or not safe.isidentifier() else safe
