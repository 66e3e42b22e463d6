"""A PostgreSQL server of one's own, in a temporary folder, reached by a socket there."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@contextlib.contextmanager
def server() -> Generator[str]:
    """The address of an empty database. Skips, and says why, where no server can be started."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    if not FOLDERS:
        pytest.skip("PostgreSQL's programs are not installed")
    user = _user()
    folder = Path(tempfile.mkdtemp(prefix="architrave-postgres-"))
    if user is not None:
        os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    data = folder / "data"
    try:
        _run("initdb", user, "-D", data, "-U", "tester", "-A", "trust", "--no-sync")
        settings = f"-k {folder} -c listen_addresses='' -c fsync=off"
        _run("pg_ctl", user, "-D", data, "-l", folder / "log", "-w", "-o", settings, "start")
        try:
            yield f"postgresql+psycopg://tester@/postgres?host={folder}"
        finally:
            _run("pg_ctl", user, "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _user() -> str | None:
    """Whom the server runs as where this is root, as whom it refuses to run."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    pytest.skip("PostgreSQL does not run as root, and there is no user `postgres` or `nobody`")


def _run(program: str, user: str | None, *arguments: object) -> None:
    command = [str(FOLDERS[-1] / program), *map(str, arguments)]
    # What a server writes must not hold a pipe open.
    with tempfile.TemporaryFile("w+") as out:
        done = subprocess.run(command, user=user, cwd="/", stdout=out, stderr=out, check=False)
        out.seek(0)
        told = out.read()
    if done.returncode:
        pytest.skip(f"{program} fails here: {told.strip()[-300:]}")
