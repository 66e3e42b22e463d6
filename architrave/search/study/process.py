"""Which process does a trial, and whether it still lives."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path


@cache
def _machine() -> str:
    """This machine since it was started, as far as processes see one another."""
    parts = [platform.node(), _read("/proc/sys/kernel/random/boot_id")]
    try:
        parts.append(os.readlink("/proc/self/ns/pid"))
    except OSError:
        parts.append("")
    return " ".join(parts)


def here() -> str:
    """This process: its machine, its number, and when it was started, since numbers are used again."""
    return f"{_machine()}|{os.getpid()}|{_started(os.getpid())}"


def is_gone(process: str) -> bool | None:
    """Whether a process has ended; None where that cannot be seen from here."""
    machine, number, started = process.split("|")
    if machine != _machine():
        return None
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _started(int(number)) != started


def _started(number: int) -> str:
    """The time in which the system says that a process began; empty where it does not, or the process is a zombie."""
    fields = _read(f"/proc/{number}/stat").rpartition(") ")[2].split()
    return fields[19] if fields and fields[0] != "Z" else ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""
