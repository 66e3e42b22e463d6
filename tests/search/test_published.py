"""Members of the standard spaces that papers have published: their decisions, and how large they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

import architrave
from architrave.ir.cost import multiply_adds, parameters


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


def proxyless(stem: tuple[int, int], widths: Iterable[int], last: int, stages: Iterable[str]) -> dict[str, Any]:
    """What is published of ProxylessNAS: channels of the stem, of six stages and at the end, and the stages' layers."""
    shapes = zip(widths, (4, 4, 4, 4, 4, 1), (2, 2, 2, 1, 2, 1), strict=True)
    layers = [[*kinds.split(), "skip", "skip", "skip"][:4] for kinds in stages]
    flat = [kind for stage in layers for kind in stage][:21]
    arguments = {"stem": list(stem), "stages": [list(shape) for shape in shapes], "last": last}
    return {"space": "ProxylessNAS", "decisions": numbered("layer", flat), "arguments": arguments}


def ofa(size: int, kernels: Iterable[str], expansions: Iterable[str]) -> dict[str, Any]:
    """A member of OFA: the kernel and the expansion of each layer of its five stages."""
    found: dict[str, str] = {}
    for s, (each, others) in enumerate(zip(kernels, expansions, strict=True)):
        found[f"depth.{s}"] = f"d{len(each)}"
        found |= {f"kernel.{4 * s + i}": f"k{kernel}" for i, kernel in enumerate(each)}
        found |= {f"expand.{4 * s + i}": f"e{expand}" for i, expand in enumerate(others)}
    return {"space": "OFAMobileNetV3", "decisions": found, "arguments": {"size": size}}


def resnas(unit: int, most: int, depth: int, widths: Iterable[int], layers: Iterable[str]) -> dict[str, Any]:
    """A member of ViT-ResNAS: the channels of its three stages, and the heads and perceptrons of their layers."""
    found: dict[str, str] = {}
    n = 0
    for s, (width, stage) in enumerate(zip(widths, layers, strict=True)):
        own = [tuple(map(int, layer.split("/"))) for layer in stage.split()]
        gone = range(1, 2 * (depth - len(own)), 2)
        found[f"width.{s}"] = f"w{width // (unit * 2**s)}"
        n += s > 0
        found |= {f"kept.{n + i}": "no" for i in gone}
        for i, (heads, hidden) in zip((i for i in range(depth) if i not in gone), own, strict=True):
            found[f"fewer.{n + i}"] = f"h{most - heads // min(2, s + 1)}"
            found[f"mlp.{n + i}"] = f"m{hidden // (4 * unit * 2**s)}"
        n += depth
    arguments = {"unit": unit, "heads": most, "depth": depth}
    return {"space": "ViTResNAS", "decisions": found, "arguments": arguments}


MOBILE = (
    "k5e3 k3e3",
    "k7e3 k3e3 k5e3 k5e3",
    "k7e6 k5e3 k5e3 k5e3",
    "k5e6 k5e3 k5e3 k5e3",
    "k7e6 k7e6 k7e3 k7e3",
    "k7e6",
)
GPU = ("k5e3", "k7e3 k3e3", "k7e6 k5e3", "k5e6 k3e3 k5e3", "k7e6 k7e6 k7e6 k5e6", "k7e6")
CPU = ("k3e6 k3e3 k3e3 k3e3", "k3e6 k3e3 k3e3 k5e3", "k3e6 k3e3", "k5e6 k3e3 k3e3 k3e3", "k5e6 k5e3 k5e3 k3e3", "k5e6")

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
    # The networks that the authors have published.
    "ProxylessNAS mobile": Published(
        **proxyless((32, 16), (32, 40, 80, 96, 192, 320), 1280, MOBILE),
        said={"params": 4.1, "macs": 320},
        params=4_080_512,
        macs=320_427_584,
    ),
    "ProxylessNAS mobile x1.4": Published(
        **proxyless((48, 24), (40, 56, 112, 136, 256, 448), 1792, MOBILE),
        said={"params": 6.9, "macs": 581},
        params=6_857_568,
        macs=580_883_408,
    ),
    "ProxylessNAS GPU": Published(
        **proxyless((40, 24), (32, 56, 112, 128, 256, 432), 1728, GPU),
        said={"params": 7.1, "macs": 465},
        params=7_119_848,
        macs=465_260_160,
    ),
    "ProxylessNAS CPU": Published(
        **proxyless((40, 24), (32, 48, 88, 104, 216, 360), 1432, CPU),
        said={"params": 4.4, "macs": 439},
        params=4_361_648,
        macs=439_243_864,
    ),
    # Specialized for a phone, as OpenMMLab has counted them (with normalizations), and the largest of all.
    "OFA at 22 ms": Published(
        **ofa(140, ("33", "55", "73", "53", "37"), ("33", "33", "43", "34", "66")),
        said={"params": 4.3, "macs": 70.9},
        params=4_304_592,
        macs=67_196_888,
    ),
    "OFA at 31 ms": Published(
        **ofa(152, ("53", "55", "335", "357", "3355"), ("33", "43", "444", "434", "6333")),
        said={"params": 4.6, "macs": 105.4},
        params=4_595_536,
        macs=100_520_248,
    ),
    "OFA, the largest": Published(
        **ofa(224, ["7777"] * 5, ["6666"] * 5), said={"params": 7.6}, params=7_664_760, macs=566_170_656
    ),
    # The paper's table 1 and the authors' scripts. In training there is a second classifier, too.
    "ViT-ResNAS-Tiny": Published(
        **resnas(
            *(16, 6, 6, (176, 352, 704)),
            (
                "3/704 3/576 3/640 4/576 4/704",
                "10/1408 8/1408 8/1280 8/1408 10/1280 10/1024",
                "10/2560 10/1792 10/2816 8/2816 8/2560",
            ),
        ),
        said={"params": 41, "macs": 1_800},
        params=40_793_552,
        macs=1_790_869_888,
    ),
    "ViT-ResNAS-Small": Published(
        **resnas(
            *(20, 8, 7, (220, 440, 880)),
            (
                "5/880 5/880 7/800 5/720 5/720 5/720",
                "10/1760 10/1440 10/1920 10/1600 12/1600 12/1440",
                "16/3200 12/3200 16/2880 12/2240 14/2560",
            ),
        ),
        said={"params": 65, "macs": 2_800},
        params=63_724_108,
        macs=2_858_376_256,
    ),
    "ViT-ResNAS-Medium": Published(
        **resnas(
            *(20, 8, 7, (240, 640, 880)),
            (
                "7/960 6/960 7/800 8/960 7/880 8/880 6/800",
                "10/1120 14/1760 14/1920 16/1760 14/1440 16/1760 16/1920",
                "16/3200 10/3840 16/3840 12/3200 16/3520 14/3520",
            ),
        ),
        said={"params": 97, "macs": 4_500},
        params=96_442_672,
        macs=4_532_694_336,
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_members_are_as_large_as_they_were_said_to_be(name: str) -> None:
    row = PUBLISHED[name]
    graph = architrave.load(row.space, dict(row.decisions), **row.arguments)
    found = {"params": parameters(graph), "macs": multiply_adds(graph, {"N": 1})}
    assert found == {"params": row.params, "macs": row.macs}
    for what, said in row.said.items():
        assert found[what] / 1e6 == pytest.approx(said, rel=WITHIN[what])
