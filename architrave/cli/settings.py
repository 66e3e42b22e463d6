"""Options of a command in a TOML file: `--config train.toml`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from architrave.ir.source import error, nearest, printable

F = TypeVar("F", bound=Any)


def config_option(command: F) -> F:
    """`--config FILE`: what the file says counts where the command line says nothing."""
    text = "Options in a TOML file, by their long names: rate = 0.1."
    option = click.option("--config", metavar="FILE", is_eager=True, expose_value=False, callback=_read, help=text)
    decorated: F = option(command)
    return decorated


def _read(ctx: click.Context, parameter: click.Parameter, path: str | None) -> None:
    if path is None:
        return
    try:
        settings = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as problem:
        raise error("E569", f"cannot read {printable(path)}: {problem.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise error("E569", f"{printable(path)} is no TOML: {printable(str(problem)[:200])}") from None
    options = {_long(p): p for p in ctx.command.params if isinstance(p, click.Option) and p is not parameter}
    ctx.default_map = {
        str(options[name].name): _value(name, value, options[name], path)
        for name, value in settings.items()
        if _known(name, options, path)
    }


def _long(option: click.Option) -> str:
    """`clip-value`, as in `--clip-value`."""
    return max(option.opts, key=len).lstrip("-")


def _known(name: str, options: dict[str, click.Option], path: str) -> bool:
    if name in options:
        return True
    hint = nearest(name, options) or f"the options are {', '.join(options)}"
    raise error("E569", f"{printable(path)} sets `{printable(name)}`, but there is no such option", hint=hint)


def _value(name: str, value: Any, option: click.Option, path: str) -> Any:
    """A value as click takes it. A table stands for an option that is repeated: `set = { classes = 10 }`."""
    if option.multiple and isinstance(value, dict):
        return [f"{key}={_literal(item)}" for key, item in cast("dict[str, Any]", value).items()]
    kind = list if option.multiple else bool if option.is_flag else (int, float, str)
    if isinstance(value, kind) and (option.is_flag or not isinstance(value, bool)):
        return cast(Any, value)
    raise error("E569", f"`{name}` in {printable(path)} is {printable(str(value)[:80])}, which the option cannot be")


def _literal(value: Any) -> str:
    """A value of TOML as a literal of the language."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case list():
            return f"[{', '.join(_literal(item) for item in value)}]"  # pyright: ignore[reportUnknownVariableType]
        case _:
            return str(value)
