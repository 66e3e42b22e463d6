"""Checkpoints: safetensors files whose keys are the paths of a network's weights.

Arrays have one layout, PyTorch's: `[out, in, *kernel]` for convolutions, `[out, in]` for linear layers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias, cast

import numpy as np

from architrave.files import replacing
from architrave.ir.graph import Graph, Value
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import ArchitraveError, Diagnostic, error, nearest, printable
from architrave.ir.storage import is_float, numpy_dtype, our_dtype
from architrave.ir.types import DType, shape_text

Array: TypeAlias = "np.ndarray[Any, Any]"
Weights: TypeAlias = "dict[str, Array]"
"""Arrays by path."""

MANY = 2000
"""Pairs of names that are compared for their spelling, and unexpected keys that are listed."""
IGNORED = "num_batches_tracked"
"""The last segment of keys that PyTorch's batch normalization saves and no computation of ours needs."""


def load(path: str | os.PathLike[str], graph: Graph | None = None, dtype: Any = None) -> Weights:
    """The arrays of a safetensors file, by path; those of `graph`, in its order, where one is given.

    `dtype` is what weights of the chosen precision become; without it they stay as the file holds them.
    Raises E501 for a file that cannot be read, and one error with every key that is missing (E502), unexpected (E503),
    misshapen (E504) or of a dtype that does not suit (E505).
    """
    return fit(read(path), graph, dtype, str(path)) if graph is not None else read(path)


