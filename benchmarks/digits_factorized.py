"""How many handwritten digits a ResNet tells apart with half its parameters, its layers made chains of low rank.

    python benchmarks/digits_factorized.py [--epochs 20] [--keep 0.5] [METHOD ...]

The network of examples/digits is trained as train.toml says, cut down by each method of `architrave factorize`, and
trained on for a quarter as many epochs. The accuracy is that on the 359 digits held out.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from architrave.factorize import METHODS, Plan, factorize
from benchmarks.digits_quantized import Digits, settings


def cut(network: Digits, method: str, keep: float) -> tuple[Digits, float]:
    """The network with a share of its parameters, and the share of its multiply-adds that is left."""
    found = factorize(network.graph, network.weights, Plan(method, keep))
    left = found.after["macs"] / found.before["macs"]
    return replace(network, graph=found.graph, weights=found.weights), left


def main() -> None:
    """Print a line for each method."""
    given = settings()
    asked = argparse.ArgumentParser()
    asked.add_argument("--epochs", type=int, default=given["epochs"])
    asked.add_argument("--keep", type=float, default=0.5)
    asked.add_argument("methods", nargs="*", default=list(METHODS))
    options = asked.parse_args()
    network = Digits.untrained("resnet").trained(**{**given, "epochs": options.epochs})
    print(f"trained for {options.epochs} epochs: {network.accuracy:.2%}", flush=True)
    print(f"{'':8} {'left':>6} {'MACs':>7} {'cut':>8} {'tuned':>8}", flush=True)
    for method in options.methods:
        small, macs = cut(network, method, options.keep)
        print(f"{method:8} {options.keep:>6.0%} {macs:>7.1%}{small.accuracy:>9.2%}", end="", flush=True)
        print(f"{small.trained(options.epochs // 4, given['rate'] / 3).accuracy:>9.2%}", flush=True)


if __name__ == "__main__":
    main()
