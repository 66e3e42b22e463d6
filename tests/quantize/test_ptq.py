"""Quantizing a network from Python: what is lost in each layer, what it takes, how it scores, and what agrees."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from architrave.ir.initializers import init
from architrave.ir.interpret import interpret
from architrave.ir.source import ArchitraveError
from architrave.models import find_in_text
from architrave.passes import apply
from architrave.quantize import MSE, calibrate
from architrave.quantize.agreement import agreement
from architrave.quantize.noise import Ratio, layers
from architrave.quantize.plan import Plan
from architrave.quantize.ptq import quantize
from architrave.quantize.report import coarse, decibels, facts
from architrave.quantize.size import size
from architrave.record.examples import check_examples
from architrave.record.scores import scores
from architrave.train import Dataset, Evaluation, Objective

TEXT = """
from std.conv import conv2d
from std.linear import linear
from std.norm import batch_norm

model Net()(x: [N, 2, 4, 4]) -> [N, 3] {
    y = x -> a: conv2d(4, 3, bias = false) -> n: batch_norm -> relu -> b: conv2d(4, 3) -> relu
    return mean(y, axis = [2, 3]) -> c: linear(3)
}
"""
RNG = np.random.default_rng(0)
DATA = Dataset((RNG.standard_normal((40, 2, 4, 4)).astype(np.float32),), RNG.integers(0, 3, 40), "numbers")


@cache
def network():
    return find_in_text(TEXT).elaborate({}).graph


@cache
def rounded(step="quantize"):
    transformed = apply(network(), f"deploy,{step}")
    original = transformed.weights(init(network(), 0))
    return transformed.graph, original, calibrate(transformed.graph, original, [DATA.inputs], MSE(), backend="numpy")


def test_a_ratio_is_in_decibels():
    ratio = Ratio()
    assert (ratio.decibels, decibels(ratio)) == (np.inf, "exact")
    ratio.add(np.full(10, 10.0), np.full(10, 11.0))
    assert ratio.decibels == pytest.approx(20)
    assert decibels(ratio) == "20.0 dB"
    assert decibels(Ratio(0.0, 1.0)) == "-inf dB"


def test_layers_are_compared_with_those_of_the_float_network():
    graph, original, weights = rounded("quantize{bits=4}")
    found = layers(graph, weights, original, [DATA.inputs[0][:3][None], DATA.inputs[0][3:6][None]], backend="numpy")
    assert [(layer.name, layer.bits) for layer in found] == [("a", (8, 4)), ("b", (8, 4)), ("c", (8, 4))]
    plain = apply(network(), "deploy")
    outputs = [n.outputs[0] for n in plain.graph.nodes if n.op.name in ("conv", "linear")]
    exact = interpret(replace(plain.graph, outputs=tuple(outputs)), (DATA.inputs[0][:6],), original).outputs
    got = interpret(
        replace(graph, outputs=tuple(layer.node.outputs[0] for layer in found)), (DATA.inputs[0][:6],), weights
    ).outputs
    for layer, wanted, y in zip(found, exact, got, strict=True):
        ratio = 10 * np.log10(np.square(wanted).sum() / np.square(wanted - y).sum())
        assert layer.output.decibels == pytest.approx(ratio, abs=0.05)
        assert 10 < layer.weight.decibels < 30


def test_the_size_counts_bits():
    graph, _, weights = rounded("quantize{bits=4}")
    found = size(graph, weights)
    kernels, biases, scales = 2 * 4 * 9 + 4 * 4 * 9 + 4 * 3, 4 + 4 + 3, 4 + 4 + 3
    activations = 2 * sum(site.endswith("_zero") for site in weights)
    assert found.numbers == kernels + biases
    assert found.bits == 4 * kernels + 32 * (biases + scales + activations)
    assert found.before == 4 * found.numbers
    assert found.bits_per_weight == found.bits / found.numbers


@pytest.mark.parametrize("batch", [7, 40])
def test_scores_are_those_of_the_trainer(batch):
    weights = init(network(), 0)
    found = scores(network(), weights, DATA, batch=batch, backend="numpy")
    wanted = Evaluation(network(), Objective("cross_entropy"), DATA.target_type(network()), "numpy").run(weights, DATA)
    assert found["accuracy"] == wanted["accuracy"]
    assert found["loss"] == pytest.approx(wanted["loss"], rel=1e-5)


def test_without_labels_there_are_no_scores():
    assert scores(network(), init(network(), 0), Dataset(DATA.inputs), backend="numpy") == {}
    assert scores(network(), init(network(), 0), Dataset(DATA.inputs, np.zeros((40, 3))), backend="numpy") == {}


def test_bytes_are_compared():
    graph, _, weights = rounded()
    integers = apply(graph, "integer,hoist,clean")
    found = agreement(integers.graph, integers.weights(weights), DATA.inputs, ["numpy", "torch", "jax"])
    assert found.ok
    assert (found.reference, found.total, found.differing) == ("numpy", 40 * 3 * 4, {"torch": 0, "jax": 0})


@pytest.mark.parametrize("method", ["nearest", "gptq", "adaround", "bias-correction"])
def test_integers_compute_what_was_scored(method):
    plan = Plan(integer=True, method=method, observer=MSE(), examples=16)
    heard = []

    def begin(stage, count):
        heard.append(stage)
        return heard.append

    found = quantize(network(), init(network(), 0), DATA, plan, begin=begin)
    assert heard[0] == "observing"
    assert found.after == scores(found.graph, found.weights, DATA)
    assert found.agreement.ok
    assert all(layer.output.decibels > 25 for layer in found.layers)
    assert facts(found)["size"]["bits_per_weight"] < 15
    assert not [n for n in found.graph.nodes if n.op.name in ("conv", "linear", "fake_quantize")]


def test_examples_are_drawn_the_same_each_time():
    plans = [quantize(network(), init(network(), 0), DATA, Plan(examples=5, backend="numpy")) for _ in range(2)]
    assert all(np.array_equal(plans[0].weights[path], plans[1].weights[path]) for path in plans[0].weights)


@pytest.mark.parametrize(
    ("data", "plan", "code"),
    [
        (Dataset((np.ones((3, 2, 4, 4), np.float32),)), Plan(), "E915"),
        (Dataset((np.ones((3, 2, 5, 4), np.float32),)), Plan(), "E915"),
        (DATA, Plan(bits=1), "E803"),
        (DATA, Plan(method="guess"), "E914"),
        (DATA, Plan(only="nothing"), "E919"),
    ],
)
def test_bad_input_is_refused(data, plan, code):
    with pytest.raises(ArchitraveError) as problem:
        quantize(network(), init(network(), 0), data, plan)
    assert problem.value.diagnostics[0].code == code


def test_examples_that_do_not_fit_are_named():
    with pytest.raises(ArchitraveError, match="the examples of mine do not fit `Net`"):
        check_examples(network(), Dataset((np.ones((3, 2, 5, 4), np.float32),), name="mine"))


def test_coarse_histograms_count_the_same():
    found = quantize(network(), init(network(), 0), DATA, Plan(examples=4, backend="numpy"))
    for seen in found.seen:
        edges, counts = coarse(seen.histograms[0])
        assert counts.sum() == seen.histograms[0].total
        assert (len(counts) <= 80, len(edges)) == (True, len(counts) + 1)
        assert edges[0] <= seen.histograms[0].low <= seen.histograms[0].high <= edges[-1]


def test_a_budget_gives_each_weight_its_bits():
    """Of those on which most depends, most; annotated ones keep theirs."""
    text = TEXT.replace("    return", "    @quant(weight = 5)\n    return")
    graph = find_in_text(text).elaborate({}).graph
    plan = Plan(budget=4.5, act=0, backend="numpy", examples=8)
    found = quantize(graph, init(graph, 0), DATA, plan)
    numbers = {"a.weight_scale": 72, "b.weight_scale": 144, "c.weight_scale": 12}
    assert found.bits["c.weight_scale"] == 5
    assert sum(found.bits[path] * count for path, count in numbers.items()) <= 4.5 * sum(numbers.values())
    assert {layer.bits[1] for layer in found.layers} == set(found.bits.values())
    assert len(set(found.bits.values())) > 1
    even = quantize(graph, init(graph, 0), DATA, replace(plan, budget=0.0, bits=2))
    assert not even.bits
    assert found.size.bits > even.size.bits
    with pytest.raises(ArchitraveError) as caught:
        quantize(graph, init(graph, 0), DATA, replace(plan, budget=1.0))
    assert caught.value.diagnostics[0].code == "E918"
