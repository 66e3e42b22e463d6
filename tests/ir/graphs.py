"""Small graphs that several tests use."""

from collections.abc import Callable, Sequence

from architrave.ir.dims import Size, symbol
from architrave.ir.graph import Graph, Value, make
from architrave.ir.ops.control import Mode
from architrave.ir.ops.leaves import Initial, Input, Param, State
from architrave.ir.ops.reduce import Max
from architrave.ir.types import DType, TensorType


def leaf(label: str, shape: Sequence[Size], dtype: DType = DType.FLOAT) -> Value:
    """An input."""
    return make(Input(label, TensorType(dtype, tuple(shape))), ()).outputs[0]


def param(path: str, shape: Sequence[int], initial: Initial | Graph, dtype: DType = DType.FLOAT) -> Value:
    """A weight."""
    return make(Param(path, TensorType(dtype, tuple(shape)), initial), ()).outputs[0]


def fn(function: Callable[..., Sequence[Value]], *types: TensorType) -> Graph:
    """The graph of a Python function over values."""
    inputs = tuple(make(Input(f"x{i}", type), ()).outputs[0] for i, type in enumerate(types))
    return Graph("fn", inputs, tuple(function(*inputs)))


def running_max(features: int) -> Graph:
    """`x - max`: of the batch in training, which also moves the running maximum halfway there."""
    batch = TensorType(DType.FLOAT, (symbol("N"), features))
    largest = TensorType(DType.FLOAT, (features,))
    x = leaf("x", batch.shape)
    state = make(State("scale.max", largest, Initial("zeros")), ()).outputs[0]

    def train(x: Value, state: Value) -> tuple[Value, Value]:
        now = make(Max(axes=(0,)), (x,)).outputs[0]
        return now, state * 0.5 + now * 0.5

    sides = Mode(fn(train, batch, largest), fn(lambda x, state: (state, state), batch, largest))
    used, new = make(sides, (x, state)).outputs
    return Graph("running_max", (x,), (x - used,), (state,), ((state, new),))
