"""How long passes take: clean-up and re-parameterization over whole networks, and what doubling a chain costs.

    python benchmarks/passes.py

Prints, for this machine and this run, in seconds, the time of each pass of `deploy`
- over ResNet-152 (goal: 2 s) and a GPT-2 of 96 layers (goal: 4 s);
- over chains of 2,500, 5,000 and 10,000 layers that merge into one and that do not merge at all, each with the ratio
  to the chain of half its length: 2 where the cost is linear.
Set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import time

import architrave
from architrave.ir.graph import Graph
from architrave.passes import Pipeline

CHAIN = """
from std.conv import conv2d
from std.norm import batch_norm
model Chain(depth: int, apart: bool)(x: [N, 4, H, W]) -> [N, 4, H, W] {
    for i in 0..depth {
        x = x -> layer[i].conv: conv2d(4, 1, bias = false) -> layer[i].norm: batch_norm
        if apart { x = relu(x) }
    }
    return x
}
"""
LENGTHS = (2_500, 5_000, 10_000)


def timed(graph: Graph) -> tuple[float, dict[str, float]]:
    pipeline = Pipeline.parse("deploy")
    start = time.perf_counter()
    made = pipeline.run(graph)
    return time.perf_counter() - start, made.journal.seconds


def report(name: str, graph: Graph, before: float | None = None) -> float:
    """Print a line; gives the seconds."""
    total, seconds = timed(graph)
    parts = ", ".join(f"{step} {spent:.2f}" for step, spent in seconds.items() if spent >= 0.05)
    ratio = f"  x{total / before:.1f}" if before is not None else ""
    print(f"{name:44} {len(graph.nodes):7} nodes {total:7.2f} s{ratio}   ({parts})")
    return total


def main() -> None:
    report("ResNet-152", architrave.load("resnet152"))
    report("GPT-2 of 96 layers", architrave.load("GPT2Small", depth=96))
    for apart, name in ((True, "convolution, norm, relu"), (False, "convolution and norm, which all merge")):
        before: float | None = None
        for length in LENGTHS:
            graph = architrave.loads(CHAIN, depth=length, apart=apart)
            before = report(f"{length} x {name}", graph, before)


if __name__ == "__main__":
    main()
