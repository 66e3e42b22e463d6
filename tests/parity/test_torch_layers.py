"""The standard library's layers compute what PyTorch's layers of the same name compute, in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import architrave
from architrave.ir.interpret import Result

torch = pytest.importorskip("torch")
nn = torch.nn
F = torch.nn.functional

Array = NDArray[Any]
Weights = dict[str, Array]


def same(weights: Weights) -> Weights:
    return weights


def applied(network: Any, *inputs: Any) -> Any:
    return network(*inputs)


@dataclass(frozen=True)
class Case:
    """A stage of ours over inputs of these shapes, and a module (or function) of theirs.

    `rename` gives their weights our names; `call` applies their module to the inputs.
    """

    stage: str
    shapes: tuple[list[int], ...]
    theirs: Callable[[], Any]
    rename: Callable[[Weights], Weights] = same
    call: Callable[..., Any] = applied
    training: bool = False

    def __str__(self) -> str:
        return self.stage + (" in training" if self.training else "")


IMPORTS = """
from std import linear, embedding, conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from std import max_pool, avg_pool, global_avg_pool, global_max_pool, upsample
from std import batch_norm, layer_norm, rms_norm, group_norm, instance_norm, layer_norm2d
from std import attention, self_attention, cross_attention, lstm_cell, gru_cell, lstm, gru, rnn, dropout, drop_path
from std import residual, mlp
"""


def run(stage: str, inputs: list[Array], weights: Weights, training: bool = False) -> Result:
    """What the oracle makes of a stage."""
    types = [f"{'i64' if x.dtype.kind == 'i' else ''}{list(x.shape)}" for x in inputs]
    names = [f"x{i}" for i in range(len(inputs))]
    parameters = ", ".join(f"{name}: {kind}" for name, kind in zip(names, types, strict=True))
    text = f'{IMPORTS}\nmodel M()({parameters}) = ({", ".join(names)}) -> "": {stage}\n'
    return architrave.interpret(architrave.loads(text), inputs, weights, training)


def _padded(widths: tuple[int, ...], network: Any) -> Any:
    """The network after padding; `widths` are before and after, the last axis first."""
    return nn.Sequential(nn.ZeroPad2d(widths), network)


def _second(weights: Weights) -> Weights:
    return {key.removeprefix("1."): value for key, value in weights.items()}


def _recurrent(weights: Weights) -> Weights:
    return {f"cell.{key.removesuffix('_l0')}": value for key, value in weights.items()}


def _forward(network: Any, x: Any) -> Any:
    """Every hidden state, and the last without the axis of layers."""
    hidden, last = network(x)
    return hidden, *[state[0] for state in (last if isinstance(last, tuple) else (last,))]


def _backward(network: Any, x: Any) -> Any:
    hidden, *last = _forward(network, x.flip(1))
    return hidden.flip(1), *last


def _heads(weights: Weights) -> Weights:
    """PyTorch stacks the three maps of attention, unless their inputs differ in width."""
    ours = {key: value for key, value in weights.items() if key.startswith("out_proj")}
    stacked = weights.get("in_proj_weight")
    for index, name in enumerate("qkv"):
        own = weights[f"{name}_proj_weight"] if stacked is None else np.split(stacked, 3)[index]
        ours |= {f"{name}_proj.weight": own, f"{name}_proj.bias": np.split(weights["in_proj_bias"], 3)[index]}
    return ours


def _attend(network: Any, x: Any, memory: Any = None) -> Any:
    memory = x if memory is None else memory
    return network(x, memory, memory, need_weights=False)[0]


def _attend_causally(network: Any, x: Any) -> Any:
    mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], dtype=x.dtype)
    return network(x, x, x, need_weights=False, attn_mask=mask)[0]


def _mlp(weights: Weights) -> Weights:
    return {key.replace("0.", "fc1.").replace("2.", "fc2."): value for key, value in weights.items()}


IMAGE = ([2, 4, 9, 8],)
SEQUENCE = ([2, 5, 6],)
CASES = (
    Case("linear(5)", ([2, 3, 4],), lambda: nn.Linear(4, 5)),
    Case("linear(5, bias = false)", ([4],), lambda: nn.Linear(4, 5, bias=False)),
    Case("conv1d(6)", ([2, 4, 9],), lambda: nn.Conv1d(4, 6, 3, padding=1)),
    Case("conv1d(6, 4, padding = 2, stride = 3)", ([2, 4, 9],), lambda: nn.Conv1d(4, 6, 4, 3, 2)),
    Case("conv2d(6)", IMAGE, lambda: nn.Conv2d(4, 6, 3, padding=1)),
    Case("conv2d(6, 5, stride = 2, bias = false)", IMAGE, lambda: nn.Conv2d(4, 6, 5, 2, 2, bias=False)),
    Case(
        "conv2d(6, [3, 2], stride = [2, 1], padding = [0, 1], dilation = [1, 2], groups = 2)",
        IMAGE,
        lambda: nn.Conv2d(4, 6, (3, 2), (2, 1), (0, 1), (1, 2), 2),
    ),
    Case("conv2d(8, groups = 4, dilation = 2)", IMAGE, lambda: nn.Conv2d(4, 8, 3, 1, 2, 2, 4)),
    Case('conv2d(6, 4, padding = "same")', IMAGE, lambda: _padded((1, 2, 1, 2), nn.Conv2d(4, 6, 4)), _second),
    Case(
        'conv2d(6, stride = 2, padding = "same")',
        IMAGE,
        lambda: _padded((0, 1, 1, 1), nn.Conv2d(4, 6, 3, 2)),
        _second,
    ),
    Case('conv2d(6, padding = "valid")', IMAGE, lambda: nn.Conv2d(4, 6, 3)),
    Case(
        "conv2d(6, padding = [[0, 1], [2, 0]])",
        IMAGE,
        lambda: _padded((2, 0, 0, 1), nn.Conv2d(4, 6, 3)),
        _second,
    ),
    Case("conv3d(3, [1, 2, 3], stride = 2)", ([1, 2, 4, 5, 6],), lambda: nn.Conv3d(2, 3, (1, 2, 3), 2, (0, 0, 1))),
    Case("conv_transpose1d(3, 4, stride = 2)", ([2, 4, 5],), lambda: nn.ConvTranspose1d(4, 3, 4, 2)),
    Case(
        "conv_transpose2d(6, 3, stride = [2, 3], padding = 1, output_padding = [1, 0], groups = 2, bias = false)",
        IMAGE,
        lambda: nn.ConvTranspose2d(4, 6, 3, (2, 3), 1, (1, 0), 2, bias=False),
    ),
    Case("conv_transpose2d(6, 3, dilation = 2)", IMAGE, lambda: nn.ConvTranspose2d(4, 6, 3, dilation=2)),
    Case("conv_transpose3d(2, 2, stride = 2)", ([1, 3, 2, 3, 2],), lambda: nn.ConvTranspose3d(3, 2, 2, 2)),
    Case("max_pool(3, stride = 2, padding = 1)", IMAGE, lambda: nn.MaxPool2d(3, 2, 1)),
    Case("max_pool([2, 3])", IMAGE, lambda: nn.MaxPool2d((2, 3))),
    Case("avg_pool(3, stride = 2, padding = 1)", IMAGE, lambda: nn.AvgPool2d(3, 2, 1)),
    Case(
        "avg_pool(3, padding = 1, count_padding = false)",
        IMAGE,
        lambda: nn.AvgPool2d(3, padding=1, count_include_pad=False),
    ),
    Case("avg_pool(2)", ([2, 4, 9],), lambda: nn.AvgPool1d(2)),
    Case("global_avg_pool", IMAGE, lambda: lambda x: x.mean((2, 3))),
    Case("global_max_pool", IMAGE, lambda: lambda x: x.amax((2, 3))),
    Case("upsample(2)", IMAGE, lambda: nn.Upsample(scale_factor=2)),
    Case('upsample([2, 3], mode = "bilinear")', IMAGE, lambda: nn.Upsample(scale_factor=(2, 3), mode="bilinear")),
    Case('upsample(2, mode = "bicubic")', IMAGE, lambda: nn.Upsample(scale_factor=2, mode="bicubic")),
    Case("batch_norm", IMAGE, lambda: nn.BatchNorm2d(4)),
    Case("batch_norm", IMAGE, lambda: nn.BatchNorm2d(4), training=True),
    Case("batch_norm", ([6, 4],), lambda: nn.BatchNorm1d(4), training=True),
    Case(
        "batch_norm(eps = 1e-3, momentum = 0.3, affine = false)",
        IMAGE,
        lambda: nn.BatchNorm2d(4, 1e-3, 0.3, affine=False),
        training=True,
    ),
    Case("layer_norm", SEQUENCE, lambda: nn.LayerNorm(6)),
    Case("layer_norm(1e-2, affine = false)", SEQUENCE, lambda: nn.LayerNorm(6, 1e-2, elementwise_affine=False)),
    Case("rms_norm", SEQUENCE, lambda: nn.RMSNorm(6, 1e-6)),
    Case("group_norm(2)", IMAGE, lambda: nn.GroupNorm(2, 4)),
    Case("instance_norm", IMAGE, lambda: nn.InstanceNorm2d(4)),
    Case("instance_norm(affine = true)", IMAGE, lambda: nn.InstanceNorm2d(4, affine=True)),
    Case(
        "attention(causal = true, scale = 0.3)",
        ([2, 4, 5, 6], [2, 2, 5, 6], [2, 2, 5, 3]),
        lambda: lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.3, enable_gqa=True),
    ),
    Case("self_attention(2)", SEQUENCE, lambda: nn.MultiheadAttention(6, 2, batch_first=True), _heads, _attend),
    Case(
        "self_attention(3, causal = true)",
        SEQUENCE,
        lambda: nn.MultiheadAttention(6, 3, batch_first=True),
        _heads,
        _attend_causally,
    ),
    Case(
        "cross_attention(3)",
        (*SEQUENCE, [2, 4, 3]),
        lambda: nn.MultiheadAttention(6, 3, kdim=3, vdim=3, batch_first=True),
        _heads,
        _attend,
    ),
    Case("lstm_cell(4)", ([2, 6], [2, 4], [2, 4]), lambda: nn.LSTMCell(6, 4), call=lambda m, x, h, c: m(x, (h, c))),
    Case("gru_cell(4)", ([2, 6], [2, 4]), lambda: nn.GRUCell(6, 4)),
    Case("lstm(4)", SEQUENCE, lambda: nn.LSTM(6, 4, batch_first=True), _recurrent, _forward),
    Case("lstm(4, reverse = true)", SEQUENCE, lambda: nn.LSTM(6, 4, batch_first=True), _recurrent, _backward),
    Case("gru(4)", SEQUENCE, lambda: nn.GRU(6, 4, batch_first=True), _recurrent, _forward),
    Case("gru(4, reverse = true)", SEQUENCE, lambda: nn.GRU(6, 4, batch_first=True), _recurrent, _backward),
    Case("rnn(4)", SEQUENCE, lambda: nn.RNN(6, 4, batch_first=True), _recurrent, _forward),
    Case("mlp(8)", SEQUENCE, lambda: nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 6)), _mlp),
    Case("residual(relu)", SEQUENCE, lambda: lambda x: x + x.relu()),
    Case("dropout(0.5)", SEQUENCE, lambda: nn.Identity()),
    Case("drop_path(0.5)", SEQUENCE, lambda: nn.Identity()),
)


def _draw(network: Any, generator: Any) -> Weights:
    """Weights and statistics drawn anew, in float64."""
    if not isinstance(network, nn.Module):
        return {}
    state = {key: value for key, value in network.double().state_dict().items() if value.is_floating_point()}
    for key, value in state.items():
        noise = torch.randn(value.shape, generator=generator, dtype=value.dtype)
        value.copy_(noise.abs() + 0.5 if key.endswith("running_var") else noise)
    return {key: value.numpy().copy() for key, value in state.items()}


def _flat(value: Any) -> list[Any]:
    return [part for item in value for part in _flat(item)] if isinstance(value, tuple) else [value.numpy()]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_layer_agrees(case: Case) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in case.shapes]
    theirs = case.theirs()
    weights = case.rename(_draw(theirs, generator))
    if isinstance(theirs, nn.Module):
        theirs.train(case.training)
    with torch.no_grad():
        wanted = _flat(case.call(theirs, *inputs))

    result = run(case.stage, [x.numpy() for x in inputs], weights, case.training)

    for ours, expected in zip(result.outputs, wanted, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-9)
    for key, ours in result.updates.items():
        np.testing.assert_allclose(ours, theirs.state_dict()[key].numpy(), rtol=1e-9, err_msg=key)
    assert set(result.updates) == {key for key in weights if key.startswith("running_")}


def test_embedding_takes_rows() -> None:
    table = np.random.default_rng(0).standard_normal((7, 3))
    index = np.array([[0, 6], [3, 3]])
    (rows,) = run("embedding(7, 3)", [index], {"weight": table}).outputs
    np.testing.assert_array_equal(rows, table[index])


@pytest.mark.parametrize(("stage", "cells"), [("dropout(0.25)", (64, 8, 8)), ("drop_path(0.25)", (64, 1, 1))])
def test_dropped_cells_are_zero_and_others_scaled(stage: str, cells: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).standard_normal((64, 8, 8)) + 10
    (y,) = run(stage, [x], {}, training=True).outputs
    kept = np.broadcast_to((y != 0)[tuple(slice(size) for size in cells)], x.shape)
    np.testing.assert_allclose(y, np.where(kept, x / 0.75, 0), rtol=1e-12)
    # Three quarters, within five standard deviations.
    assert abs(kept.mean() - 0.75) < 5 * np.sqrt(0.25 * 0.75 / np.prod(cells))
