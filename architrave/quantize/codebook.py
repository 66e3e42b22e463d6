"""Tables of few entries for weights: by k-means, or tuned so that layers give what they gave before.

Han, Mao and Dally, "Deep Compression: Compressing Deep Neural Networks with Pruning, Trained Quantization and Huffman
Coding" (2016). The tuning of table and codes together, with groups of like neurons, is that of Yvinec, Dapogny and
Bailly, "Network Memory Footprint Compression Through Jointly Learnable Codebooks and Mappings" (2023).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.mode import specialize
from architrave.ir.ops.packing import Pack, Unpack
from architrave.passes.quantize.weights.codebook import Lookup, lookups
from architrave.record.columns import groups_of, hessians
from architrave.record.recorder import Recorder

MOST = 2**24
"""How many distances are held at once."""


def kmeans(vectors: Array, entries: int, rounds: int = 25, seed: int = 0) -> tuple[Array, Array]:
    """A table [entries, D] and for each of the vectors [n, D] the number of its nearest entry: Lloyd's algorithm.

    It starts from vectors that are evenly spaced in their order if D is 1, else drawn at random. An entry that is
    nearest to nothing moves to the vector that is farthest from its own.
    """
    rng: Any = np.random.default_rng(seed)
    x = vectors.astype(np.float64)
    places = np.linspace(0, len(x) - 1, entries).round().astype(int)
    table = np.sort(x, axis=0)[places] if x.shape[1] == 1 else x[rng.choice(len(x), entries, replace=False)]
    codes = nearest(x, table)
    for _ in range(rounds):
        counts = np.bincount(codes, minlength=entries)
        sums = np.stack([np.bincount(codes, each, entries) for each in x.T], axis=1)
        table = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], table)
        idle = np.flatnonzero(counts == 0)
        table[idle] = x[np.argsort(-np.square(x - table[codes]).sum(1))[: len(idle)]]
        before, codes = codes, nearest(x, table)
        if np.array_equal(before, codes):
            break
    return table, codes


def nearest(vectors: Array, table: Array) -> Array:
    """The number of the entry nearest to each vector; of equals the first."""
    part = max(1, MOST // len(table))
    lengths = np.square(table).sum(1)
    pieces = (vectors[i : i + part] for i in range(0, len(vectors), part))
    return np.concatenate([np.argmin(lengths - 2 * piece @ table.T, axis=1) for piece in pieces])


def clustered(
    graph: Graph, weights: Mapping[str, Any], original: Mapping[str, Any], rounds: int = 25, seed: int = 0
) -> dict[str, Array]:
    """The weights of a network with tables (the pass `codebook`), those of each made by k-means.

    `original` are the weights that the tables stand for, by the paths that they have there without `_table`.
    """
    found = {path: np.asarray(w) for path, w in weights.items()}
    for lookup, _ in lookups(graph):
        vectors = np.asarray(original[lookup.table.removesuffix("_table")]).reshape(lookup.vectors)
        pairs = [kmeans(each, lookup.entries, rounds, seed) for each in vectors]
        found |= held(lookup, np.stack([table for table, _ in pairs]), np.stack([codes for _, codes in pairs]))
    return found


def held(lookup: Lookup, table: Array, codes: Array) -> dict[str, Array]:
    """Table and codes as weights of the network; the table is float32."""
    rows = codes.astype(np.uint8).reshape(lookup.shape[0], -1)
    packed = rows if lookup.bits == 8 else Pack(lookup.bits).reference(rows)
    return {lookup.table: table.astype(np.float32), lookup.codes: packed}


def codes_of(lookup: Lookup, weights: Mapping[str, Any]) -> Array:
    """The codes of a weight as integers [groups, vectors]."""
    packed = np.asarray(weights[lookup.codes])
    codes = packed if lookup.bits == 8 else Unpack(lookup.bits, signed=False).reference(packed)
    return np.asarray(codes.reshape(lookup.vectors[:2]).astype(np.int64))


def decoded(lookup: Lookup, weights: Mapping[str, Any]) -> Array:
    """The weight that table and codes stand for."""
    table, codes = np.asarray(weights[lookup.table]), codes_of(lookup, weights)
    return np.stack([t[c] for t, c in zip(table, codes, strict=True)]).reshape(lookup.shape)


@dataclass(frozen=True)
class JointTuning:
    """Tables and codes go down the error of their layer together, in `sweeps` that never make it larger.

    In a sweep each code stays or moves to an entry beside its own, whichever is best, input after input; then the
    entries become the best ones for these codes.
    """

    sweeps: int = 10

    def run(
        self,
        graph: Graph,
        weights: Mapping[str, Any],
        original: Mapping[str, Any],
        batches: Sequence[Sequence[Any]],
        backend: str = "numpy",
    ) -> dict[str, Array]:
        """The weights of a network with tables of numbers (width 1), tuned layer after layer on examples."""
        graph = specialize(replace(graph, updates=()), training=False)
        found = {path: np.asarray(w) for path, w in weights.items()}
        for lookup, node in lookups(graph):
            if lookup.width > 1:
                continue
            recorder = Recorder(graph, {"x": node.operands[0]}, backend)
            curvature = hessians(node, (batch["x"] for batch in recorder.stream(found, batches)))
            curvature = (
                np.repeat(curvature, lookup.shape[0] // groups_of(node), axis=0) if len(curvature) > 1 else curvature
            )
            weight = np.asarray(original[lookup.table.removesuffix("_table")], np.float64)
            start = np.asarray(found[lookup.table], np.float64)[..., 0], codes_of(lookup, found)
            for table, codes in self.path(weight.reshape(lookup.shape[0], -1), *start, curvature):
                found |= held(lookup, table[..., None], codes)
        return found

    def path(self, weight: Array, table: Array, codes: Array, curvature: Array) -> Iterator[tuple[Array, Array]]:
        """Table [G, K] and codes [G, n] after each sweep, for a weight [O, I] and x' x, [I, I] for all rows or each."""
        table, codes = ordered(table, codes)
        for _ in range(self.sweeps):
            codes = _moved(weight, table, codes, curvature)
            table, codes = ordered(_solved(weight, table, codes, curvature), codes)
            yield table, codes


