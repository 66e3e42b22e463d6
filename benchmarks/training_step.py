"""How long a step of training takes on NumPy, against PyTorch's eager mode, in one run and on one thread each.

    python benchmarks/training_step.py
    ... --rounds 30 --profile     # where NumPy's time goes, too

The network is the residual network of examples/digits, with batch normalization and dropout, on 64 images of 8 x 8
pixels in float32; the step is forward, backward and SGD with momentum. NumPy runs the program of `architrave.train`;
PyTorch the emitted module in a loop as anybody writes it, with `F.cross_entropy` and `torch.optim.SGD`. Both run
in turns, and their processor's time is taken, which others on the machine disturb least: the median and the best.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from architrave.backends.load import compile
from architrave.dsl.elaborate.model import elaborate
from architrave.dsl.modules import load_text
from architrave.ir.graph import Graph
from architrave.ir.initializers import init
from architrave.ir.type_parser import parse_type
from architrave.train import SGD, Objective, Recipe, Schedule, Trainer

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
NETWORK = Path(__file__).parents[1] / "examples" / "digits" / "resnet.arch"
BATCH = 64


def network(p: float) -> Graph:
    return elaborate(load_text(NETWORK.read_text(encoding="utf-8")).models["ResNet"], {"p": p}).graph


def numpy_step(graph: Graph, images: np.ndarray, labels: np.ndarray) -> Callable[[], float]:
    recipe = Recipe(SGD(momentum=0.9), Objective("cross_entropy"))
    trainer = Trainer(graph, recipe, Schedule(0.05, 10_000), parse_type("i64[N]"))
    return lambda: trainer.train(images, labels)


def torch_step(graph: Graph, images: np.ndarray, labels: np.ndarray) -> Callable[[], float]:
    program = compile(graph, "torch")
    model = program.native.ResNet()
    weights = {path: torch.tensor(w) for path, w in init(graph, 0, "float32").items()}
    model.load_state_dict(weights)
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    x, target = torch.tensor(images), torch.tensor(labels)

    def step() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), target)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30, help="steps of each")
    parser.add_argument("--profile", action="store_true", help="show where NumPy's time goes")
    given = parser.parse_args()
    if any(os.environ.get(name) != "1" for name in THREADS):
        # BLAS reads them when it is loaded.
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | dict.fromkeys(THREADS, "1"))
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    images = rng.random((BATCH, 1, 8, 8), np.float32)
    labels = rng.integers(0, 10, BATCH)
    graph = network(p=0.1)
    ours, theirs = numpy_step(graph, images, labels), torch_step(graph, images, labels)
    for _ in range(3):
        ours()
        theirs()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(given.rounds)]
    first, second = ([pair[i] * 1e3 for pair in pairs] for i in range(2))
    middle, best = ([f(times) for times in (first, second)] for f in (statistics.median, min))
    print(f"a step of the digits ResNet, batch {BATCH}, float32, one thread: median and best of {given.rounds}")
    for i, name in enumerate(("NumPy", "PyTorch eager")):
        print(f"{name:14}{middle[i]:8.2f} ms {best[i]:8.2f} ms")
    print(f"{'ratio':14}{middle[0] / middle[1]:8.2f}    {best[0] / best[1]:8.2f}      (goal: at most 3)")
    if given.profile:
        profile = cProfile.Profile()
        profile.enable()
        for _ in range(given.rounds):
            ours()
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()
