"""`architrave weights`: checkpoints of a network's weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from architrave.cli.help import examples
from architrave.cli.report import json_option, print_json
from architrave.cli.selection import Selection, model_options
from architrave.ir.source import printable

if TYPE_CHECKING:
    import numpy as np

PRECISIONS = ("f64", "f32", "f16", "bf16")


@examples(
    "architrave weights init net.arch --output net.safetensors",
    "architrave weights inspect net.safetensors",
)
@click.group("weights")
def command() -> None:
    """Make and inspect checkpoints.

    They are safetensors files, whose keys are the paths of weights.
    """


@examples(
    "architrave weights init net.arch --output net.safetensors",
    "architrave weights init net.arch --output net.safetensors --seed 7 --dtype bf16",
)
@command.command("init")
@click.argument("name", metavar="MODEL")
@click.option("--output", "-o", required=True, metavar="FILE", help="The safetensors file to write.")
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same bits in every backend.")
@click.option("--dtype", type=click.Choice(PRECISIONS), default="f32", show_default=True, help="The precision.")
@model_options
@json_option
def initialize(name: str, output: str, seed: int, dtype: str, as_json: bool, **selected: Any) -> int:
    """Draw the first weights of a model, as its initializers say."""
    from architrave.ir.initializers import init
    from architrave.ir.storage import numpy_dtype
    from architrave.ir.types import DType
    from architrave.weights import save

    graph = Selection(name, **selected).graph()
    arrays = init(graph, seed, numpy_dtype(DType(dtype)))
    save(output, arrays, {"model": graph.name, "seed": str(seed)})
    if as_json:
        print_json("weights init", True, {"model": graph.name, "file": output, "seed": seed, **_totals(arrays)})
    else:
        click.echo(f"{output}: {_summary(arrays)} of {graph.name}, seed {seed}", err=True)
    return 0


@examples(
    "architrave weights inspect net.safetensors",
    "architrave weights inspect net.safetensors net.arch",
)
@command.command("inspect")
@click.argument("file", metavar="FILE")
@click.argument("name", metavar="[MODEL]", required=False)
@model_options
@json_option
def inspect(file: str, name: str | None, as_json: bool, **selected: Any) -> int:
    """List what a checkpoint holds.

    With MODEL, says whether its weights are those of that model, by name and by shape.
    """
    from architrave.weights import fit, read

    arrays = read(file)
    fitting: dict[str, Any] = {}
    if name is not None:
        graph = Selection(name, **selected).graph()
        arrays = fit(arrays, graph, source=file)
        fitting = {"fits": graph.name}
    if as_json:
        listed = [{"path": k, "dtype": _dtype(a), "shape": list(a.shape)} for k, a in arrays.items()]
        print_json("weights inspect", True, {"file": file, **_totals(arrays), **fitting, "weights": listed})
        return 0
    _show(arrays)
    click.echo(f"\n{_summary(arrays)}" + (f"; they fit {fitting['fits']}" if fitting else ""))
    return 0


def _show(arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    from architrave.cli.terminal import count, show, table
    from architrave.ir.types import shape_text

    rows = table(
        "weight", "dtype", "shape", "numbers", "least", "mean", "largest", right=("numbers", "least", "mean", "largest")
    )
    for path, array in arrays.items():
        rows.add_row(printable(path), _dtype(array), shape_text(array.shape), count(array.size), *_spread(array))
    show(rows)


def _spread(array: np.ndarray[Any, Any]) -> tuple[str, str, str]:
    """The least, mean and largest value of real numbers."""
    if array.size == 0 or array.dtype.kind in "bc":
        return "", "", ""
    import numpy as np

    with np.errstate(all="ignore"):
        values = array.astype(np.float64)
        return tuple(f"{float(v):.4g}" for v in (values.min(), values.mean(), values.max()))  # type: ignore[return-value]  # three of them


def _dtype(array: np.ndarray[Any, Any]) -> str:
    from architrave.ir.storage import our_dtype

    return str(our_dtype(array.dtype))


def _totals(arrays: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, int]:
    return {
        "count": len(arrays),
        "numbers": sum(a.size for a in arrays.values()),
        "bytes": sum(a.nbytes for a in arrays.values()),
    }


def _summary(arrays: Mapping[str, np.ndarray[Any, Any]]) -> str:
    from architrave.cli.terminal import brief, count, plural

    totals = _totals(arrays)
    return f"{plural(totals['count'], 'weight')}, {count(totals['numbers'])} numbers, {brief(totals['bytes'])}B"
