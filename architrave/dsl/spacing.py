"""What stands between two tokens on one line: a space or nothing."""

from __future__ import annotations

ENDS_VALUE = frozenset(
    ("NAME", "INTEGER", "FLOAT", "STRING", "true", "false", "none", "training", "state", ")", "]", "}")
)
"""A sign after one of these joins two operands; elsewhere it is a prefix. (Kinds of tokens.)"""

NOTHING_AFTER = frozenset(("(", "[", ".", "PREFIX", "ANNOTATION"))
NOTHING_BEFORE = frozenset((")", "]", ",", ".", ":"))


def gap(kind: str, text: str, next_kind: str, next_text: str, in_index: bool) -> str:
    """The space between a token and the next. `PREFIX` is a sign or a pack's star, `ANNOTATION` its `@`;
    `in_index`: the innermost bracket is that of `x[...]`, where `:` makes a slice.
    """
    if kind == ",":
        return "" if next_kind in (")", "]") else " "
    if kind in NOTHING_AFTER or next_kind in NOTHING_BEFORE:
        return ""
    if ".." in (text, next_text):
        return ""
    if kind == ":" and in_index:
        return ""
    if next_kind in ("(", "[") and kind in ENDS_VALUE and kind != "state":
        return ""
    return " "
