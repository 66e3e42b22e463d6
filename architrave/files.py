"""Writing files whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Generator
from pathlib import Path

from architrave.ir.source import ArchitraveError, error, printable


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Generator[Path]:
    """A path to write to, which takes the place of `path` when the `with` ends well and is removed when not.

    Raises E520 where the file cannot be written. What another process sees is the old file or the new one.
    """
    target = Path(path)
    # The target of a link is replaced, not the link.
    target = target.resolve() if target.is_symlink() else target
    temporary: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
        temporary = Path(name)
        os.close(descriptor)
        yield temporary
        _settle(temporary, target)
    except OSError as problem:
        raise _unwritable(path, problem) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file, whole or not at all. Raises E520."""
    write_bytes(path, text.encode())


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file, whole or not at all. Raises E520."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def _settle(temporary: Path, target: Path) -> None:
    """Give a finished file its permissions, bring it to the disk, and put it in its place."""
    temporary.chmod(target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask())
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, target)


def _umask() -> int:
    # It can only be read by setting it.
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _unwritable(path: str | os.PathLike[str], problem: OSError) -> ArchitraveError:
    reason = problem.strerror or str(problem)
    return error("E520", f"cannot write {printable(str(path))}: {reason}")
