"""Searches whose processes are killed, and searches of several processes, in every kind of storage."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna", reason="optuna is not installed")

from architrave.search.study.run import Search, Worker
from tests.search.postgres import server
from tests.search.worker import make_slow, settings

ROOT = Path(__file__).parents[2]
SPACE = str(ROOT / "examples" / "space.arch")
STORAGES = ("sqlite", "journal", "postgres")


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with server() as address:
        yield address


@pytest.fixture(params=STORAGES)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    match request.param:
        case "sqlite":
            return f"sqlite:///{tmp_path}/search.db"
        case "journal":
            return f"journal:{tmp_path}/search.log"
        case _:
            address: str = request.getfixturevalue("postgres")
            return address


@pytest.fixture(autouse=True)
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    from architrave.search.study import objectives

    monkeypatch.setattr(objectives, "OBJECTIVES", dict(objectives.OBJECTIVES))
    make_slow(0.0)


@pytest.fixture(autouse=True)
def own_model(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A model with a name of its own, so that searches in one database are apart."""
    name = "".join(c for c in request.node.name.title() if c.isalnum())
    text = (
        Path(SPACE)
        .read_text(encoding="utf-8")
        .replace("model Space", f"model {name}")
        .replace("expect Space", f"expect {name}")
    )
    (tmp_path / "space.arch").write_text(text, encoding="utf-8")
    return str(tmp_path / "space.arch")


def begin(model: str, storage: str, trials: int, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.search.worker", model, storage, str(trials), str(seconds)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)


def wait_for(worker: subprocess.Popen[str], trials: int) -> None:
    """Until a worker has begun so many trials, or is done."""
    assert worker.stdout is not None
    for _ in range(trials):
        if not worker.stdout.readline():
            return


def kill(worker: subprocess.Popen[str]) -> None:
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    assert worker.stdout is not None
    worker.stdout.close()


def check(found: Search, trials: int) -> list[Any]:
    """Every slot has one trial that counts; others are those that processes died in, each with a next attempt."""
    every = found.study.get_trials(deepcopy=False)
    results = found.results()
    assert [one.slot for one in results] == list(range(trials))
    assert all(one.failure is None for one in results)
    done = Counter(trial.user_attrs["slot"] for trial in every if trial.state.name == "COMPLETE")
    assert done == dict.fromkeys(range(trials), 1)
    lost = [trial for trial in every if trial.state.name == "FAIL"]
    # Two processes may give a slot the same attempt: then one of them waits for ever.
    begun = [trial for trial in every if trial.state.name != "WAITING"]
    assert len(begun) == trials + len(lost)
    attempts = Counter((trial.user_attrs["slot"], trial.user_attrs["attempt"]) for trial in begun)
    assert set(attempts.values()) == {1}
    assert {(t.user_attrs["slot"], t.user_attrs["attempt"] + 1) for t in lost} <= set(attempts)
    return lost


def finished(model: str, storage: str, trials: int) -> list[Any]:
    """What is lost in a search that this process brings to its end."""
    with Search.of(settings(model, storage, trials)) as found:
        Worker(found).run()
        return check(found, trials)


def test_a_search_goes_on_after_a_kill(own_model: str, storage: str) -> None:
    worker = begin(own_model, storage, 8, 30.0)
    wait_for(worker, 1)
    kill(worker)
    (lost,) = finished(own_model, storage, 8)
    with Search.of(settings(own_model, storage, 8)) as found:
        (again,) = (t for t in found.study.trials if t.user_attrs["attempt"] == 1)
    assert again.params == lost.params, "what was decided is decided again"
    # Once more changes nothing, and a search can be made longer.
    for trials in (8, 10):
        assert [t.number for t in finished(own_model, storage, trials)] == [lost.number]


def test_two_processes_share_a_search(own_model: str, storage: str) -> None:
    workers = [begin(own_model, storage, 10, 0.05) for _ in range(2)]
    for worker in workers:
        worker.communicate()
        assert worker.returncode == 0
    assert finished(own_model, storage, 10) == []


@pytest.mark.slow
def test_another_process_takes_over(own_model: str, storage: str) -> None:
    victim = begin(own_model, storage, 6, 30.0)
    wait_for(victim, 1)
    survivor = begin(own_model, storage, 6, 0.02)
    wait_for(survivor, 3)
    kill(victim)
    survivor.communicate()
    assert survivor.returncode == 0
    assert len(finished(own_model, storage, 6)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_kills_at_any_moment(own_model: str, storage: str, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(4):
        workers = [begin(own_model, storage, 25, 0.05) for _ in range(2)]
        for worker in workers:
            wait_for(worker, rng.randrange(1, 8))
            time.sleep(rng.uniform(0, 0.2))
            kill(worker)
    finished(own_model, storage, 25)
