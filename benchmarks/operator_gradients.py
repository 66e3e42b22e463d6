"""How long operators take on NumPy, forward and backward, against PyTorch's eager mode: in one run, one thread each.

    python benchmarks/operator_gradients.py [--rounds 9] [NAME...]

Both run `Program.gradients`, whose conversions are in the times. NumPy and PyTorch take turns; the
best of each counts, in time of the processor, which others on the machine disturb least. A ratio above 3 is marked.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from architrave.backends.load import Program, compile
from architrave.ir import build
from architrave.ir.arrays import draw
from architrave.ir.graph import Value
from architrave.ir.type_parser import parse_type

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
CASES: dict[str, tuple[Callable[..., Value], tuple[str, ...]]] = {
    "linear": (build.linear, ("[4096, 256]", "[256, 256]", "[256]")),
    "matmul": (build.matmul, ("[8, 4, 128, 64]", "[8, 4, 64, 128]")),
    "conv 3x3": (
        lambda *xs: build.conv(*xs, padding=[[1, 1], [1, 1]]),
        ("[16, 32, 32, 32]", "[32, 32, 3, 3]"),
    ),
    "conv 3x3, stride 2": (
        lambda *xs: build.conv(*xs, stride=[2, 2], padding=[[1, 1], [1, 1]]),
        ("[16, 32, 32, 32]", "[32, 32, 3, 3]"),
    ),
    "conv 1x1": (build.conv, ("[16, 64, 32, 32]", "[64, 64, 1, 1]")),
    "conv, depthwise": (
        lambda *xs: build.conv(*xs, padding=[[1, 1], [1, 1]], groups=64),
        ("[16, 64, 32, 32]", "[64, 1, 3, 3]"),
    ),
    "conv_transpose": (lambda *xs: build.conv_transpose(*xs, stride=[2, 2]), ("[16, 32, 16, 16]", "[32, 32, 2, 2]")),
    "max_pool": (lambda x: build.max_pool(x, kernel=[2, 2]), ("[16, 32, 64, 64]",)),
    "max_pool, overlapping": (
        lambda x: build.max_pool(x, kernel=[3, 3], stride=[2, 2], padding=[[1, 1], [1, 1]]),
        ("[16, 32, 64, 64]",),
    ),
    "avg_pool": (lambda x: build.avg_pool(x, kernel=[2, 2]), ("[16, 32, 64, 64]",)),
    "resize": (lambda x: build.resize(x, size=[64, 64], mode="bilinear"), ("[16, 16, 32, 32]",)),
    "pad, reflect": (
        lambda x: build.pad(x, widths=[[0, 0], [0, 0], [2, 2], [2, 2]], mode="reflect"),
        ("[16, 32, 32, 32]",),
    ),
    "layer_norm": (build.layer_norm, ("[4096, 256]", "[256]", "[256]")),
    "group_norm": (lambda *xs: build.group_norm(*xs, groups=8), ("[16, 64, 32, 32]", "[64]", "[64]")),
    "softmax": (build.softmax, ("[4096, 256]",)),
    "logsumexp": (lambda x: build.logsumexp(x, axes=[-1]), ("[4096, 256]",)),
    "attention": (build.attention, ("[8, 4, 128, 32]", "[8, 4, 128, 32]", "[8, 4, 128, 32]")),
    "gelu": (build.gelu, ("[4096, 256]",)),
    "relu": (build.relu, ("[4096, 256]",)),
    "take": (lambda *xs: build.take(*xs, axis=0), ("[1000, 64]", "i64[64, 128]")),
    "gather": (lambda *xs: build.gather(*xs, axis=1), ("[4096, 256]", "i64[4096, 32]")),
    "scatter_add": (lambda *xs: build.scatter_add(*xs, axis=1), ("[4096, 64]", "i64[4096, 64]", "[4096, 64]")),
    "segment_sum": (lambda *xs: build.segment_sum(*xs, count=64), ("[16384, 64]", "i64[16384]")),
    "cumsum": (lambda x: build.cumsum(x, axis=-1), ("[4096, 256]",)),
    "sort": (build.sort, ("[1024, 256]",)),
    "topk": (lambda x: build.topk(x, k=8)[0], ("[4096, 256]",)),
}


def programs(function: Callable[..., Value], types: tuple[str, ...]) -> tuple[Program, Program]:
    inputs = [build.input(f"x{i}", parse_type(type)) for i, type in enumerate(types)]
    graph = build.graph("Benchmark", inputs, [function(*inputs)])
    return compile(graph, "numpy"), compile(graph, "torch")


def arrays(types: tuple[str, ...]) -> list[Any]:
    rng = np.random.default_rng(0)
    found = [draw(parse_type(type), rng, high=64) for type in types]
    return [x.astype(np.float32) if x.dtype.kind == "f" else x for x in found]


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="operators; all of them if none is named")
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    if any(os.environ.get(name) != "1" for name in THREADS):
        # BLAS reads them when it is loaded.
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | dict.fromkeys(THREADS, "1"))
    torch.set_num_threads(1)
    print(f"{'forward and backward':24}{'NumPy':>12}{'PyTorch':>12}{'ratio':>8}")
    for name, (function, types) in CASES.items():
        if given.names and name.split(",")[0].split()[0] not in given.names:
            continue
        both, inputs = programs(function, types), arrays(types)
        cotangents = [np.ones_like(both[0].run({}, *inputs).outputs[0])]
        for program in both:
            program.gradients({}, *inputs, cotangents=cotangents)
        times = [
            [seconds(partial(p.gradients, {}, *inputs, cotangents=cotangents)) for p in both]
            for _ in range(given.rounds)
        ]
        ours, theirs = (min(pair[i] for pair in times) * 1e3 for i in range(2))
        print(f"{name:24}{ours:9.2f} ms{theirs:9.2f} ms{ours / theirs:8.2f}{'  *' if ours > 3 * theirs else ''}")


if __name__ == "__main__":
    main()
