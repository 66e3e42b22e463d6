"""New trainable parts of a network: convolutions and batch norms with weights of their own."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from architrave.ir.dims import Size
from architrave.ir.enclose import Body, enclose
from architrave.ir.graph import Graph, Node, Value, apply, make, serial_now
from architrave.ir.ops.control import Mode
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.leaves import Initial, Param, State, path_of
from architrave.ir.ops.norm import BatchNorm
from architrave.ir.ops.statistics import Moments, Var
from architrave.ir.place import Block, Place, marked
from architrave.ir.types import DType, TensorType
from architrave.passes.reparam.affine import Window

BRANCH = Block("block", "branch", "One of several maps of one tensor, whose results are added.", inputs=("x",))
NORM = Block("block", "batch_norm", "Normalizes each channel: Ioffe and Szegedy (2015).", inputs=("x",))
EPS = 1e-5
MOMENTUM = 0.1


@dataclass(frozen=True)
class Trainable:
    """A place for new parts, and what was made there and below it. The weights' paths are those of their places."""

    place: Place
    dtype: DType
    weights: list[Value] = field(default_factory=list[Value])
    updates: list[tuple[Value, Value]] = field(default_factory=list[tuple[Value, Value]])
    """Each state with its new value."""

    def at(self, name: str) -> Trainable:
        """A part of this one: a branch."""
        return replace(self, place=Place(name, BRANCH, self.place))

    def conv(self, x: Value, out: int, kernel: Sequence[int], window: Window) -> Value:
        """A convolution without bias that starts as the library's do: uniform within `1 / sqrt(fan_in)`."""
        channels = x.shape[1]
        assert isinstance(channels, int)
        shape = (out, channels // window.groups, *kernel)
        bound = 1 / math.sqrt(max(math.prod(shape[1:]), 1))
        weight = self._param("weight", shape, Initial("uniform", (-bound, bound)))
        with marked(place=self.place):
            return apply(Conv(window.stride, window.padding, window.dilation, window.groups), x, weight)

    def norm(self, x: Value) -> Value:
        """`std.norm.batch_norm`, as `norm`. It starts with mean 0, variance 1, weight 1 and bias 0."""
        return replace(self, place=Place("norm", NORM, self.place))._norm(x)

    def _norm(self, x: Value) -> Value:
        channels = (x.shape[1],)
        weight = self._param("weight", channels, Initial("ones"))
        bias = self._param("bias", channels, Initial("zeros"))
        mean = self._state("running_mean", channels, Initial("zeros"))
        variance = self._state("running_var", channels, Initial("ones"))
        axes = tuple(axis for axis in range(x.rank) if axis != 1)
        with marked(place=self.place):
            since = serial_now()
            batch_mean, batch_variance = make(Moments(axes), (x,)).outputs
            unbiased = apply(Var(axes, correction=1), x)
            trained = (
                apply(BatchNorm(EPS), x, batch_mean, batch_variance, weight, bias),
                (1 - MOMENTUM) * mean + MOMENTUM * batch_mean,
                (1 - MOMENTUM) * variance + MOMENTUM * unbiased,
            )
            plain = (apply(BatchNorm(EPS), x, mean, variance, weight, bias), mean, variance)
            (training, inference), captures = enclose(
                [Body("training", (), trained), Body("inference", (), plain)], since
            )
            y, *new = make(Mode(training=training, inference=inference), captures).outputs
        self.updates.extend(zip((mean, variance), new, strict=True))
        return y

    def _param(self, name: str, shape: tuple[Size, ...], start: Initial) -> Value:
        return self._weight(Param(f"{self.place}.{name}", TensorType(self.dtype, shape), start), name)

    def _state(self, name: str, shape: tuple[Size, ...], start: Initial) -> Value:
        return self._weight(State(f"{self.place}.{name}", TensorType(self.dtype, shape), start), name)

    def _weight(self, op: Param | State, name: str) -> Value:
        with marked(place=self.place):
            self.weights.append(apply(op).named(name))
        return self.weights[-1]


def start(weight: Value, seed: int) -> Value:
    """What a new weight starts as, as a constant."""
    from architrave.ir.initializers import initial_value
    from architrave.ir.storage import constant_of, numpy_dtype

    assert isinstance(weight.op, Param | State)
    array = initial_value(weight.op, seed, numpy_dtype(weight.dtype))
    return apply(constant_of(array, weight.dtype, array.shape))


def place_of_weights(node: Node, weights: Sequence[Value], held: Counter[str]) -> Place:
    """Where the weights of a layer are, if no others are; or else a place below, called as the first of them."""
    above, _, name = path_of(weights[0]).rpartition(".")
    place = node.place if node.place is not None and str(node.place) == above else Place(above)
    return place if above and held[above] == len(weights) else Place(name, BRANCH, place)


def held_below(graph: Graph) -> Counter[str]:
    """How many weights there are at and below each place."""
    return Counter(path[:end] for path in map(path_of, graph.weights) for end, c in enumerate(path) if c == ".")