def save(path: str | os.PathLike[str], weights: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> None:
    """Write arrays to a safetensors file, whole or not at all. Raises E505 for a dtype without a place there, E520."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file  # pyright: ignore[reportUnknownVariableType]  # loosely typed there

    arrays = {key: np.ascontiguousarray(value).reshape(np.shape(value)) for key, value in weights.items()}
    for key, array in arrays.items():
        if our_dtype(array.dtype) in (None, DType.C128):
            raise error("E505", f"`{printable(key)}` holds {array.dtype}, which a safetensors file cannot hold")
    with replacing(path) as temporary:
        try:
            # PyTorch's loaders ask for this mark, and the layout is theirs.
            save_file(arrays, temporary, {"format": "pt", **(metadata or {})})
        except SafetensorError as problem:  # what the library makes of a full disk
            raise OSError(str(problem)) from None


def read(path: str | os.PathLike[str]) -> Weights:
    """Every array of a safetensors file. Raises E501 for a file that is not one, or holds what we have no dtype for."""
    with _opened(path) as file:
        return {key: _tensor(path, file, key) for key in file.keys()}  # noqa: SIM118  # not a mapping


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The texts in the header of a safetensors file. Raises E501 for a file that is not one."""
    with _opened(path) as file:
        return dict(file.metadata() or {})


def fit(weights: Mapping[str, Any], graph: Graph, dtype: Any = None, source: str = "the weights") -> Weights:
    """The graph's weights among `weights`, in its order and in its dtypes. Raises E502 to E505 as `load` does."""
    arrays = {key: np.asarray(value) for key, value in weights.items() if key.split(".")[-1] != IGNORED}
    wanted = {path_of(value): value for value in graph.weights}
    unexpected = [key for key in arrays if key not in wanted]
    problems = [*_misfits(wanted, arrays, unexpected), *_strangers(unexpected)]
    if problems:
        summary = _summary([p.code for p in problems], len(unexpected))
        raise ArchitraveError(
            [Diagnostic("E500", f"{printable(source)} does not fit `{graph.name}`: {summary}"), *problems]
        )
    return {path: _converted(arrays[path], value, dtype) for path, value in wanted.items()}


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """`{"a.b": x}` as `{"a": {"b": x}}`. Raises E506 where one path goes on inside another."""
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *above, last = path.split(".")
        branch = tree
        for segment in above:
            inner: Any = branch.setdefault(segment, {})
            if type(inner) is not dict:
                raise error("E506", f"`{printable(path)}` goes on where another weight ends")
            branch = cast("dict[str, Any]", inner)
        if last in branch:
            raise error("E506", f"`{printable(path)}` ends where another weight goes on")
        branch[last] = value
    return tree


def unnest(tree: Mapping[str, Any]) -> dict[str, Any]:
    """`{"a": {"b": x}}` as `{"a.b": x}`."""
    flat: dict[str, Any] = {}
    pending: list[tuple[str, Any]] = [("", tree)]
    while pending:
        path, value = pending.pop()
        if not isinstance(value, Mapping):
            flat[path] = value
            continue
        branch = cast("Mapping[str, Any]", value)
        pending += reversed([(f"{path}.{key}" if path else key, inner) for key, inner in branch.items()])
    return flat


def _misfits(
    wanted: Mapping[str, Value], arrays: Mapping[str, Array], unexpected: Sequence[str]
) -> Iterator[Diagnostic]:
    missing = sum(path not in arrays for path in wanted)
    # To find what is spelt alike takes long; a checkpoint of another network is not one of misspelt names.
    candidates: Sequence[str] = unexpected if missing * len(unexpected) <= MANY else ()
    for path, value in wanted.items():
        array = arrays.get(path)
        if array is None:
            hint = nearest(path, candidates)
            yield Diagnostic("E502", f"`{path}` ({value.type}) is missing", value.node.span, hint=hint)
        elif array.shape != value.shape:
            shown = shape_text(array.shape)
            yield Diagnostic("E504", f"`{path}` is {value.type}, but the array is {shown}", value.node.span)
        elif not _suits(value.dtype, array.dtype):
            yield Diagnostic("E505", f"`{path}` is {value.dtype}, but the array holds {array.dtype}", value.node.span)


def _strangers(unexpected: Sequence[str]) -> Iterator[Diagnostic]:
    for key in unexpected[:MANY]:
        yield Diagnostic("E503", f"`{printable(key)}` is not a weight of this network")
    if len(unexpected) > MANY:
        yield Diagnostic("E503", f"{len(unexpected) - MANY} more keys are no weights of this network")


def _suits(dtype: DType, stored: np.dtype[Any]) -> bool:
    return is_float(stored) if dtype.is_float else numpy_dtype(dtype) == stored


def _converted(array: Array, value: Value, dtype: Any) -> Array:
    chosen = array.dtype if dtype is None else dtype
    return array.astype(numpy_dtype(value.dtype, chosen), copy=False)


def _summary(codes: Sequence[str], unexpected: int) -> str:
    names = {"E502": "missing", "E503": "unexpected", "E504": "misshapen", "E505": "of another dtype"}
    counts = {code: unexpected if code == "E503" else codes.count(code) for code in names}
    return ", ".join(f"{count} {names[code]}" for code, count in counts.items() if count)


def _opened(path: str | os.PathLike[str]) -> Any:
    """The library's reader, which checks the whole header before it gives anything."""
    from safetensors import SafetensorError, safe_open

    if os.path.isdir(path):
        raise _unreadable(path, "it is a folder")
    try:
        return cast(Any, safe_open)(path, framework="np")
    except OSError as problem:
        raise _unreadable(path, problem.strerror or str(problem)) from None
    except SafetensorError as problem:
        raise _unreadable(path, f"it is not a safetensors file ({problem})") from None


def _tensor(path: str | os.PathLike[str], file: Any, key: str) -> Array:
    try:
        array: Array = file.get_tensor(key)
    except Exception as problem:  # the library raises whatever the dtype or the shape leads it into
        raise _unreadable(path, f"`{key}` is not an array that we can hold ({problem})") from None
    if our_dtype(array.dtype) is None:
        raise _unreadable(path, f"`{key}` holds {array.dtype}, which the language has no name for")
    return array


def _unreadable(path: str | os.PathLike[str], reason: str) -> ArchitraveError:
    return error("E501", printable(f"cannot read {path}: {reason[:300]}"))
