"""docs/opinfo.md: how much of PyTorch's table of operators was compared, and what came of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

import torch

from tests.docs.pages import ROOT
from tests.opinfo.judge import LOOSE, SAMPLES, UNDIFFERENTIATED, Verdict, known
from tests.opinfo.rules import RULES
from tests.opinfo.unmapped import reason

ABOUT = """\
# PyTorch's own samples

PyTorch keeps a table of its operators with samples of their arguments, by which it tests itself \
(`torch.testing._internal.common_methods_invocations.op_db`). For each that ours can say, the first {count} samples go \
through our programs for NumPy, PyTorch and JAX. \
In float64, outputs and gradients must be what PyTorch gives, to 1e-10 of their scale; where a sample asks for \
float32, to 1e-5. `tests/opinfo` holds the rules that translate the arguments. `make opinfo` runs all of it and writes \
this page; `make test` runs the first few samples of each.
"""
PAGE = ROOT / "docs" / "opinfo.md"


def written(verdicts: Iterable[Verdict]) -> str:
    """The page."""
    rows = sorted(verdicts, key=lambda v: v.name)
    passed, excluded = sum(v.passed for v in rows), sum((v.excluded for v in rows), Counter[str]())
    failed = sum(len(v.failures) for v in rows)
    version = torch.__version__.partition("+")[0]
    counts = f"Of their samples {passed} pass, {failed} fail, and {sum(excluded.values())} are excluded."
    return "\n".join(
        [
            ABOUT.format(count=SAMPLES),
            f"PyTorch {version}: {len(rows)} of {len(known())} operators are mapped. {counts}",
            "",
            "## Excluded samples",
            "",
            "| why | samples |",
            "|---|---|",
            *(f"| {why} | {count} |" for why, count in excluded.most_common()),
            "",
            "## Held to less",
            "",
            "| operator | how | why |",
            "|---|---|---|",
            *(f"| `{name}` | {tolerance:g} | {why} |" for name, (tolerance, why) in LOOSE.items()),
            *(f"| `{name}` | outputs alone | {why} |" for name, why in UNDIFFERENTIATED.items()),
            "",
            *unmapped(),
            "",
            "## Mapped",
            "",
            "| PyTorch's | made of ours | passed | excluded |",
            "|---|---|---|---|",
            *(_row(v) for v in rows),
            "",
        ]
    )


def unmapped() -> list[str]:
    """The operators without a rule, by reason."""
    names: dict[str, list[str]] = defaultdict(list)
    for name in known():
        if name not in RULES:
            names[reason(name)].append(f"`{name}`")
    rows = (f"| {why} | {len(found)} | {', '.join(found)} |" for why, found in names.items())
    return ["## Not mapped", "", "| why | operators | which |", "|---|---|---|", *rows]


def _row(verdict: Verdict) -> str:
    ours = ", ".join(f"`{name}`" for name in verdict.ours) or "nothing: it is its operand"
    counts = (verdict.passed, sum(verdict.excluded.values()) or "")
    return f"| `{verdict.name}` | {ours} | {' | '.join(map(str, counts))} |"
