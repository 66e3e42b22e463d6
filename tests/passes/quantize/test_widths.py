"""Other bits at some quantizers."""

from __future__ import annotations

import numpy as np
import pytest

import architrave
from architrave.ir.source import ArchitraveError
from architrave.passes import apply
from architrave.passes.quantize.rounding.sites import sites
from architrave.passes.quantize.rounding.widths import widths, with_widths
from architrave.quantize.calibrate import calibrate
from tests.quantize.networks import convs

OPTIONS = ("{act=8}", "{symmetric=true}", "{granularity=tensor}", "{group=8}")


def rounded(options=""):
    graph, weights, batches = convs()
    made = apply(graph, f"quantize{options}")
    return made.graph, calibrate(made.graph, made.weights(weights), batches, backend="numpy"), batches


def ranges(graph, weights):
    """The ends of the range of each quantizer."""
    zeros = {site.scale: weights[site.zero] if site.zero else 0 for site in sites(graph)}
    return {s.scale: [(end - zeros[s.scale]) * weights[s.scale] for end in s.op.bounds] for s in sites(graph)}


@pytest.mark.parametrize("options", OPTIONS)
def test_ranges_stay(options):
    graph, weights, _ = rounded(options)
    asked = {path: (2, 4, 12)[i % 3] for i, path in enumerate(widths(graph))}
    made = with_widths(graph, asked)
    new = made.weights(weights)
    assert widths(made.graph) == asked
    before, after = ranges(graph, weights), ranges(made.graph, new)
    for site in sites(made.graph):
        # A zero point is an integer: it moves the range by half a step at most.
        slack = 0.51 * new[site.scale].max() if site.zero else 0
        for old, end in zip(before[site.scale], after[site.scale], strict=True):
            np.testing.assert_allclose(end, old, rtol=1e-6, atol=slack)


@pytest.mark.parametrize("options", OPTIONS)
def test_weights_are_those_of_the_pass_with_such_bits(options):
    graph, weights, _ = rounded(options)
    weight_paths = [site.scale for site in sites(graph) if site.is_weight]
    new = with_widths(graph, dict.fromkeys(weight_paths, 4)).weights(weights)
    network, floats, _ = convs()
    direct = apply(network, f"quantize{options.replace('{', '{bits=4 ')}").weights(floats)
    for path in weight_paths:
        np.testing.assert_allclose(new[path], direct[path], rtol=1e-6)


def test_other_quantizers_stay_and_none_is_none():
    graph, weights, batches = rounded()
    network, floats, _ = convs()
    some = with_widths(graph, {"head.weight_scale": 3})
    assert {p: b for p, b in widths(some.graph).items() if b != 8} == {"head.weight_scale": 3}
    none = with_widths(graph, dict.fromkeys(widths(graph), 0))
    assert not sites(none.graph)
    assert set(none.weights(weights)) == set(floats)
    exact, bare = (architrave.compile(g, "numpy") for g in (network, none.graph))
    np.testing.assert_array_equal(bare(none.weights(weights), *batches[0]), exact(floats, *batches[0]))
    same = with_widths(graph, widths(graph))
    for path, value in same.weights(weights).items():
        np.testing.assert_array_equal(value, weights[path])


def test_a_gain_follows_the_largest_integer():
    network, _, _ = convs()
    eight, four = (apply(network, f"quantize{{bits={bits} symmetric=true}},ranges").graph for bits in (8, 4))
    changed = {site.scale: 4 for site in sites(eight) if site.is_weight}
    found = {site.scale: site.op.gain for site in sites(with_widths(eight, changed).graph)}
    np.testing.assert_allclose([found[s.scale] for s in sites(four)], [s.op.gain for s in sites(four)])


@pytest.mark.parametrize(
    ("passes", "bits", "about"),
    [
        ("quantize", {"head.weight_scal": 4}, "no quantizer"),
        ("quantize", {"head.weight_scale": 1}, "1 bits"),
        ("quantize", {"head.weight_scale": 17}, "17 bits"),
        ("quantize,ranges{by=average}", {"stem.image_scale": 4}, "more than quantizers"),
    ],
)
def test_bits_that_cannot_be_had(passes, bits, about):
    graph = apply(convs()[0], passes).graph
    with pytest.raises(ArchitraveError) as caught:
        with_widths(graph, bits)
    assert caught.value.diagnostics[0].code == "E901"
    assert about in caught.value.diagnostics[0].message
