"""`architrave search`: find the best members of a space."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from architrave.cli.front import Board, facts, show_found
from architrave.cli.help import examples
from architrave.cli.places import Places, network_file, network_text
from architrave.cli.report import json_option, print_json
from architrave.cli.selection import Selection, model_options, sizes_option
from architrave.cli.settings import config_option
from architrave.cli.training import OPTIMIZERS, given
from architrave.ir.source import error

if TYPE_CHECKING:
    from architrave.search.study.run import Search
    from architrave.search.study.settings import Settings


@examples(
    "architrave search two.arch:B --strategy grid --objective params --at N=1,T=2 -o best.arch",
    "architrave search two.arch:B --objective synflow --trials 4 --storage sqlite:///found.db",
)
@click.command("search")
@click.argument("name", metavar="MODEL")
@click.option("--data", metavar="DATA", help="What to train and to judge members on, as `train --data` has it.")
@click.option(
    "--objective",
    "objectives",
    multiple=True,
    default=("accuracy",),
    show_default=True,
    metavar="NAME",
    help="accuracy, loss, params, macs, memory, latency, synflow, grad-norm, snip, naswot. May be repeated.",
)
@click.option(
    "--strategy", default="evolution", show_default=True, help="random, grid, evolution, reinforce, tpe, nsga2."
)
@click.option("--strategy-option", "options", multiple=True, metavar="NAME=VALUE", help="population, tournament, rate.")
@click.option("--pruner", default="none", show_default=True, metavar="NAME", help="Stop early: asha, hyperband.")
@click.option("--trials", type=click.IntRange(1), default=50, show_default=True, help="Members to look at, in all.")
@click.option("--storage", metavar="URL", help="sqlite:///FILE, journal:FILE, postgresql://...; in memory without.")
@click.option("--study", metavar="NAME", help="The name of the search there; by default, the model's.")
@click.option("--supernet", metavar="FILE", help="Judge members by the weights that they inherit from it; none learns.")
@click.option("--engine", type=click.Choice(["here", "ray"]), default="here", show_default=True, help="Where it runs.")
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True, help="Processes of --engine ray.")
@click.option("--epochs", type=click.IntRange(1), default=3, show_default=True, help="How long a member learns.")
@click.option("--batch", type=click.IntRange(1), default=32, show_default=True, help="Examples of one step.")
@click.option("--optimizer", type=click.Choice(OPTIMIZERS), default="adamw", show_default=True, help="The rule.")
@click.option("--rate", type=float, default=1e-3, show_default=True, help="The learning rate.")
@click.option("--held-out", type=click.FloatRange(0, 1), default=0.2, show_default=True, help="Share to judge by.")
@click.option("--backend", "-b", default="torch", show_default=True, metavar="NAME", help="What computes.")
@sizes_option("--at", "Sizes of symbolic dimensions for costs, N=16; 1 by default.")
@click.option("--seed", default=0, show_default=True, help="All that is drawn follows from it.")
@click.option("--output", "-o", metavar="FILE", help="Write the best member, and its weights beside it.")
@click.option("--front", "folder", metavar="FOLDER", help="Write all members of the front there.")
@click.option("--report", metavar="FILE", help="Write a page about the search as HTML.")
@config_option
@model_options
@json_option
def command(name: str, as_json: bool, **options: Any) -> int:
    """Find the best members of a model with choices.

    With --storage a search goes on when the same command is run again, after Ctrl-C and after a
    crash, and several processes with the same command share it.
    """
    from architrave.search.study.run import Search
    from architrave.search.study.storage import check_installed

    check_installed()
    output, page, folder = options.pop("output"), options.pop("report"), options.pop("folder")
    places = _places(output, page)
    engine, workers = options.pop("engine"), options.pop("workers")
    settings = _settings(name, options)
    places.check(settings.model.partition(":")[0], settings.data, settings.supernet)
    if folder is not None and not Path(folder).absolute().parent.is_dir():
        raise error("E520", f"cannot write {folder}: there is no folder {Path(folder).parent}")
    with Search.of(settings) as found:
        with Board(found, quiet=as_json) as board:
            _run(found, engine, workers, board)
        written = _write(found, places, folder)
        if as_json:
            print_json("search", True, {**facts(found), "files": written})
            return 0
        show_found(found)
    for path in written:
        click.echo(f"wrote {path}", err=True)
    return 0


def _run(found: Search, engine: str, workers: int, board: Board) -> None:
    from architrave.search.study.run import Worker

    if engine == "ray":
        from architrave.search.study.cluster import run_on_ray

        run_on_ray(found, workers, board.told)
        return
    try:
        Worker(found, board.told).run()
    except KeyboardInterrupt:
        kept = found.settings.storage is not None
        click.echo(
            "interrupted; " + ("the same command goes on" if kept else "with --storage it could go on"), err=True
        )
        raise


def _settings(name: str, options: dict[str, Any]) -> Settings:
    from architrave.search.study.settings import Settings

    selection = Selection(name, **{k: options.pop(k) for k in ("model", "arguments", "decisions")})
    if name == "-":
        raise click.BadParameter(
            "the model of a search is a file, since other processes read it too", param_hint="MODEL"
        )
    if selection.decisions:
        raise click.UsageError("--decide leaves nothing to search: leave it out")
    model = name if selection.model is None else f"{name}:{selection.model}"
    chosen = given(options.pop("options"), "--strategy-option")
    objectives = tuple(options.pop("objectives"))
    return Settings(model, selection.arguments, objectives, options=chosen, **options)


def _places(output: str | None, page: str | None) -> Places:
    network = None if output is None else network_file(output)
    weights = network.with_suffix(".safetensors") if network is not None else None
    places = Places(network, False, weights, None, None if page is None else Path(page))
    places.check_writable()
    return places


def _write(found: Search, places: Places, folder: str | None) -> list[str]:
    """The best member, the front and the page. Weights are learnt again: the same settings give the same."""
    best = found.front()
    written: list[str] = []
    if places.files:
        from architrave.search.study.report import page

        network = best[0].member if best and places.network is not None else None
        text, weights = _member(found, network) if network is not None else (None, {})
        if network is None:
            places = Places(None, False, None, None, places.page)
        about = page(found) if places.page is not None else None
        places.write(text, weights, _about(found, best[0].slot if best else -1), about)
        written += map(str, places.files)
    for one in best if folder is not None else ():
        Path(str(folder)).mkdir(exist_ok=True)
        path = Path(str(folder)) / f"trial-{one.slot}.arch"
        each = Places(path, False, path.with_suffix(".safetensors"), None)
        each.write(*_member(found, one.member), _about(found, one.slot))
        written += map(str, each.files)
    return written


def _member(found: Search, member: Any) -> tuple[str, dict[str, Any]]:
    from architrave.search.study.candidate import Candidate

    candidate = Candidate(found.scene, member)
    return network_text(candidate.graph), dict(candidate.weights)


def _about(found: Search, slot: int) -> dict[str, str]:
    return {"model": found.feasible.costs.space.name, "found": f"trial {slot} of a search by {found.settings.strategy}"}
