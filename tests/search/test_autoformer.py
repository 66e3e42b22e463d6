"""Relative positions of AutoFormer: Chen and others (2021)."""

from __future__ import annotations

from typing import Any

import numpy as np

import architrave

SIDE, REACH, HEAD = 3, 1, 2
TOKENS = 1 + SIDE * SIDE
RNG: Any = np.random.default_rng(0)


def output(stage: str, x: Any, weights: dict[str, Any]) -> Any:
    names = "Attention, relative_position"
    text = f"from std.autoformer import {names}\nmodel M()(x: [{', '.join(map(str, x.shape))}]) = x -> a: {stage}\n"
    return architrave.interpret(architrave.loads(text), [x], weights).outputs[0]


def test_each_pair_of_patches_has_the_sum_of_a_row_and_a_column() -> None:
    """Those that are farther apart than the table reaches count as if they were not; a class token is at place 0."""
    rows, columns = RNG.standard_normal((2, 2 * REACH + 2, HEAD))
    tables = {"a.embeddings_table_v": rows, "a.embeddings_table_h": columns}
    found = output(f"relative_position({HEAD}, {REACH})", np.zeros((1, TOKENS, 1)), tables)
    assert found.shape == (TOKENS, TOKENS, HEAD)
    for i, j in np.ndindex(TOKENS, TOKENS):
        (y, x), (v, u) = divmod(i - 1, SIDE), divmod(j - 1, SIDE)
        down, right = (int(np.clip(d, -REACH, REACH)) + REACH + 1 for d in (v - y, u - x))
        wanted = rows[down] + columns[right] if i and j else rows[0] + columns[0]
        np.testing.assert_allclose(found[i, j], wanted, rtol=1e-12)


def test_keys_and_values_depend_on_where_they_stand() -> None:
    heads, width = 2, 5
    x = RNG.standard_normal((1, TOKENS, width))
    weights = {
        "qkv.weight": RNG.standard_normal((3 * heads * HEAD, width)),
        "qkv.bias": RNG.standard_normal(3 * heads * HEAD),
        "proj.weight": RNG.standard_normal((width, heads * HEAD)),
        "proj.bias": RNG.standard_normal(width),
    }
    tables = {which: RNG.standard_normal((2, 30, HEAD)) for which in "kv"}
    paths = {f"rel_pos_embed_{w}.embeddings_table_{axis}": tables[w]["vh".index(axis)] for w in "kv" for axis in "vh"}
    found = output(f"Attention({heads}, {HEAD})", x, {f"a.{path}": w for path, w in {**weights, **paths}.items()})
    near, seen = (
        output(f"relative_position({HEAD})", x, {"a.embeddings_table_v": rows, "a.embeddings_table_h": columns})
        for rows, columns in tables.values()
    )
    qkv = (x[0] @ weights["qkv.weight"].T + weights["qkv.bias"]).reshape(TOKENS, 3, heads, HEAD)
    y = np.zeros((TOKENS, heads, HEAD))
    for t, h in np.ndindex(TOKENS, heads):
        scores = np.array([qkv[t, 0, h] @ (qkv[s, 1, h] + near[t, s]) for s in range(TOKENS)]) / np.sqrt(HEAD)
        shares = np.exp(scores) / np.exp(scores).sum()
        y[t, h] = sum(shares[s] * (qkv[s, 2, h] + seen[t, s]) for s in range(TOKENS))
    wanted = y.reshape(TOKENS, heads * HEAD) @ weights["proj.weight"].T + weights["proj.bias"]
    np.testing.assert_allclose(found[0], wanted, rtol=1e-10, atol=1e-12)
