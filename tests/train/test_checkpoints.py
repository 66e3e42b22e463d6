"""Checkpoints: a run goes on to the bit, whatever cut it off; what is damaged or foreign is said."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from architrave import save_weights
from architrave.ir.source import ArchitraveError
from architrave.train import SGD, Adam, Folder, Loop, Outcome, Progress, Trainer, run
from architrave.train.checkpoint import KEY, load
from architrave.weights import read_metadata
from tests.train.killed import go
from tests.train.networks import BACKENDS, MLP, NORMED, mlp_data, trainer

PROGRESS = Progress(3, 0, "Mlp", 16, 96)
Array = np.ndarray[Any, Any]


def same(left: dict[str, Array], right: dict[str, Array]) -> bool:
    return left.keys() == right.keys() and all(left[p].tobytes() == right[p].tobytes() for p in left)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_ten_steps_are_five_and_five(backend: str, dtype: str, tmp_path: Path) -> None:
    """To the bit, with dropout, batch normalization and accumulated gradients; the second half in a new trainer."""
    data = mlp_data()
    batches = list(data.epoch(9, 0, 0))

    def fresh() -> Trainer:
        return trainer(NORMED, data, Adam(), backend, dtype=dtype, accumulate=2, decay=0.1)

    straight, first, second = fresh(), fresh(), fresh()
    expected = [straight.train(*arrays) for arrays in batches]
    found = [first.train(*arrays) for arrays in batches[:5]]
    path = Folder(tmp_path).write(first.states(), replace(PROGRESS, step=first.steps))
    states, progress = load(path)
    second.restore(states, progress.step)
    found += [second.train(*arrays) for arrays in batches[5:]]
    assert found == expected
    assert same(second.states(), straight.states())


@pytest.mark.parametrize("every", [0, 2])
@pytest.mark.parametrize("stop", [3, 6, 13])
def test_a_loop_that_was_cut_off_goes_on(stop: int, every: int, tmp_path: Path) -> None:
    """An error in the middle is like a kill: the history, the best and the weights are those of the whole run."""
    data, held_out = mlp_data().split(0.25)

    class Cut(Exception):
        pass

    def cut(step: int, loss: float) -> None:
        if step == stop:
            raise Cut

    def loop(name: str, **changes: Any) -> Loop:
        return Loop(4, 16, held_out, 2, Folder(tmp_path / name), every, **changes)

    whole = run(trainer(MLP, data, Adam(), "numpy"), data, loop("whole"))
    with pytest.raises(Cut):
        run(trainer(MLP, data, Adam(), "numpy"), data, loop("cut", on_step=cut))
    if Folder(tmp_path / "cut").latest() is None:
        with pytest.raises(ArchitraveError, match="E547"):
            run(trainer(MLP, data, Adam(), "numpy"), data, loop("cut"), resume=True)
        return
    rest = run(trainer(MLP, data, Adam(), "numpy"), data, loop("cut"), resume=True)
    assert timeless(rest) == timeless(whole)
    assert same(rest.weights, whole.weights)
    assert rest.best is not None
    assert whole.best is not None
    assert same(rest.best, whole.best)


def timeless(outcome: Outcome) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in outcome.history]


def test_a_run_may_be_killed_at_any_moment(tmp_path: Path) -> None:
    """Killed again and again, it ends with the weights of the run that was left alone."""
    command = [sys.executable, "-m", "tests.train.killed", str(tmp_path)]
    for kill, more in enumerate((7, 11, 20, 33)):
        process = subprocess.Popen(
            [*command, *(["--resume"] if kill else [])],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert process.stdout is not None
        # The next step is said at once; by then the checkpoint of this one is being written.
        for _ in range(more):
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        folder = Folder(tmp_path)
        assert folder.latest() == folder.all()[-1]
        assert len(folder.all()) <= 4
    rest, whole = go(tmp_path, resume=True), go(None, resume=False)
    assert same(rest.weights, whole.weights)
    assert timeless(rest) == timeless(whole)
    assert not list(tmp_path.glob(".*"))


def test_the_last_and_the_best_are_kept(tmp_path: Path) -> None:
    folder = Folder(tmp_path, keep=2)
    for step, best in ((1, True), (2, True), (3, False), (4, False)):
        folder.write({"w": np.full(3, step)}, replace(PROGRESS, step=step), best)
    assert [path.name for path in folder.all()] == ["step-000000003.safetensors", "step-000000004.safetensors"]
    assert load(folder.best)[1].step == 2
    assert load(folder.all()[-1])[0]["w"].tolist() == [4, 4, 4]


def test_a_damaged_newest_one_gives_way_to_the_one_before(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    paths = [folder.write({"w": np.ones(100)}, replace(PROGRESS, step=step)) for step in (1, 2)]
    paths[1].write_bytes(paths[1].read_bytes()[:-50])
    assert folder.latest() == paths[0]
    paths[0].write_bytes(b"")
    with pytest.raises(ArchitraveError, match="E501"):
        folder.latest()


def headers() -> Iterator[dict[str, str]]:
    good = {"format": 1, "step": 3, "seed": 0, "network": "Mlp", "batch": 1, "examples": 9}
    good |= {"total": 0.0, "best": None, "history": []}
    yield {}
    yield {KEY: "{"}
    yield {KEY: "[" * 100_000}
    yield {KEY: "[]"}
    for name in good:
        yield {KEY: json.dumps({k: v for k, v in good.items() if k != name})}
    yield {KEY: json.dumps({**good, "format": 2})}
    yield {KEY: json.dumps({**good, "step": "many"})}
    yield {KEY: json.dumps({**good, "history": [1]})}


@pytest.mark.parametrize("header", list(headers()))
def test_weights_alone_and_foreign_headers_are_no_checkpoints(header: dict[str, str], tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", {"w": np.ones(3)}, header)
    assert read_metadata(tmp_path / "w.safetensors").items() >= header.items()
    with pytest.raises(ArchitraveError, match="E547"):
        load(tmp_path / "w.safetensors")


@pytest.mark.parametrize("change", [{"seed": 1}, {"batch": 8}, {"network": "Other"}, {"examples": 95}])
def test_a_checkpoint_of_another_run_is_an_error(change: dict[str, Any], tmp_path: Path) -> None:
    data = mlp_data()
    one = trainer(MLP, data, SGD(), "numpy")
    folder = Folder(tmp_path)
    folder.write(one.states(), replace(PROGRESS, **change))
    with pytest.raises(ArchitraveError, match="E547"):
        run(one, data, Loop(1, 16, checkpoints=folder), resume=True)


def test_another_optimizer_s_checkpoint_is_an_error(tmp_path: Path) -> None:
    data = mlp_data()
    folder = Folder(tmp_path)
    folder.write(trainer(MLP, data, SGD(), "numpy").states(), PROGRESS)
    with pytest.raises(ArchitraveError, match=r"E502.*`optimizer\.mean\.a\.weight`"):
        run(trainer(MLP, data, Adam(), "numpy"), data, Loop(1, 16, checkpoints=folder), resume=True)


def test_a_new_run_does_not_mix_with_an_old_one(tmp_path: Path) -> None:
    data = mlp_data()
    loop = Loop(1, 16, checkpoints=Folder(tmp_path))
    run(trainer(MLP, data, SGD(), "numpy"), data, loop)
    with pytest.raises(ArchitraveError, match="E547"):
        run(trainer(MLP, data, SGD(), "numpy"), data, loop)


@contextmanager
def small_disk(limit: int) -> Iterator[None]:
    """Files cannot grow beyond a limit: what a full disk does to who writes them."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_an_error_and_leaves_what_was_there(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write({"w": np.ones(10)}, PROGRESS)
    with small_disk(10_000), pytest.raises(ArchitraveError, match="E520"):
        folder.write({"w": np.ones(100_000)}, replace(PROGRESS, step=4))
    assert os.listdir(tmp_path) == ["step-000000003.safetensors"]
    assert load(folder.all()[0])[1] == PROGRESS


def test_a_folder_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchitraveError, match="E520"):
        Folder(tmp_path / "file").write({"w": np.ones(1)}, PROGRESS)
