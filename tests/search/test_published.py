"""Members of the standard spaces that papers have published: their decisions, and how large they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from architrave.models import find
from architrave.search.space.costs import Costs


def numbered(path: str, labels: Iterable[str]) -> dict[str, str]:
    """The decisions `path.0`, `path.1` and so on."""
    return {f"{path}.{i}": label for i, label in enumerate(labels)}


WITHIN = {"params": 0.03, "macs": 0.1}
"""Papers round, and do not count the same as multiply-adds."""


@dataclass(frozen=True)
class Published:
    """A member of a space, what it was said to have, in millions, and what it has."""

    space: str
    decisions: Mapping[str, str]
    said: Mapping[str, float]
    params: int
    macs: int
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])


def autoformer(width: str, heads: Iterable[int], ratios: str) -> dict[str, str]:
    found = numbered("heads", [f"h{n}" for n in heads])
    ends = {"width": width, "depth": f"d{len(found)}"}
    return {**ends, **found, **numbered("ratio", [f"r{r}" for r in ratios.split()])}


# Which of the 16 layers halve the image, and which are attention: the authors' code.
BOSSNET_T0 = {
    **{f"halve.{i}": "yes" for i in (1, 2, 7)},
    **{f"layer.{i}": "attention" for i in (5, 7, 8, 9, 11, 12, 13, 14, 15)},
}

PUBLISHED = {
    # The paper's table 4, and the configurations of the authors' code.
    "AutoFormer-T": Published(
        "AutoFormerT",
        autoformer("w192", [3] * 10 + [4, 3, 3], "3_5 3_5 3 3_5 3 3 4 4 3_5 4 3_5 4 3_5"),
        {"params": 5.7},
        5_867_944,
        1_481_938_432,
    ),
    "AutoFormer-S": Published(
        "AutoFormerS",
        autoformer("w384", [6, 6, 5, 7, 5, 5, 5, 6, 6, 7, 7, 6, 7], "3 3_5 3 3_5 4 4 4 4 4 4 4 3_5 4"),
        {"params": 22.9, "macs": 5_100},
        22_891_432,
        5_161_400_832,
    ),
    "AutoFormer-B": Published(
        "AutoFormerB",
        autoformer("w576", [9] * 5 + [10, 9, 9, 10, 9, 10, 9, 9, 10], "3_5 3_5 4 3_5 4 3_5 3_5 3 4 4 3 4 3 3_5"),
        {"params": 53.7, "macs": 11_000},
        53_691_688,
        11_691_179_008,
    ),
    # Table 2 of the paper gives multiply-adds alone.
    "BossNet-T0": Published(
        "HyTra",
        BOSSNET_T0,
        {"macs": 3_400},
        38_415_960,
        3_442_978_304,
        {"average": True, "squeeze": True, "swish": True},
    ),
    "BossNet-T0 without squeezing": Published(
        "HyTra", BOSSNET_T0, {"macs": 3_400}, 37_319_080, 3_441_888_768, {"average": True}
    ),
    "BossNet-T0 on 288 pixels": Published(
        "HyTra",
        BOSSNET_T0,
        {"macs": 5_700},
        38_415_960,
        5_731_872_256,
        {"average": True, "squeeze": True, "swish": True, "size": 288},
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_members_are_as_large_as_they_were_said_to_be(name: str) -> None:
    row = PUBLISHED[name]
    costs = Costs(find(row.space), row.arguments, {"N": 1})
    found = costs.of(costs.space.decided(row.decisions))
    assert (found["params"], found["macs"]) == (row.params, row.macs)
    for what, said in row.said.items():
        assert found[what] / 1e6 == pytest.approx(said, rel=WITHIN[what])
