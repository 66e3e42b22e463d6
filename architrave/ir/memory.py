"""Keeping Python's cycle collector out of work that allocates much and drops little."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Generator[None]:
    """No collection of cycles inside; also a decorator.

    Trees and graphs of a deep network are millions of objects that stay: the collector would walk all of them
    again and again, in vain, and time would no longer be linear in depth.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
