"""Which model a name means: one of a file, or one of the standard library.

The command line and the Python API share these rules. A name is

- a file, `net.arch`, or one of its models, `net.arch:Model`;
- a model of the standard library, `ResNet50`, where case and punctuation do not count: `resnet50`, `vit_b_16`;
- a module of the standard library, `std.resnet`, or one of its models, `std.resnet:ResNet50`.
"""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from architrave import stdlib
from architrave.ir.source import ArchitraveError, error, nearest

if TYPE_CHECKING:
    from architrave.dsl.elaborate.model import Elaborated
    from architrave.dsl.elaborate.values import BlockType
    from architrave.dsl.modules import Module
    from architrave.ir.graph import Graph

NESTING_LIMIT = 100


@dataclass(frozen=True, eq=False)
class Named:
    """What a name means: a module and, unless the name is that of the whole module, one of its models."""

    module: Module
    model: str | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """The models that are meant."""
        return (self.model,) if self.model is not None else tuple(self.module.models)

    def only(self) -> str:
        """The one model that is meant. Raises E611 where there are several or none."""
        if len(self.models) == 1:
            return self.models[0]
        if not self.models:
            raise error("E611", f"{self.module.name} declares no model")
        choices = ", ".join(f"`{self.module.name}:{name}`" for name in self.models)
        raise error(
            "E611", f"{self.module.name} declares {len(self.models)} models", hint=f"name one of them: {choices}"
        )

    def type(self) -> BlockType:
        """The one model that is meant, as it was declared. Raises E611."""
        return self.module.models[self.only()]

    def elaborate(
        self, arguments: Mapping[str, Any], decisions: Mapping[str, str] | None = None, *, keep_choices: bool = False
    ) -> Elaborated:
        """The graph of the one model that is meant. Raises `ArchitraveError` for whatever is wrong with it."""
        from architrave.dsl.elaborate.model import elaborate

        static = {name: _static(name, value) for name, value in arguments.items()}
        return elaborate(self.type(), static, decisions=decisions, keep_choices=keep_choices)


def find(name: str | os.PathLike[str]) -> Named:
    """What a name means. Raises E606 for a missing file, E601 and E610 for names that mean nothing."""
    from architrave.dsl.modules import load_file, load_standard

    name = os.fspath(name)
    file, _, model = name.rpartition(":")
    if file.endswith(".arch"):
        return _member(load_file(file), model)
    if name.endswith(".arch"):
        return Named(load_file(name))
    if file.startswith("std."):
        return _member(load_standard(file), model)
    if name.startswith("std."):
        return Named(load_standard(name))
    return _standard(name)


def find_in_text(text: str, model: str | None = None, name: str = "<text>") -> Named:
    """What `.arch` text declares, or one model of it. Its relative imports are refused."""
    from architrave.dsl.modules import load_text

    module = load_text(text, name)
    return Named(module) if model is None else _member(module, model)


def load(model: str | os.PathLike[str], /, decisions: Mapping[str, str] | None = None, **arguments: Any) -> Graph:
    """The graph of a model: `load("resnet50", classes=10)`, `load("net.arch:Model")`.

    `arguments` are the model's static arguments; a choice that `decisions` (label by path) leaves out takes its
    first alternative. Raises `ArchitraveError`.
    """
    return find(model).elaborate(arguments, decisions).graph


def loads(
    text: str, model: str | None = None, /, decisions: Mapping[str, str] | None = None, **arguments: Any
) -> Graph:
    """The graph of a model that is given as `.arch` text; `model` names it where the text declares several.

    Arguments, decisions and errors are those of `load`.
    """
    return find_in_text(text, model).elaborate(arguments, decisions).graph


def _member(module: Module, model: str) -> Named:
    if model in module.models:
        return Named(module, model)
    hint = nearest(model, module.models) or _listed(module.models)
    raise error("E610", f"{module.name} declares no model `{model}`", hint=hint)


def _standard(name: str) -> Named:
    from architrave.dsl.modules import load_standard

    found = {_plain(known): known for known in stdlib.models()}.get(_plain(name))
    if found is None:
        raise _unknown(name)
    return Named(load_standard(stdlib.models()[found]), found)


def _unknown(name: str) -> ArchitraveError:
    if Path(f"{name}.arch").is_file():
        return error("E610", f"there is no model `{name}`", hint=f"did you mean the file `{name}.arch`?")
    spelt = {_plain(known): known for known in stdlib.models()}
    hint = nearest(_plain(name), spelt)
    if hint is not None:
        hint = re.sub(r"`(\w+)`", lambda match: f"`{spelt[match[1]]}`", hint)
    elif (Path(name).exists() or os.sep in name) and not Path(name).is_dir():
        hint = "a model's file ends in `.arch`"
    return error(
        "E610", f"there is no model `{name}`", hint=hint or "`architrave list` shows those of the standard library"
    )


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


def _listed(names: Iterable[str]) -> str | None:
    shown = ", ".join(f"`{name}`" for name in names)
    return f"it declares {shown}" if shown else None


def _static(name: str, value: Any, depth: int = 0) -> Any:
    """An argument from Python as a value of the language. Raises E612 for what has no such value."""
    if depth > NESTING_LIMIT:
        raise error("E612", f"`{name}` is a list that nests more than {NESTING_LIMIT} deep")
    match value:
        case None | bool() | float() | str():
            return value
        case list():
            return [_static(name, item, depth + 1) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case tuple():
            return tuple(_static(name, item, depth + 1) for item in value)  # pyright: ignore[reportUnknownVariableType]
        case _:
            return _integer(name, value)


def _integer(name: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        hint = "it takes numbers, true and false, strings, none, and lists of these"
        raise error(
            "E612", f"`{name}` is of type {type(value).__name__}, which the language lacks", hint=hint
        ) from None
