"""Does evolution find better cells for handwritten digits than chance does?

    python benchmarks/digits_search.py [SEED ...]

The space is examples/cells.arch: cells with the edges of NAS-Bench-201, 15,625 members, of which those with more than
7,500 parameters are left out. Each member learns for three epochs and is judged by its accuracy on the 359 digits held
out, which is also what is given: both ways of searching choose by the same numbers. Each gets 60 trials; the seed is
that of the search, of first weights and of batches. The first 20 members of the evolution are those of the other
search.
"""

from __future__ import annotations

import sys
from pathlib import Path

from architrave.search.study.run import Search, Worker
from architrave.search.study.settings import Settings

SPACE = str(Path(__file__).parents[1] / "examples" / "cells.arch")
SEEDS = range(5)
TRIALS = 60


def best(strategy: str, seed: int, trials: int = TRIALS) -> tuple[float, float]:
    """The best accuracy that a search finds, and the mean of its last third."""
    settings = Settings(
        SPACE,
        strategy=strategy,
        trials=trials,
        seed=seed,
        data="digits",
        epochs=3,
        batch=64,
        rate=1e-2,
        backend="numpy",
    )
    with Search.of(settings) as search:
        Worker(search).run()
        found = [one.values["accuracy"] for one in search.results() if one.values]
    last = found[-(trials // 3) :]
    return max(found), sum(last) / len(last)


def main(seeds: list[int]) -> None:
    """Print a line for each seed."""
    print(f"{'seed':>4}{'random':>10}{'evolution':>11}{'last third':>14}{'':>11}")
    wins = 0
    for seed in seeds:
        (chance, ordinary), (evolved, late) = best("random", seed), best("evolution", seed)
        wins += evolved >= chance
        print(f"{seed:>4}{chance:>10.2%}{evolved:>11.2%}{ordinary:>14.2%}{late:>11.2%}", flush=True)
    print(f"evolution is at least as good in {wins} of {len(seeds)} seeds")


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or list(SEEDS))
