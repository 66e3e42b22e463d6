"""Writing files whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from architrave.ir.source import error, printable


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Generator[Path]:
    """A path to write to, which takes the place of `path` when the `with` ends well and is removed when not.

    Raises E520 where the file cannot be written. What another process sees is the old file or the new one.
    """
    with replacing_all(path) as (temporary,):
        yield temporary


@contextlib.contextmanager
def replacing_all(*paths: str | os.PathLike[str]) -> Generator[tuple[Path, ...]]:
    """As `replacing`, of files that belong together: where one cannot be written, all stay as they were."""
    files: list[_File] = []
    try:
        for path in paths:
            with _blaming(path):
                files.append(_File.beside(Path(path)))
        with _blaming(*paths):
            yield tuple(file.temporary for file in files)
        for file in files:
            with _blaming(file.target):
                file.finish()
        for file in files:
            with _blaming(file.target):
                file.put(keep=len(files) > 1)
    except BaseException:
        for file in reversed(files):
            file.take_back()
        raise
    finally:
        for file in files:
            file.clean()


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file, whole or not at all. Raises E520."""
    write_bytes(path, text.encode())


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file, whole or not at all. Raises E520."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


@dataclass
class _File:
    """A file that is written beside the one whose place it takes. `before` holds what stood there."""

    target: Path
    temporary: Path
    before: Path | None = None
    placed: bool = False

    @classmethod
    def beside(cls, path: Path) -> _File:
        # The target of a link is replaced, not the link.
        target = path.resolve() if path.is_symlink() else path
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
        os.close(descriptor)
        return cls(target, Path(name))

    def finish(self) -> None:
        """Give a finished file its permissions, and bring it to the disk."""
        self.temporary.chmod(self.target.stat().st_mode & 0o777 if self.target.exists() else 0o666 & ~_umask())
        with self.temporary.open("rb") as file:
            os.fsync(file.fileno())

    def put(self, *, keep: bool) -> None:
        """Put it in its place. With `keep` it can be taken back."""
        if keep and self.target.exists():
            self.before = Path(shutil.copy2(self.target, f"{self.temporary}.before"))
        os.replace(self.temporary, self.target)
        self.placed = True

    def take_back(self) -> None:
        if self.placed and self.before is None:
            self.target.unlink()
        elif self.placed and self.before is not None:
            os.replace(self.before, self.target)

    def clean(self) -> None:
        for path in filter(None, (self.temporary, self.before)):
            path.unlink(missing_ok=True)


def _umask() -> int:
    # It can only be read by setting it.
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


@contextlib.contextmanager
def _blaming(*paths: str | os.PathLike[str]) -> Generator[None]:
    """Say of which files an error of the system is."""
    try:
        yield
    except OSError as problem:
        shown = ", ".join(printable(str(path)) for path in paths)
        raise error("E520", f"cannot write {shown}: {problem.strerror or problem}") from None
