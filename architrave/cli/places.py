"""Where commands write networks and their weights: all files are checked first, and then written, or none is."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from architrave.ir.source import error, printable

if TYPE_CHECKING:
    from architrave.ir.graph import Graph


@dataclass(frozen=True)
class Places:
    """Where the new network and its weights go, and where the old weights are; and where a page about it goes."""

    network: Path | None
    piped: bool
    weights: Path | None
    old: str | None
    page: Path | None = None

    @classmethod
    def of(cls, output: str | None, weights: str | None, weights_out: str | None) -> Places:
        """What the options say."""
        piped = output == "-"
        network = network_file(output) if output is not None and not piped else None
        if weights_out is not None and weights is None:
            raise click.UsageError("--weights-out needs --weights, the checkpoint that it is computed from")
        if weights is None:
            return cls(network, piped, None, None)
        if weights_out is None and network is None:
            raise click.UsageError("--weights needs --output or --weights-out, to say where the new ones go")
        beside = network.with_suffix(".safetensors") if network is not None else None
        return cls(network, piped, Path(weights_out) if weights_out is not None else beside, weights)

    @classmethod
    def of_trained(cls, output: str | None, weights: str, weights_out: str | None, page: str | None = None) -> Places:
        """What the options say of a network that needs its weights, and a page about it. Nothing need be written.

        Raises E520, E568 for what could not be written in the end.
        """
        if output == "-":
            raise click.BadParameter("a network with its weights goes into files", param_hint="--output")
        written = output is not None or weights_out is not None
        places = cls.of(output, weights, weights_out) if written else cls(None, False, None, weights)
        places = replace(places, page=None if page is None else Path(page))
        places.check_writable()
        return places

    def check_writable(self) -> None:
        """Raises E520, E568 for what could not be written in the end."""
        for path in self.files:
            if not path.absolute().parent.is_dir():
                folder = printable(str(path.parent))
                raise error("E520", f"cannot write {printable(str(path))}: there is no folder {folder}")
        if self.page is not None:
            from architrave.record.page import check_page

            check_page()

    @property
    def files(self) -> tuple[Path, ...]:
        """What is written."""
        return tuple(path for path in (self.network, self.weights, self.page) if path is not None)

    def check(self, *sources: str | os.PathLike[str] | None) -> None:
        """Raises E705 where a file would be lost that is read, or written twice."""
        read = [path for path in (*sources, self.old) if path is not None]
        for path in self.files:
            if any(_same(path, other) for other in read):
                hint = "give the new file another name"
                raise error("E705", f"{printable(str(path))} is what this command reads", hint=hint)
        for a, b in itertools.combinations(self.files, 2):
            if _same(a, b):
                hint = "give each a name of its own"
                raise error("E705", f"two of the files to be written are {printable(str(a))}", hint=hint)

    def write(
        self, text: str | None, weights: Mapping[str, Any], about: Mapping[str, str], page: str | None = None
    ) -> None:
        """Write the text of the network and its new weights, with what is to be known about them, and the page."""
        from architrave.files import replacing_all
        from architrave.weights import save

        with replacing_all(*self.files) as temporaries:
            for path, temporary in zip(self.files, temporaries, strict=True):
                if path is self.weights:
                    save(temporary, weights, about)
                else:
                    temporary.write_text((text if path is self.network else page) or "", encoding="utf-8")

    def announce(self) -> None:
        """Say which files were written, beside what goes to the output."""
        for path in self.files:
            click.echo(f"wrote {path}", err=True)

    def to_json(self, text: str | None) -> Mapping[str, str]:
        """The names of what was written, and the text that went into no file."""
        files = {"file": self.network, "weights": self.weights, "report": self.page}
        named = {key: str(path) for key, path in files.items() if path is not None}
        return {**named, "source": text} if self.piped and text is not None else named


def _same(a: str | os.PathLike[str], b: str | os.PathLike[str]) -> bool:
    """Whether two paths lead to one file."""
    if os.path.exists(a) and os.path.exists(b):
        return os.path.samefile(a, b)
    return os.path.realpath(a) == os.path.realpath(b)


def network_file(output: str) -> Path:
    """Where a network goes. Raises `click.BadParameter` for a name that is none of a network's file."""
    path = Path(output)
    if path.suffix != ".arch":
        raise click.BadParameter(f"`{output}` must end in `.arch`, as every network's file", param_hint="--output")
    return path


def network_text(graph: Graph) -> str:
    """The file of a network, which has been read back: it must be the same network."""
    from architrave.backends.arch import write
    from architrave.models import find_in_text
    from architrave.stdlib.instances import applied

    text = write(graph, applied)
    if find_in_text(text).elaborate({}, keep_choices=True).graph != graph:
        raise AssertionError(f"the file of {graph.name} does not read back to the same network")
    return text
