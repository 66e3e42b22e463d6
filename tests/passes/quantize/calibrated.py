"""Rounded networks whose scales suit their input: the least and the largest number that occurs, in the oracle."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import architrave
from architrave.backends.agree.trial import trial
from architrave.ir.graph import Graph
from architrave.ir.interpret import interpret
from architrave.ir.ops.quantize import FakeQuantize
from architrave.ir.rewrite import rebuild
from architrave.passes import apply
from architrave.passes.quantize.rounding.sites import Site, activation_sites, weight_sites
from tests.stdlib.small import SMALL

Array = np.ndarray[Any, Any]


def rounded(name: str, options: str = "", powers: bool = False) -> tuple[Graph, dict[str, Array], Sequence[Array]]:
    """A small network of the library, rounded, its weights, and the input that they suit; scales may be powers of 2."""
    graph = architrave.load(name, **SMALL[name])
    drawn = trial(graph, seed=1)
    plain = apply(graph, "deploy")
    made = apply(plain.graph, f"quantize{options}")
    weights = made.weights(plain.weights(drawn.weights))
    return made.graph, calibrated(made.graph, weights, drawn.inputs, powers), drawn.inputs


def calibrated(graph: Graph, weights: Mapping[str, Array], inputs: Sequence[Array], powers: bool) -> dict[str, Array]:
    """The weights with scales and zero points of what the network computes from the inputs without rounding."""
    new = dict(weights)
    sites = activation_sites(graph)
    taps = rebuild(replace(graph, outputs=tuple(site.value for site in sites), updates=()), _unrounded)
    for site, found in zip(sites, interpret(taps, inputs, weights).outputs, strict=True):
        new |= _setting(site, found, powers)
    if powers:
        new |= {site.scale: _power(new[site.scale]) for site in weight_sites(graph)}
    return new


def _unrounded(node: Any, operands: Any) -> Any:
    return operands[:1] if isinstance(node.op, FakeQuantize) else None


def _setting(site: Site, found: Array, powers: bool) -> dict[str, Array]:
    low, high = min(float(found.min()), 0.0), max(float(found.max()), 0.0)
    least, most = site.op.bounds
    if site.zero is None:
        scale = max(-low, high) / most or 1.0
        return {site.scale: _power(scale) if powers else np.float32(scale)}
    scale = (high - low) / (most - least) or 1.0
    scale = float(_power(scale)) if powers else scale
    zero = np.int32(np.clip(round(least - low / scale), least, most))
    return {site.scale: np.asarray(scale, np.float32), site.zero: np.asarray(zero, np.int32)}


def _power(scale: Any) -> Array:
    """The next power of two that is no smaller."""
    return np.exp2(np.ceil(np.log2(np.asarray(scale, np.float64)) - math.log2(1 + 1e-9))).astype(np.float32)
