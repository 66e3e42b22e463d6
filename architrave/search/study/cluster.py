"""Trials on a Ray cluster: workers that share a storage, and others in place of those that die."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
from collections.abc import Callable
from typing import Any

from architrave.ir.source import error
from architrave.search.study.run import Search, Worker
from architrave.search.study.settings import Settings

DEATHS = 10
"""Workers that may die before the search is given up: what it has found stays in its storage."""
INTERVAL = 0.5
"""The seconds between two looks at the workers."""


def run_on_ray(search: Search, workers: int, told: Callable[[], object]) -> None:
    """Do the trials of a search in so many workers of the cluster that Ray knows, or of one on this machine.

    Raises E963 without a storage that they share, E969 without Ray, E962 where workers keep on dying.
    """
    if search.settings.storage is None:
        hint = "with --storage sqlite:///FILE on one machine, postgresql://... across machines"
        raise error("E963", "workers share a storage, and there is none", hint=hint)
    if importlib.util.find_spec("ray") is None:
        raise error("E969", "clusters are run by ray, which is not installed", hint="pip install 'architrave[cluster]'")
    library: Any = importlib.import_module("ray")
    began = not library.is_initialized()
    if began:
        library.init(log_to_driver=False, include_dashboard=False, logging_level="ERROR")
    try:
        _supervise(library, search, workers, told)
    finally:
        if began:
            library.shutdown()


def work(settings: Settings, folder: str) -> None:
    """What a worker does: trials, until there are none. Names of files are as they were in `folder`."""
    with contextlib.suppress(OSError):
        os.chdir(folder)
    with Search.of(settings) as search:
        Worker(search).run()


def _supervise(ray: Any, search: Search, workers: int, told: Callable[[], object]) -> None:
    # What died is begun anew here, where it is counted; the trial that it was in is given to whoever is free.
    remote = ray.remote(max_retries=0, num_cpus=1)(work)

    def begun() -> Any:
        return remote.remote(search.settings, os.getcwd())

    running = [begun() for _ in range(workers)]
    deaths = 0
    while running:
        done, running = ray.wait(running, timeout=INTERVAL)
        told()
        for worker in done:
            if not _has_died(ray, worker):
                continue
            deaths += 1
            if deaths > DEATHS:
                raise error("E962", f"{deaths} workers have died", hint="the same command goes on where this stopped")
            running.append(begun())


def _has_died(ray: Any, worker: Any) -> bool:
    """Whether a worker is gone. Raises what it raised itself."""
    try:
        ray.get(worker)
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.OutOfMemoryError):
        return True
    except ray.exceptions.RayTaskError as problem:
        raise problem.cause from None
    return False
