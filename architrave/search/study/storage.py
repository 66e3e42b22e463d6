"""Where trials are kept: in memory, in a file, or in a database server."""

from __future__ import annotations

import contextlib
import importlib.util
import random
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from architrave.ir.source import ArchitraveError, error, printable

JOURNAL = "journal:"
PATIENCE = 60
"""The seconds in which others may hold a file of SQLite before it counts as locked."""
ATTEMPTS = 20
"""How often the tables of a new file are looked for, while other processes make them."""


def check_installed() -> None:
    """Raises E969 where what searches are kept by is not installed."""
    if importlib.util.find_spec("optuna") is None:
        raise error(
            "E969", "searches are kept by optuna, which is not installed", hint="pip install 'architrave[search]'"
        )


def opened(name: str | None) -> Any:
    """The storage of a name: `sqlite:///FILE`, `journal:FILE`, `postgresql://...`; in memory without one.

    Raises E961 for a file that others hold, E962 for one that cannot be reached, E963 for a name that is none.
    """
    check_installed()
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if name is None:
        return optuna.storages.InMemoryStorage()
    with guarded(name):
        if name.startswith(JOURNAL):
            return _journal(name.removeprefix(JOURNAL))
        if name.startswith("sqlite:"):
            return _sqlite(name)
        if name.startswith(("postgresql:", "postgresql+", "mysql:", "mysql+")):
            return _server(name)
    hint = "a storage is sqlite:///FILE, journal:FILE or postgresql://USER@HOST/DATABASE"
    raise error("E963", f"{printable(name)} is no storage", hint=hint)


def close(storage: Any) -> None:
    """Let go of a storage's connections."""
    engine = getattr(storage, "engine", None)
    if engine is not None:
        storage.scoped_session.remove()
        engine.dispose()


@contextlib.contextmanager
def guarded(name: str | None) -> Generator[None]:
    """What a storage raises, as errors that say what is wrong with it. Raises E961, E962."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    try:
        yield
    except ArchitraveError:
        raise
    except (SQLAlchemyError, StorageInternalError) as problem:
        cause = problem.__cause__ if isinstance(problem, StorageInternalError) else problem
        origin = getattr(cause, "orig", None) if isinstance(cause, DBAPIError) else None
        raise _trouble(str(name), str(origin or cause or problem)) from None


def check_there(name: str | None) -> None:
    """Raises E962 where the file of a storage has been taken away: what is written to it would be lost."""
    path = _file(name)
    if path is not None and not path.exists():
        raise error("E962", f"the storage {printable(str(path))} is gone", hint="run the same command to begin anew")


def _trouble(name: str, reason: str) -> ArchitraveError:
    told = printable(reason.strip().splitlines()[0][:200] if reason.strip() else "no reason is given")
    if "locked" in reason:
        hint = "another program holds it; the same command goes on when it is free"
        return error("E961", f"the storage {printable(_shown(name))} is locked: {told}", hint=hint)
    hint = "the same command goes on when it is back"
    return error("E962", f"the storage {printable(_shown(name))} cannot be used: {told}", hint=hint)


def _file(name: str | None) -> Path | None:
    if name is None:
        return None
    if name.startswith(JOURNAL):
        return Path(name.removeprefix(JOURNAL))
    return Path(name.removeprefix("sqlite:///")) if name.startswith("sqlite:///") else None


def _shown(name: str) -> str:
    """The name without its password."""
    scheme, found, rest = name.partition("://")
    user, at, host = rest.rpartition("@")
    return f"{scheme}{found}{user.partition(':')[0]}{at}{host}"


def _check_folder(path: Path) -> None:
    if not path.absolute().parent.is_dir():
        raise error("E962", f"there is no folder {printable(str(path.parent))} for the storage {printable(path.name)}")
    if path.is_dir():
        raise error("E962", f"the storage {printable(str(path))} is a folder")


def _journal(path: str) -> Any:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    _check_folder(Path(path))
    try:
        return JournalStorage(JournalFileBackend(path))
    except (OSError, ValueError, KeyError) as problem:
        raise _trouble(JOURNAL + path, str(problem)) from None


def _sqlite(name: str) -> Any:
    """A file of SQLite, in which every transaction waits for its turn from the start: then none has to give up."""
    from optuna.storages import RDBStorage
    from sqlalchemy import event

    path = _file(name)
    if path is not None:
        _check_folder(path)
    arguments = {"connect_args": {"timeout": PATIENCE}}
    storage: Any = _patiently(lambda: RDBStorage(name, engine_kwargs=arguments))
    event.listen(storage.engine, "connect", _leave_transactions_alone)
    event.listen(storage.engine, "begin", _begin_at_once)
    # Connections from before know nothing of that.
    storage.engine.dispose()
    return storage


def _server(name: str) -> Any:
    from optuna.storages import RDBStorage

    try:
        return _patiently(lambda: RDBStorage(name, engine_kwargs={"pool_pre_ping": True}))
    except ImportError as problem:
        hint = "pip install 'architrave[cluster]'"
        raise error("E969", f"the storage takes a driver that is not installed: {problem.name}", hint=hint) from None


def _patiently(make: Any) -> Any:
    """A storage; other processes may be making its tables now."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

    for left in reversed(range(ATTEMPTS)):
        try:
            return make()
        except (OperationalError, IntegrityError, ProgrammingError, StorageInternalError) as problem:
            if not left or not any(word in str(problem).lower() for word in ("exists", "unique", "duplicate")):
                raise
            time.sleep(random.uniform(0.05, 0.3))
    raise AssertionError


def _leave_transactions_alone(connection: Any, record: Any) -> None:
    connection.isolation_level = None


def _begin_at_once(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
