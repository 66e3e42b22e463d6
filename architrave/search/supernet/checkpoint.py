"""Checkpoints of supernets: the weights of all members in one file, whose header says of which kind they are."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from architrave.ir.arrays import Array
from architrave.ir.printer import print_graph
from architrave.ir.source import error, printable
from architrave.search.space.costs import Costs
from architrave.search.supernet.kinds import kind_of, sharing
from architrave.search.supernet.sharing import Sharing
from architrave.weights import fit, read, read_metadata, save

FORMAT = 1
KEY = "architrave.supernet"
HELD_OUT = "held_out"
"""The share of the examples that a supernet did not learn from, in its header."""


def write(
    path: str | os.PathLike[str], supernet: Sharing, weights: Mapping[str, Any], about: Mapping[str, str]
) -> None:
    """Write a supernet with its weights, and what else is to be known of them. Raises E520."""
    header = {"format": FORMAT, "kind": kind_of(supernet), "options": supernet.options(), **marks(supernet.model)}
    save(path, fit(weights, supernet.graph), {**about, KEY: json.dumps(header)})


def load(path: str | os.PathLike[str], model: Costs) -> tuple[Sharing, dict[str, Array]]:
    """The supernet of a model that a file holds, and its weights.

    Raises E501 for a file that is damaged, E970 for one that holds no supernet, E971 for one of another model, and what
    `sharing` and `fit` do.
    """
    where = printable(os.fspath(path))
    text = read_metadata(path).get(KEY)
    if text is None:
        hint = "`architrave supernet train` writes one"
        raise error("E970", f"{where} holds weights, and no supernet", hint=hint)
    try:
        header = json.loads(text)
        kind, options = str(header["kind"]), {str(name): value for name, value in header["options"].items()}
        theirs = {name: str(header[name]) for name in ("space", "network")}
        if header["format"] != FORMAT:
            raise ValueError(header["format"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        hint = "another version may have written it: train it again"
        raise error("E970", f"the header of {where} is not that of a supernet", hint=hint) from None
    ours = marks(model)
    if theirs["space"] != ours["space"]:
        what = f"{where} is a supernet of another space: its choices are not those of `{model.space.name}`"
        raise error("E971", what, hint="search and cut out with the model that it was trained with")
    if theirs != ours:
        hint = "train one with the model, and the static arguments, as they are now"
        raise error("E971", f"{where} is a supernet of another network with the same choices", hint=hint)
    found = sharing(kind, model, options)
    return found, fit(read(path), found.graph, source=os.fspath(path))


def check_held_out(path: str | os.PathLike[str], share: float) -> None:
    """See that members are judged by examples that their supernet did not learn from. Raises E501, E971.

    Where its file does not say which these were, nothing is known.
    """
    share = float(share)
    theirs = read_metadata(path).get(HELD_OUT, str(share))
    if theirs != str(share):
        what = f"{printable(os.fspath(path))} learned with --held-out {printable(theirs[:20])}, and not {share}"
        raise error("E971", what, hint="hold the same examples out: members would be judged by what they have seen")


def digest(path: str | os.PathLike[str]) -> str:
    """What tells a supernet, with its weights, from another. Raises E501."""
    # Not of the bytes of the file, in whose header texts are in no order.
    found = hashlib.sha256(read_metadata(path).get(KEY, "").encode())
    for name, array in sorted(read(path).items()):
        found.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return found.hexdigest()[:16]


def marks(model: Costs) -> dict[str, str]:
    """What tells a model from others: its space, and its network with the other alternatives of each choice."""
    network = hashlib.sha256(print_graph(model.graph(model.space.decided({}))).encode()).hexdigest()[:16]
    return {"space": model.space.fingerprint, "network": network}
