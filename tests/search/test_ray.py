"""A search on a local Ray cluster of two workers, one of which is killed on the way."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna", reason="optuna is not installed")

from architrave.ir.source import ArchitraveError
from architrave.search.study.cluster import run_on_ray
from architrave.search.study.run import Search
from architrave.search.study.settings import Settings

SPACE = str(Path(__file__).parents[2] / "examples" / "space.arch")


def test_workers_need_a_storage() -> None:
    with (
        Search.of(Settings(SPACE, objectives=("params",), trials=2)) as search,
        pytest.raises(ArchitraveError) as problem,
    ):
        run_on_ray(search, 2, lambda: None)
    assert problem.value.diagnostics[0].code == "E963"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_worker_that_dies_costs_nothing(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    killed = list[int]()
    storage = f"sqlite:///{tmp_path}/search.db"
    # Latency takes a while to measure, so that there is a trial to be killed in.
    given = Settings(SPACE, objectives=("latency",), strategy="random", trials=16, storage=storage, backend="numpy")
    with Search.of(given) as search:

        def told() -> None:
            running = [t for t in search.study.get_trials(deepcopy=False) if t.state.name == "RUNNING"]
            named = [t.user_attrs["process"] for t in running if "process" in t.user_attrs]
            if named and not killed:
                killed.append(int(named[0].split("|")[1]))
                os.kill(killed[0], signal.SIGKILL)

        run_on_ray(search, 2, told)
        every: list[Any] = search.study.get_trials(deepcopy=False)
        results = search.results()
    assert killed
    assert [one.slot for one in results] == list(range(16))
    assert all(one.failure is None for one in results)
    done = [t.user_attrs["slot"] for t in every if t.state.name == "COMPLETE"]
    assert sorted(done) == list(range(16))
    assert len({t.user_attrs["process"] for t in every if "process" in t.user_attrs}) >= 2