def ordered(table: Array, codes: Array) -> tuple[Array, Array]:
    """The same weights by tables in ascending order: codes beside each other stand for neighbours."""
    order = np.argsort(table, axis=1, kind="stable")
    rank = np.argsort(order, axis=1)
    return np.take_along_axis(table, order, axis=1), np.take_along_axis(rank, codes, axis=1)


def _moved(weight: Array, table: Array, codes: Array, curvature: Array) -> Array:
    """Each code, or one beside it: that for which the error is least while all behind it stay."""
    rows, last = np.arange(len(weight)) // (len(weight) // len(table)), table.shape[1] - 1
    chosen = codes.reshape(weight.shape).copy()
    slope = np.matmul((table[rows[:, None], chosen] - weight)[:, None], curvature)[:, 0]
    for i in range(weight.shape[1]):
        candidates = np.stack([np.clip(chosen[:, i] + move, 0, last) for move in (0, -1, 1)])
        moves = table[rows, candidates] - table[rows, chosen[:, i]]
        best = np.argmin(slope[:, i] * moves + curvature[:, i, i] * moves**2 / 2, axis=0)
        move = np.take_along_axis(moves, best[None], axis=0)[0]
        chosen[:, i] = np.take_along_axis(candidates, best[None], axis=0)[0]
        slope += move[:, None] * curvature[:, i]
    return chosen.reshape(codes.shape)


def _solved(weight: Array, table: Array, codes: Array, curvature: Array) -> Array:
    """The tables with the least error for these codes. Entries that no code names, or that make none, stay."""
    found, count = table.copy(), len(weight) // len(table)
    for group, entries in enumerate(table):
        square, right = np.zeros((len(entries), len(entries))), np.zeros(len(entries))
        for row, numbers in enumerate(codes[group].reshape(count, -1), start=group * count):
            named = np.eye(len(entries))[numbers]
            bent = named.T @ curvature[row % len(curvature)]
            square += bent @ named
            right += bent @ (weight[row] - entries[numbers])
        found[group] = entries + np.linalg.lstsq(square, right, rcond=1e-12)[0]
    return found
