"""How fast integers of 8 bits are beside float32, on NumPy and PyTorch's eager mode: ratios in one run.

    python benchmarks/quantized.py [NETWORK...] [--threads 1] [--rounds 7] [--batch 1 8] [--backend numpy torch]

Above 1 is faster than float32. First the layers of a ResNet-50, each a convolution or linear layer with a bias and,
of integers, a zero point; then `requantize` beside what it takes the place of, a batch norm and relu; then whole
networks, with the weights they start with: as written, with their norms folded into convolutions (`deploy`), and of
integers. Float32 and integers take turns, and the best of each counts: in time of the processor on one thread, which
others on the machine disturb least, by the clock on more.

NumPy has no product of bytes: integers are multiplied in float32, and cannot be faster than that but by what they save
in memory. A single example through a linear layer is slower there, since the weight becomes floats each time. PyTorch
multiplies bytes where the processor can (VNNI); depthwise convolutions are done in float32 there, too. Two threads say
something on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import architrave
from architrave.ir import build
from architrave.ir.arrays import draw
from architrave.ir.graph import Graph, Value
from architrave.ir.type_parser import parse_type
from architrave.passes import apply
from architrave.quantize import calibrate

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
LAYERS = {
    # in, size of the image, out, kernel, stride
    "7x7, 3 -> 64, stride 2": (3, 224, 64, 7, 2),
    "1x1, 64 -> 256": (64, 56, 256, 1, 1),
    "1x1, 256 -> 64": (256, 56, 64, 1, 1),
    "3x3, 64 -> 64": (64, 56, 64, 3, 1),
    "3x3, 128 -> 128, stride 2": (128, 56, 128, 3, 2),
    "3x3, 128 -> 128": (128, 28, 128, 3, 1),
    "1x1, 256 -> 512, stride 2": (256, 56, 512, 1, 2),
    "1x1, 512 -> 128": (512, 28, 128, 1, 1),
    "3x3, 256 -> 256": (256, 14, 256, 3, 1),
    "1x1, 1024 -> 256": (1024, 14, 256, 1, 1),
    "3x3, 512 -> 512": (512, 7, 512, 3, 1),
    "1x1, 512 -> 2048": (512, 7, 2048, 1, 1),
}
Call = Callable[[], object]


def convolution(name: str, batch: int) -> tuple[Graph, Graph]:
    """A layer of float32 and one of integers."""
    channels, size, out, kernel, stride = LAYERS[name]
    x, w = f"[{batch}, {channels}, {size}, {size}]", f"[{out}, {channels}, {kernel}, {kernel}]"
    window = {"stride": [stride] * 2, "padding": [[kernel // 2] * 2] * 2}
    return (
        layer(x, w, lambda x, w, zero, bias: build.conv(x, w, bias, **window)),
        layer("i8" + x, "i8" + w, lambda x, w, zero, bias: build.conv_integer(x, w, zero, bias, **window)),
    )


def linear(batch: int, inside: int = 2048, out: int = 1000) -> tuple[Graph, Graph]:
    """A fully connected layer of float32 and one of integers."""
    x, w = f"[{batch}, {inside}]", f"[{out}, {inside}]"
    return (
        layer(x, w, lambda x, w, zero, bias: build.linear(x, w, bias)),
        layer("i8" + x, "i8" + w, lambda x, w, zero, bias: build.linear_integer(x, w, zero, bias)),
    )


def rounding(batch: int, channels: int = 256, size: int = 56) -> tuple[Graph, Graph]:
    """What follows a convolution: a batch norm and relu, or `requantize`."""
    shape, each = f"[{batch}, {channels}, {size}, {size}]", f"[{channels}]"
    x = build.input("x", shape)
    weights = [build.param(name, each) for name in ("mean", "var", "weight", "bias")]
    floats = build.graph("Norm", [x], [build.relu(build.batch_norm(x, *weights))])
    x = build.input("x", "i32" + shape)
    by = [build.param(name, f"i32[{channels}, 1, 1]") for name in ("multiplier", "shift")]
    return floats, build.graph("Requantize", [x], [build.requantize(x, *by, build.param("zero", "i32[]"))])


def layer(x: str, w: str, function: Callable[..., Value]) -> Graph:
    given, weight = build.input("x", x), build.param("weight", w)
    whole = "i32" if x.startswith("i8") else ""
    zero, bias = build.param("zero", "i32[]"), build.param("bias", f"{whole}[{parse_type(w).shape[0]}]")
    return build.graph("Layer", [given], [function(given, weight, zero, bias)])


def values(graph: Graph) -> tuple[dict[str, Any], list[Any]]:
    """Weights and inputs."""
    rng, found = np.random.default_rng(0), {}
    special = {"multiplier": 1518500352, "shift": 46, "var": 1.0}
    for value in graph.weights:
        path, drawn = value.op.path, draw(value.type, rng, high=100)
        drawn = np.full_like(drawn, special[path]) if path in special else drawn
        found[path] = drawn.astype(np.float32) if drawn.dtype.kind == "f" else drawn
    inputs = [draw(value.type, rng, high=100) for value in graph.inputs]
    return found, [x.astype(np.float32) if x.dtype.kind == "f" else x for x in inputs]


def prepared(graph: Graph, backend: str, weights: dict[str, Any], inputs: list[Any]) -> Call:
    """A run of what was emitted, on tensors that are at hand."""
    session: Any = architrave.compile(graph, backend).session(weights, *inputs)
    if backend != "torch":
        return lambda: session.run(inputs, (0, 0))
    import torch

    # Of integers, channels lie innermost, as the layer before leaves them.
    innermost = [x.ndim == 4 and x.dtype.kind != "f" for x in inputs]
    formats = [torch.channels_last if last else torch.contiguous_format for last in innermost]
    tensors = [torch.from_numpy(x).contiguous(memory_format=f) for x, f in zip(inputs, formats, strict=True)]
    model: Call = torch.no_grad()(lambda: session.model(*tensors))
    return model


def seconds(calls: list[Call], rounds: int, clock: Callable[[], float]) -> list[float]:
    """The least time of each, when they take turns."""
    times = [[] for _ in calls]  # type: list[list[float]]
    for call in calls:
        call()
    for _ in range(rounds):
        for call, spent in zip(calls, times, strict=True):
            start = clock()
            call()
            spent.append(clock() - start)
    return [min(spent) for spent in times]


def show(name: str, backend: str, batch: int, times: list[float]) -> None:
    *floats, ours = times
    shown = "".join(f"{before * 1e3:9.2f} ms{before / ours:6.2f} x" for before in floats)
    print(f"{name:28}{backend:6}{batch:3}{ours * 1e3:9.2f} ms{shown}", flush=True)


def network(name: str, batch: int) -> list[tuple[Graph, dict[str, Any], list[Any]]]:
    """As written, folded, and of integers."""
    graph = architrave.load(name)
    weights = architrave.init(graph)
    x = np.random.default_rng(0).standard_normal((batch, *graph.inputs[0].shape[1:])).astype(np.float32)
    folded = apply(graph, "deploy")
    rounded = apply(folded.graph, "quantize{functions=true}")
    scaled = calibrate(rounded.graph, rounded.weights(folded.weights(weights)), [[x[:1]]])
    integers = apply(rounded.graph, "integer,hoist,clean")
    return [
        (graph, weights, [x]),
        (folded.graph, dict(folded.weights(weights)), [x]),
        (integers.graph, dict(integers.weights(scaled)), [x]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=["resnet50"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, nargs="*", default=[1, 8])
    parser.add_argument("--backend", nargs="*", default=["numpy", "torch"])
    given = parser.parse_args()
    if any(os.environ.get(name) != str(given.threads) for name in THREADS):
        # BLAS reads them when it is loaded.
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | dict.fromkeys(THREADS, str(given.threads)))
    clock = time.process_time if given.threads == 1 else time.perf_counter
    print(f"{'':28}{'':6}{'':3}{'integers':>12}   float32, and how many times as long that takes")
    for backend in given.backend:
        for batch in given.batch:
            cases = {name: convolution(name, batch) for name in LAYERS}
            cases |= {"linear, 2048 -> 1000": linear(batch), "requantize, 256 x 56 x 56": rounding(batch)}
            for name, graphs in cases.items():
                calls = [prepared(graph, backend, *values(graph)) for graph in graphs]
                show(name, backend, batch, seconds(calls, given.rounds, clock))
    print(f"{'':28}{'':6}{'':3}{'integers':>12}   as written, folded")
    for name in given.networks:
        for backend in given.backend:
            for batch in given.batch:
                calls = [prepared(graph, backend, weights, inputs) for graph, weights, inputs in network(name, batch)]
                show(name, backend, batch, seconds(calls, given.rounds, clock))


if __name__ == "__main__":
    main()
