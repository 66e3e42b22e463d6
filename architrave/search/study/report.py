"""A page about a search that needs no other file: its front, its best members, and what matters."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState

from architrave.backends.arch import write
from architrave.ir.source import printable
from architrave.record.page import COLOR, SECOND, figure, network, rendered, svg
from architrave.search.study.results import Result
from architrave.search.study.run import Search
from architrave.stdlib.instances import applied

BEST = 12
"""Members of the front that are shown."""
PICTURES = 6
"""Of how many of these there is a picture."""
DECISIONS = 60
"""Decisions that are shown of each."""
BARS = 20
GREY = "#b8b8b8"


def page(found: Search) -> str:
    """The page. Raises E568."""
    results, best = found.results(), found.front()[:BEST]
    return rendered(
        "architrave.search.study",
        name=found.feasible.costs.space.name,
        size=found.feasible.costs.space.size,
        settings=found.settings,
        counts={
            "done": len(results),
            "pruned": sum(one.pruned for one in results),
            "failed": sum(one.failure is not None for one in results),
        },
        plot=_plot(found, results, found.front()),
        picture=_picture(found, best),
        importance=_bars(importance(found)),
        best=[_shown(found, one, number < PICTURES) for number, one in enumerate(best)],
        failures=[(one.slot, one.failure) for one in results if one.failure is not None],
    )


def importance(found: Search) -> dict[str, float]:
    """The share of the differences in the first objective that each decision which all members have explains.

    Nothing where the trials are too few, or all alike, to tell: of what Optuna makes of them, by fANOVA.
    """
    done = [t for t in found.slots.settled() if t.state is TrialState.COMPLETE]
    if len(done) < 2 or len({trial.values[0] for trial in done}) < 2:
        return {}
    everywhere = [path for path in found.feasible.costs.space.domains if len({t.params[path] for t in done}) > 1]
    if not everywhere:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        try:
            return optuna.importance.get_param_importances(
                found.study, evaluator=evaluator, params=everywhere, target=lambda trial: trial.values[0]
            )
        except (RuntimeError, ValueError, ImportError):
            return {}


def _shown(found: Search, one: Result, drawn: bool) -> dict[str, Any]:
    graph = found.feasible.costs.member_graph(one.member)
    cells = [f"{name} {value:.6g}" for name, value in one.values.items()]
    return {
        "slot": one.slot,
        "cells": cells,
        "source": write(graph, applied),
        "network": network(graph) if drawn else "",
    }


def _plot(found: Search, results: Sequence[Result], best: Sequence[Result]) -> str:
    """Values against one another with the front as a line; of one objective, trial by trial with the best so far."""
    scored = [one for one in results if one.values]
    names = found.settings.objectives
    if not scored:
        return ""
    others = names[1:]
    drawn, plots = figure(6 * max(1, min(2, len(others))), 4.2, max(1, len(others)), columns=2)
    if not others:
        _progress(plots[0], found, scored)
        return svg(drawn)
    for axes, other in zip(plots, others, strict=False):
        axes.scatter([r.values[other] for r in scored], [r.values[names[0]] for r in scored], s=14, color=GREY)
        line = sorted(best, key=lambda r: r.values[other])
        axes.plot([r.values[other] for r in line], [r.values[names[0]] for r in line], "o-", color=COLOR, markersize=5)
        axes.set_xlabel(other)
        axes.set_ylabel(names[0])
    return svg(drawn)


def _progress(axes: Any, found: Search, scored: Sequence[Result]) -> None:
    name = found.settings.objectives[0]
    values = np.array([one.values[name] for one in scored])
    further = np.maximum if found.objectives[name].maximize else np.minimum
    slots = [one.slot for one in scored]
    axes.scatter(slots, values, s=14, color=GREY)
    axes.step(slots, further.accumulate(values), where="post", color=COLOR)
    axes.set_xlabel("trial")
    axes.set_ylabel(name)


def _picture(found: Search, best: Sequence[Result]) -> str:
    """The decisions of the best members, side by side."""
    paths = [path for path in found.feasible.costs.space.labels if any(path in one.member for one in best)][:DECISIONS]
    if not paths:
        return ""
    drawn, (axes, *_) = figure(2.5 + 1.1 * len(best), 0.8 + 0.28 * len(paths), 1)
    labels = found.feasible.costs.space.labels
    for column, one in enumerate(best):
        for row, path in enumerate(paths):
            if path in one.member:
                label = one.member[path]
                _cell(axes, row, column, label, labels[path].index(label))
    axes.set_xlim(0, len(best))
    axes.set_ylim(len(paths), 0)
    axes.set_xticks([i + 0.5 for i in range(len(best))], [f"trial {one.slot}" for one in best], fontsize=8)
    axes.set_yticks([i + 0.5 for i in range(len(paths))], [printable(path) for path in paths], fontsize=8)
    axes.tick_params(length=0)
    return svg(drawn)


def _cell(axes: Any, row: int, column: int, label: str, position: int) -> None:
    # matplotlib's own ten colours, in turn, are told apart by most people.
    axes.broken_barh([(column + 0.03, 0.94)], (row + 0.06, 0.88), color=f"C{position % 10}", alpha=0.55)
    axes.text(column + 0.5, row + 0.52, printable(label)[:16], ha="center", va="center", fontsize=7)


def _bars(shares: Mapping[str, float]) -> str:
    if not shares:
        return ""
    top = sorted(shares.items(), key=lambda pair: pair[1])[-BARS:]
    drawn, (axes, *_) = figure(8, 0.8 + 0.25 * len(top), 1)
    axes.barh([printable(path) for path, _ in top], [share for _, share in top], color=SECOND)
    axes.set_xlim(left=0)
    return svg(drawn)
