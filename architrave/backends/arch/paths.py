"""Names of instances as `.arch` text writes them: `layer[0]`, `"layer1.0"`."""

from __future__ import annotations

import re

from architrave.ir.notation import KEYWORDS, string

_RESERVED = KEYWORDS - {"language", "inf", "op", "constant", "float", "bool", "int"}
"""Words that no part of a path is written as; the others are names that variables do not have."""
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
_PATH = re.compile(r"\w+(\.\w+)*")


def is_plain(path: str) -> bool:
    """Whether a path is one identifier."""
    return _WORD.fullmatch(path) is not None and path not in _RESERVED


def is_path(path: str) -> bool:
    """Whether a path can be that of an instance at all."""
    return _PATH.fullmatch(path) is not None


def stage(path: str, index: str | None = None) -> str:
    """The name of a stage, that of element `index` of a list where one is given."""
    first, *rest = path.split(".")
    plain = is_plain(first) and all(is_plain(part) or _NUMBER.fullmatch(part) for part in rest)
    if not plain:
        return string(path if index is None else f"{path}.{{{index}}}".removeprefix("."))
    shown = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in rest)
    return f"{first}{shown}" + (f"[{index}]" if index is not None else "")
