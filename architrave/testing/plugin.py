"""The pytest plugin, loaded by pytest wherever this package is installed. It imports nothing heavy.

`pytest net.arch` makes a test of each model in the file: its `expect` lines hold, and the backends agree on it.
Files that match a pattern of the setting `architrave_models` are collected without being named:

    [tool.pytest.ini_options]
    architrave_models = ["networks/*.arch"]

The fixture `assert_backends_agree` is `architrave.testing.assert_backends_agree`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

T = TypeVar("T")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the setting."""
    parser.addini("architrave_models", "patterns of .arch files to test, from the root folder", type="args", default=[])


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ArchFile | None:
    """Collect `.arch` files that are named, on the command line or by a pattern."""
    if file_path.suffix != ".arch":
        return None
    root = parent.config.rootpath
    inside = file_path.relative_to(root) if file_path.is_relative_to(root) else file_path
    patterns: list[str] = parent.config.getini("architrave_models")
    if parent.session.isinitpath(file_path) or any(inside.match(pattern) for pattern in patterns):
        return _made(ArchFile, parent, path=file_path)
    return None


@pytest.fixture(scope="session")
def assert_backends_agree() -> Callable[..., Any]:
    """The assertion of the same name in `architrave.testing`."""
    from architrave.testing import assert_backends_agree

    return assert_backends_agree


class ArchFile(pytest.File):
    """A `.arch` file: a test of what it expects, and one of each of its models."""

    def collect(self) -> Iterator[pytest.Item]:
        from architrave.ir.source import ArchitraveError
        from architrave.models import find

        try:
            named = find(self.path)
        except ArchitraveError as problem:
            raise self.CollectError(str(problem)) from None
        if named.module.expectations:
            yield _made(Expectations, self, name="expectations")
        for model in named.models:
            yield _made(Agreement, self, name=model)


class _ArchItem(pytest.Item):
    """A test without Python code of its own: the traceback through this package says nothing more."""

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        from architrave.ir.source import ArchitraveError

        if isinstance(excinfo.value, AssertionError | ArchitraveError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"{self.path.name}: {self.name}"


class Expectations(_ArchItem):
    """The file's `expect` lines must hold."""

    def runtest(self) -> None:
        from architrave.dsl.expectations import check
        from architrave.models import find

        broken = [o for o in check(find(self.path).module) if not o.holds]
        told = [f"{o.span}: {o.text}, but {', '.join(f'{k} is {v}' for k, v in o.values.items())}" for o in broken]
        if told:
            raise AssertionError("\n".join(told))


class Agreement(_ArchItem):
    """The backends must agree on a model."""

    def runtest(self) -> None:
        from architrave.testing import assert_backends_agree

        assert_backends_agree(f"{self.path}:{self.name}")


def _made(kind: type[T], parent: pytest.Collector, **options: Any) -> T:
    """A node of pytest, which is made by its class method. pytest leaves that untyped."""
    made: T = cast(Any, kind).from_parent(parent, **options)
    return made
