"""How long compiling takes, as ratios measured in one run.

    python benchmarks/compile_time.py            # all of it, a table
    python benchmarks/compile_time.py --rounds 9

Prints, for this machine and this run:
- import and command line: whole processes, in seconds;
- ResNet-50: parse + elaborate + verify + emit for PyTorch, against `torch.fx.symbolic_trace` of an equal module
  written by hand (fx gives neither shapes nor types);
- GPT-2 of 96 layers, the same steps;
- a residual MLP of 2,500, 5,000 and 10,000 layers: build, verify, print, re-read and emit, and what doubling costs.
Set OMP_NUM_THREADS=1; the machines are noisy, so pairs are interleaved and medians compared.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
import torch.fx
from torch import nn

from architrave.backends.base import backend
from architrave.dsl.elaborate.model import elaborate
from architrave.dsl.modules import Loader, load_standard, load_text
from architrave.dsl.parser import parse
from architrave.ir.graph import Graph
from architrave.ir.source import Source
from architrave.ir.verify import verify

MLP = """
from std import linear
block layer(width: int)(x: [N, C]) -> [N, C] = x + (x -> fc1: linear(width) -> relu -> fc2: linear(width))
model MLP(depth: int = 10)(x: [N, 8]) -> [N, 8] {
    for i in 0..depth { x = x -> layer[i]: layer(8) }
    return x
}
"""


def bottleneck(inner: int, width: int, stride: int) -> nn.Module:
    class Bottleneck(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(inner, width, 1, bias=False), nn.BatchNorm2d(width)
            self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(width)
            self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
            self.relu = nn.ReLU()
            self.downsample = None
            if stride != 1 or inner != 4 * width:
                shortcut = nn.Conv2d(inner, 4 * width, 1, stride=stride, bias=False)
                self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(4 * width))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.relu(self.bn1(self.conv1(x)))
            y = self.relu(self.bn2(self.conv2(y)))
            y = self.bn3(self.conv3(y))
            return self.relu(y + (x if self.downsample is None else self.downsample(x)))

    return Bottleneck()


def handwritten_resnet50() -> nn.Module:
    """ResNet-50 as one would write it in PyTorch, on the meta device: fx does not look at the weights."""
    with torch.device("meta"):
        stages: list[nn.Module] = []
        inner = 64
        for stage, depth in enumerate((3, 4, 6, 3)):
            for i in range(depth):
                width = 64 * 2**stage
                stages.append(bottleneck(inner, width, 2 if stage and not i else 1))
                inner = 4 * width
        stem = [
            nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        ]
        return nn.Sequential(*stem, *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000))


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compile_standard(module: str, model: str, **arguments: object) -> str:
    """Parse, elaborate, verify and emit; what the module imports is parsed already, as after a first compile."""
    source = load_standard(f"std.{module}").tree.source
    tree = parse(Source(source.name, source.text))
    block = Loader().module(f"std.{module}", tree, None).models[model]
    return backend("torch").emit(verify(elaborate(block, arguments).graph))


def interleaved(rounds: int, first: Callable[[], object], second: Callable[[], object]) -> tuple[float, float]:
    """The medians of two pieces of work, run in turns."""
    pairs = [(seconds(first), seconds(second)) for _ in range(rounds)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def process(*command: str, rounds: int) -> float:
    """The median time of a whole process."""
    run = lambda: subprocess.run([sys.executable, *command], check=True, capture_output=True)  # noqa: E731
    run()
    return statistics.median(seconds(run) for _ in range(rounds))


def deep(depth: int) -> list[tuple[str, float]]:
    """The steps on a residual MLP of `depth` blocks of two linear layers."""
    block = load_text(MLP).models["MLP"]
    graph: list[Graph] = []
    text: list[str] = []
    steps: list[tuple[str, Callable[[], object]]] = [
        ("build", lambda: graph.append(elaborate(block, {"depth": depth}).graph)),
        ("verify", lambda: verify(graph[0])),
        ("print", lambda: text.append(str(graph[0]))),
        ("re-read", lambda: elaborate(load_text(text[0]).models["MLP"])),
        ("emit", lambda: backend("torch").emit(graph[0])),
    ]
    return [(name, seconds(work)) for name, work in steps]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="repetitions of each measurement")
    rounds = parser.parse_args().rounds
    print(f"python {sys.version.split()[0]}, torch {torch.__version__}, {os.cpu_count()} cores\n")

    empty = process("-c", "pass", rounds=rounds)
    imported = process("-c", "import architrave", rounds=rounds)
    checked = process("-m", "architrave", "check", "resnet50", rounds=rounds)
    print(f"import architrave            {(imported - empty) * 1e3:8.1f} ms   (goal 100 ms)")
    print(f"architrave check resnet50    {checked * 1e3:8.1f} ms   whole process (goal 700 ms)\n")

    module = handwritten_resnet50()
    compile_standard("resnet", "ResNet50")
    ours, fx = interleaved(
        rounds, lambda: compile_standard("resnet", "ResNet50"), lambda: torch.fx.symbolic_trace(module)
    )
    print(f"ResNet-50, all steps         {ours * 1e3:8.1f} ms")
    print(f"torch.fx.symbolic_trace      {fx * 1e3:8.1f} ms   ratio ours/fx {ours / fx:.2f} (goal 1)")
    gpt2 = statistics.median(seconds(lambda: compile_standard("gpt2", "GPT2Small", depth=96)) for _ in range(3))
    print(f"GPT-2 of 96 layers           {gpt2 * 1e3:8.1f} ms   (goal 1000 ms)\n")

    before: dict[str, float] = {}
    for depth in (2500, 5000, 10000):
        measured = dict(deep(depth))
        growth = {name: f" x{t / before[name]:.1f}" if name in before else "" for name, t in measured.items()}
        shown = "  ".join(f"{name} {t:6.2f} s{growth[name]}" for name, t in measured.items())
        print(f"MLP, {depth:6d} blocks: {shown}")
        before = measured


if __name__ == "__main__":
    main()
