"""Random chains and trees of affine operators, in one to three dimensions, drawn by hypothesis."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from architrave.ir import build
from architrave.ir.graph import Graph, Value, make
from architrave.ir.source import ArchitraveError
from architrave.ir.storage import constant_of
from architrave.ir.types import DType

CHANNELS = (1, 2, 4, 6)
SIZES = {1: (9,), 2: (6, 7), 3: (4, 5, 4)}


@dataclass
class Affinely:
    """A graph that is being drawn, and its weights."""

    draw: Any
    rank: int
    weights: dict[str, np.ndarray] = field(default_factory=dict)

    def weight(self, *shape: int, low: float = -1.0, high: float = 1.0) -> Value:
        path = f"w{len(self.weights)}"
        self.weights[path] = np.random.default_rng(len(self.weights)).uniform(low, high, shape)
        return build.param(path, f"[{', '.join(map(str, shape))}]")

    def pick(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def conv(self, x: Value) -> Value:
        channels, out = x.shape[1], self.pick(*CHANNELS)
        groups = self.pick(*(g for g in (1, 2, channels) if channels % g == 0 and out % g == 0))
        kernel = [self.pick(1, 1, 2, 3) for _ in range(self.rank)]
        stride = self.pick((1,), (1,), (2,)) * self.rank
        padding = [self.pick((0, 0), (k // 2, k // 2), (1, 0)) for k in kernel]
        dilation = [self.pick(1, 1, 2) for _ in kernel]
        bias = [self.weight(out)] * self.pick(0, 1)
        weight = self.weight(out, channels // groups, *kernel)
        return build.conv(x, weight, *bias, stride=stride, padding=padding, dilation=dilation, groups=groups)

    def conv_transpose(self, x: Value) -> Value:
        channels, out = x.shape[1], self.pick(*CHANNELS)
        groups = self.pick(*(g for g in (1, 2, channels) if channels % g == 0 and out % g == 0))
        kernel = [self.pick(1, 2, 3) for _ in range(self.rank)]
        bias = [self.weight(out)] * self.pick(0, 1)
        weight = self.weight(channels, out // groups, *kernel)
        return build.conv_transpose(x, weight, *bias, stride=self.pick((1,), (2,)) * self.rank, groups=groups)

    def batch_norm(self, x: Value) -> Value:
        c = x.shape[1]
        affine = [self.weight(c), self.weight(c)] * self.pick(0, 1)
        return build.batch_norm(x, self.weight(c), self.weight(c, low=0.5, high=2.0), *affine)

    def scale(self, x: Value) -> Value:
        vector = build.reshape(self.weight(x.shape[1]), shape=[x.shape[1], *[1] * self.rank])
        return self.pick(x * 0.5, x + 1.5, 2.0 - x, -x, x * vector, x + vector, x - vector, x / (vector + 3.0))

    def pool(self, x: Value) -> Value:
        return build.avg_pool(x, kernel=[2] * self.rank, stride=[self.pick(1, 2)] * self.rank)

    def linear(self, x: Value) -> Value:
        out = self.pick(*CHANNELS)
        return build.linear(x, self.weight(out, x.shape[-1]), *[self.weight(out)] * self.pick(0, 1))

    def pad(self, x: Value) -> Value:
        return build.pad(x, widths=[[0, 0], [0, 0], *[self.pick([0, 0], [1, 0], [1, 1])] * self.rank])

    def branch(self, x: Value) -> Value:
        """A few operators in a row that keep the shape."""
        made = x
        for _ in range(self.pick(0, 1, 2)):
            k = self.pick(1, 3)
            groups = self.pick(*(g for g in (1, 2, x.shape[1]) if x.shape[1] % g == 0))
            weight = self.weight(x.shape[1], x.shape[1] // groups, *[k] * self.rank)
            bias = [self.weight(x.shape[1])] * self.pick(0, 1)
            dilation = self.pick(1, 1, 2)
            padding = [[k // 2 * dilation] * 2] * self.rank
            made = build.conv(made, weight, *bias, padding=padding, dilation=[dilation] * self.rank, groups=groups)
            made = self.batch_norm(made) if self.pick(0, 1) else made
        return made

    def sum(self, x: Value) -> Value:
        total = self.branch(x)
        for _ in range(self.pick(1, 2)):
            total = self.pick(total + self.branch(x), total - self.branch(x))
        return total

    def beside(self, x: Value) -> Value:
        return build.concat(self.branch(x), self.branch(x), axis=1)

    def arranged(self, x: Value) -> Value:
        """The same elements in another order, or some of them; channels stay where they are."""
        last = x.rank - 1
        wide = build.flip(x, axes=[last])
        swapped = build.transpose(x, axes=[0, 1, *reversed(range(2, x.rank))])
        flat = build.reshape(x, shape=[x.shape[0], x.shape[1], -1])
        part = build.slice(x, starts=[0] * x.rank, stops=[*x.shape[:-1], max(1, x.shape[-1] - 1)], steps=[1] * x.rank)
        return self.pick(wide, swapped, part, build.reshape(flat, shape=list(x.shape)))

    def chosen(self, x: Value) -> Value:
        """Some of the channels, or all in another order."""
        channels = x.shape[1]
        stops = [x.shape[0], self.pick(*range(1, channels + 1)), *x.shape[2:]]
        order = np.random.default_rng(channels).permutation(channels)
        places = make(constant_of(order, DType.I64, order.shape), ()).outputs[0]
        return self.pick(
            build.flip(x, axes=[1]),
            build.slice(x, starts=[0] * x.rank, stops=stops, steps=[1] * x.rank),
            build.take(x, places, axis=1),
        )

    def scaled_sum(self, x: Value) -> Value:
        return self.scale(build.tanh(self.conv(x)) + 1.0) if self.pick(0, 1) else self.scale(self.sum(x))

    def step(self, x: Value) -> Value:
        maps = (self.conv, self.conv, self.conv_transpose, self.linear, self.batch_norm, self.scale, self.pool)
        others = (self.sum, self.sum, self.scaled_sum, self.beside, self.arranged, self.chosen, self.pad)
        try:
            return self.pick(*maps, *others)(x)
        except ArchitraveError:  # nothing is left of an axis
            return x


@dataclass(frozen=True)
class Drawn:
    """A graph, with what it is run on."""

    graph: Graph
    weights: dict[str, np.ndarray]
    input: np.ndarray

    def __repr__(self) -> str:
        return str(self.graph)


@st.composite
def affine_graphs(draw: Any) -> Drawn:
    """Up to six steps, one of which may be no affine map, and a second reader of what lies between."""
    rank = draw(st.sampled_from((1, 2, 3)))
    drawing = Affinely(draw, rank)
    x = build.input("x", f"[2, {draw(st.sampled_from(CHANNELS))}, {', '.join(map(str, SIZES[rank]))}]")
    values = [x]
    for _ in range(draw(st.integers(1, 6))):
        values.append(drawing.step(values[-1]))
        if draw(st.integers(0, 5)) == 0:
            values.append(build.tanh(values[-1]))
    outputs = [values[-1], *([draw(st.sampled_from(values))] * draw(st.integers(0, 1)))]
    shown = build.graph("Affine", [x], outputs)
    array = np.random.default_rng(0).normal(size=x.shape)
    return Drawn(shown, drawing.weights, array)
