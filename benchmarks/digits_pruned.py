"""How many handwritten digits networks tell apart when half of their multiply-adds are cut.

    python benchmarks/digits_pruned.py [NETWORK ...]

Networks are those of examples/digits: mlp, resnet, vit, lstm, each trained as train.toml says. Then units are scored on
the training set and cut until half of the multiply-adds are left, at once or in four rounds, and the network is trained
on. The accuracy is that on the 359 digits held out.
"""

from __future__ import annotations

import sys

from architrave.prune import Plan, Pruned, Tuning, prune
from benchmarks.digits_quantized import NETWORKS, Digits, settings

METHODS = ("magnitude", "taylor", "activation")
ROUNDS = 4
EPOCHS = 8
"""Of training on, in all."""


def pruned(network: Digits, method: str, rounds: int = 1, epochs: int = EPOCHS, keep: float = 0.5) -> Pruned:
    """A trained network with a share of its multiply-adds, trained on."""
    plan = Plan(keep=keep, by="macs", method=method, rounds=rounds, examples=256, batch=32, backend=network.backend)
    tuning = Tuning(epochs=epochs // rounds, rate=settings()["rate"] / 2)
    return prune(network.graph, network.weights, plan, network.train, test=network.test, tuning=tuning)


def main(names: list[str]) -> None:
    """Print a line for each network and method."""
    print(f"{'':8}{'method':12}{'macs':>18}{'parameters':>18}{'dense':>9}{'cut':>9}{'tuned':>9}{'in rounds':>11}")
    for name in names or NETWORKS:
        network = Digits.untrained(name).trained(**settings())
        for method in METHODS:
            once, slowly = (pruned(network, method, rounds) for rounds in (1, ROUNDS))
            macs, numbers = (f"{a:,} to {b:,}" for a, b in (once.macs, once.parameters))
            scores = [found["accuracy"] for found in (once.before, once.cut, once.after, slowly.after)]
            told = "".join(f"{score:>{9 + 2 * (i == 3)}.2%}" for i, score in enumerate(scores))
            print(f"{name:8}{method:12}{macs:>18}{numbers:>18}{told}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
