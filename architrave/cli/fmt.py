"""`architrave fmt`: one canonical layout for `.arch` files."""

from __future__ import annotations

import difflib
import sys
from dataclasses import dataclass
from pathlib import Path

import click

from architrave.cli.folders import expanded
from architrave.cli.help import examples
from architrave.cli.report import errors_json, json_option, print_json, show_error
from architrave.ir.source import ArchitraveError, Source, printable


@dataclass(frozen=True)
class Formatted:
    """What formatting a file came to. `after` is None where it could not be read."""

    name: str
    before: str
    after: str | None
    problem: ArchitraveError | None = None

    @property
    def changed(self) -> bool:
        return self.after is not None and self.after != self.before

    @property
    def diff(self) -> str:
        """The change as a unified diff."""
        before, after = self.before.splitlines(keepends=True), (self.after or self.before).splitlines(keepends=True)
        name = printable(self.name)
        changes = difflib.unified_diff(before, after, name, f"{name} (formatted)")
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in changes)


@examples(
    "architrave fmt net.arch",
    "architrave fmt --check .",
    "architrave fmt --diff net.arch",
)
@click.command("fmt")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--check", is_flag=True, help="Write nothing; fail if a file would change.")
@click.option("--diff", is_flag=True, help="Write nothing; show what would change, and fail if something would.")
@json_option
def command(files: tuple[str, ...], check: bool, diff: bool, as_json: bool) -> int:
    """Rewrite files in the canonical layout.

    A FILE may be a folder, which stands for every .arch file in it, or -, which formats standard
    input to standard output. Comments stay where they were, and formatting again changes nothing.
    Each file is replaced whole, or left alone if it does not parse.
    """
    if "-" in files and len(files) > 1:
        raise click.UsageError("`-` stands alone")
    results = [_formatted(name) for name in expanded(files)]
    writes = not (check or diff)
    for result in results:
        if writes:
            _write(result)
        if not as_json:
            _tell(result, check, diff)
    failed = any(r.problem for r in results)
    ok = not failed and (writes or not any(r.changed for r in results))
    if as_json:
        print_json("fmt", ok, {"files": [_described(r) for r in results]})
    return 2 if failed else 0 if ok else 1


def _formatted(name: str) -> Formatted:
    from architrave.dsl.format import format_source
    from architrave.dsl.modules import read

    text = ""
    try:
        text = sys.stdin.read() if name == "-" else read(Path(name), name)
        return Formatted(name, text, format_source(Source("<stdin>" if name == "-" else name, text)))
    except ArchitraveError as problem:
        return Formatted(name, text, None, problem)


def _write(result: Formatted) -> None:
    from architrave.files import write_text

    if result.changed and result.after is not None and result.name != "-":
        write_text(result.name, result.after)


def _tell(result: Formatted, check: bool, diff: bool) -> None:
    if result.problem is not None:
        show_error(result.problem)
    elif diff:
        click.echo(result.diff, nl=False)
    elif check and result.changed:
        click.echo(f"would reformat {printable(result.name)}")
    elif result.name == "-" and not check:
        click.echo(result.after, nl=False)
    elif result.changed:
        click.echo(f"reformatted {printable(result.name)}")


def _described(result: Formatted) -> dict[str, object]:
    described: dict[str, object] = {"file": result.name, "changed": result.changed}
    if result.name == "-":
        described["text"] = result.after
    if result.problem is not None:
        described["errors"] = errors_json(result.problem)
    return described
