"""How many members of NAS-Bench-201 a second are drawn, type-checked and costed, beside PyTorch modules on `meta`.

    python benchmarks/search.py

Architrave builds one graph that keeps all choices, and counts members in it. The same networks as PyTorch modules are
built on the device `meta`, which holds no numbers, and run there once, so that their shapes are checked and their
multiply-adds counted. Both give the same counts. Then the whole space is counted, costed and rid of what is isomorphic.
On one thread: set OMP_NUM_THREADS=1 and OPENBLAS_NUM_THREADS=1.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from architrave.models import find
from architrave.search.space.canonical import Canonical
from architrave.search.space.costs import Costs

DRAWN, BUILT = 4_000, 40


def main() -> None:
    import torch

    torch.set_num_threads(1)
    start = time.perf_counter()
    costs = Costs(find("nasbench201"), {}, {"N": 1})
    rng = np.random.default_rng(0)
    first = costs.of(costs.space.sample(rng))
    print(f"ready for {costs.space.size:,} members in {time.perf_counter() - start:.2f} s, one has {first}")

    start = time.perf_counter()
    members = [costs.space.sample(rng) for _ in range(DRAWN)]
    found = [costs.of(member) for member in members]
    ours = DRAWN / (time.perf_counter() - start)
    print(f"{'drawn, checked and costed':40} {ours:10,.0f} members a second")

    start = time.perf_counter()
    counted = [cost_of_modules(member) for member in members[:BUILT]]
    theirs = BUILT / (time.perf_counter() - start)
    print(f"{'as PyTorch modules on meta':40} {theirs:10,.0f} members a second")
    print(f"{'ratio':40} {ours / theirs:10,.0f}")
    assert counted == [(one["params"], one["macs"]) for one in found[:BUILT]], "they count alike"

    start = time.perf_counter()
    counts = {costs.of(member)["params"] for member in costs.space}
    unique = Canonical(costs).unique(costs.space)
    spent = time.perf_counter() - start
    print(f"all {costs.space.size:,}: {len(counts)} parameter counts, {len(unique):,} networks, in {spent:.1f} s")


def cost_of_modules(member: Mapping[str, str]) -> tuple[int, int]:
    """The parameters and multiply-adds of a member, as a module on `meta` has them."""
    import torch
    from torch import nn

    macs = 0

    def count(module: Any, inputs: Any, output: Any) -> None:
        nonlocal macs
        macs += output.numel() * module.weight[0].numel()

    with torch.device("meta"):
        network = Network([*member.values()])
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.register_forward_hook(count)
        with torch.no_grad():
            network.eval()(torch.empty(1, 3, 32, 32))
    return sum(weight.numel() for weight in network.parameters()), macs


def Network(labels: list[str]) -> Any:  # noqa: N802  # it stands for a module
    """The member with these labels as a PyTorch module, written by hand."""
    from torch import nn

    class Zero(nn.Module):
        def forward(self, x: Any) -> Any:
            return x * 0.0

    def unit(before: int, out: int, kernel: int, stride: int = 1) -> Any:
        conv = nn.Conv2d(before, out, kernel, stride, kernel // 2, bias=False)
        return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(out))

    operations = {
        "none": lambda width: Zero(),
        "skip": lambda width: nn.Identity(),
        "conv1x1": lambda width: unit(width, width, 1),
        "conv3x3": lambda width: unit(width, width, 3),
        "pool": lambda width: nn.AvgPool2d(3, 1, 1, count_include_pad=False),
    }

    class Cell(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.edges = nn.ModuleList(operations[label](width) for label in labels)

        def forward(self, x: Any) -> Any:
            nodes = [x]
            for first in (0, 1, 3):
                nodes.append(sum(self.edges[first + i](node) for i, node in enumerate(nodes)))
            return nodes[-1]

    class Reduction(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.convs = nn.Sequential(unit(width, 2 * width, 3, 2), unit(2 * width, 2 * width, 3))
            self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(width, 2 * width, 1, bias=False))

        def forward(self, x: Any) -> Any:
            return self.convs(x) + self.shortcut(x)

    layers: list[Any] = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)]
    for stage in range(3):
        layers += [Reduction(16 * 2 ** (stage - 1))] if stage else []
        layers += [Cell(16 * 2**stage) for _ in range(5)]
    end = [nn.BatchNorm2d(64), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
    return nn.Sequential(*layers, *end)


if __name__ == "__main__":
    main()
