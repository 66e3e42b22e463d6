"""Docstrings of emitted programs: text that came from a `.arch` file, and must stay text."""

from __future__ import annotations

from architrave.ir.source import printable


def basename(file: str) -> str:
    """A file's own name, as comments and docstrings show it."""
    return printable(file.replace("\\", "/").rpartition("/")[2])


def docstring(text: str, indent: str = "") -> str:
    """`text` between triple quotes; nothing in it can end the string or escape from it."""
    lines = [printable(line).rstrip() for line in text.strip().splitlines()] or [""]
    safe = [line.replace("\\", "\\\\").replace('"""', '\\"\\"\\"') for line in lines]
    if safe[-1].endswith('"'):
        safe[-1] = f'{safe[-1][:-1]}\\"'
    margin = min((len(line) - len(line.lstrip()) for line in safe[1:] if line.strip()), default=0)
    rest = [f"{indent}{line[margin:]}" if line.strip() else "" for line in safe[1:]]
    if not rest:
        return f'{indent}"""{safe[0]}"""'
    return "\n".join([f'{indent}"""{safe[0]}', *rest, f'{indent}"""'])
