"""What making the weights of a GPT sparse at once does to its perplexity, by method.

    python benchmarks/gpt_sparse.py [WEIGHTS]

The GPT of examples/text/gpt.arch is that of gpt_quantized.py, 128 wide and 4 layers deep, trained on the Psalms in two
epochs, or with WEIGHTS from there. The weights of its linear layers become sparse, but for the head's; the perplexity
is that of the tenth of the text that is held out, and the examples that methods see are 128 windows of the rest.
OMP_NUM_THREADS=1 keeps it to one thread.
"""

from __future__ import annotations

import math
import sys
import time

import architrave
from architrave.passes import apply
from architrave.record.scores import scores
from architrave.sparsity.masks.pattern import NM, Pattern, Unstructured
from architrave.sparsity.scores.one_shot import sparsify
from architrave.sparsity.scores.plan import Plan
from architrave.train import open_data
from architrave.train.data import Dataset
from architrave.weights import load
from benchmarks.gpt_quantized import DEPTH, EXAMPLES, WIDTH, WINDOWS, trained

METHODS = ("magnitude", "wanda", "sparsegpt")
PATTERNS: tuple[tuple[float | None, Pattern | NM], ...] = (
    (0.5, Unstructured()),
    (0.3, Unstructured()),
    (None, NM(4, 8)),
    (None, NM(2, 4)),
)


def main() -> None:
    graph = architrave.load(EXAMPLES / "gpt.arch", width=WIDTH, depth=DEPTH)
    data, held_out = open_data(str(EXAMPLES / "psalms.txt"), graph, 0.1)
    assert isinstance(data, Dataset)
    assert held_out is not None
    weights = load(sys.argv[1], graph) if len(sys.argv) > 1 else trained(graph, data)
    graph = apply(graph, "inference,clean").graph
    exact = math.exp(scores(graph, weights, held_out)["loss"])
    print(f"dense: perplexity {exact:.4f}\n\n{'density':>7}  {'pattern':<14}{'method':<11}{'perplexity':>10}", end="")
    print(f"{'change':>10}{'seconds':>9}")
    for density, pattern in PATTERNS:
        for method in METHODS:
            plan = Plan(density, method, pattern, only="!head", examples=WINDOWS, batch=32)
            begin = time.perf_counter()
            found = sparsify(graph, weights, plan, data, test=held_out)
            spent = time.perf_counter() - begin
            perplexity = math.exp(found.after["loss"])
            line = f"{plan.share:>7.2f}  {pattern!s:<14}{method:<11}{perplexity:>10.4f}"
            print(f"{line}{perplexity / exact - 1:>+10.2%}{spent:>9.1f}", flush=True)


if __name__ == "__main__":
    main()
