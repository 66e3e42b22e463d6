"""Rounded networks as ONNX graphs, where each `fake_quantize` is a QuantizeLinear and a DequantizeLinear."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from architrave.ir.graph import Graph, Node, Value
from architrave.ir.ops.leaves import Param, State, path_of
from architrave.ir.ops.quantize import FakeQuantize

Array = np.ndarray[Any, Any]
OPSET, IR_VERSION = 21, 10


@dataclass
class Export:
    """An ONNX graph in the making."""

    weights: Mapping[str, Array]
    nodes: list[Any] = field(default_factory=list[Any])
    tensors: list[Any] = field(default_factory=list[Any])
    names: dict[Value, str] = field(default_factory=dict[Value, str])

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """A node with one result; gives its name."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def tensor(self, array: Array) -> str:
        """An array that is part of the graph; gives its name."""
        name = f"t{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def array(self, value: Value) -> Array:
        """A weight."""
        return self.weights[path_of(value)]

    def steps(self, value: Value) -> tuple[float, Array]:
        """The scales of the operands of a contraction, whose product is the step of its sums."""
        x, weight = (_quantizer(v).operands[1] for v in value.node.operands[:2])
        return float(self.array(x)), self.array(weight)

    def setting(self, node: Node) -> tuple[str, str, dict[str, int]]:
        """The scale and the zero point of a quantizer, along the axis that it has any."""
        scale = self.array(node.operands[1]).astype(np.float32)
        zero = self.array(node.operands[2]) if len(node.operands) > 2 else np.zeros(scale.shape)
        along = {"axis": 0} if scale.ndim else {}
        return self.tensor(scale.reshape(-1) if along else scale), self.tensor(_flat(zero, along)), along


def _quantizer(value: Value) -> Node:
    """Where a value was rounded, before it was moved."""
    while not isinstance(value.op, FakeQuantize):
        value = value.node.operands[0]
    return value.node


def _flat(zero: Array, along: Mapping[str, int]) -> Array:
    return (zero.reshape(-1) if along else zero).astype(np.int8)


def _fake_quantize(to: Export, node: Node, x: str, *rest: str) -> str:
    scale, zero, along = to.setting(node)
    return to.add("DequantizeLinear", to.add("QuantizeLinear", x, scale, zero, **along), scale, zero, **along)


def _conv(to: Export, node: Node, x: str, weight: str, bias: str = "") -> str:
    op: Any = node.op
    pads = [low for low, _ in op.padding] + [high for _, high in op.padding]
    window = {"strides": list(op.stride), "pads": pads, "dilations": list(op.dilation), "group": op.groups}
    return to.add("Conv", x, weight, *_bias(to, node), **{k: v for k, v in window.items() if v})


def _linear(to: Export, node: Node, x: str, weight: str, bias: str = "") -> str:
    return to.add("Gemm", x, weight, *_bias(to, node), transB=1)


def _bias(to: Export, node: Node) -> list[str]:
    """A bias as integers of the step of the sums, as other tools write it."""
    if len(node.operands) < 3:
        return []
    x, weight = to.steps(node.outputs[0])
    step = (x * weight).reshape(-1).astype(np.float32)
    whole = np.rint(to.array(node.operands[2]).astype(np.float64) / step).astype(np.int32)
    step = np.broadcast_to(step, whole.shape)
    return [to.add("DequantizeLinear", to.tensor(whole), to.tensor(step), axis=0)]


def _reshape(to: Export, node: Node, x: str) -> str:
    return to.add("Flatten", x, axis=1)


def _max_pool(to: Export, node: Node, x: str) -> str:
    op: Any = node.op
    pads = [low for low, _ in op.padding] + [high for _, high in op.padding]
    window = {"kernel_shape": list(op.kernel), "strides": list(op.stride or op.kernel), "pads": pads}
    return to.add("MaxPool", x, **{k: v for k, v in window.items() if v})


def _mean(to: Export, node: Node, x: str) -> str:
    op: Any = node.op
    return to.add("ReduceMean", x, to.tensor(np.array(op.axes, np.int64)), keepdims=int(op.keep))


WRITTEN: dict[str, Callable[..., str]] = {
    "fake_quantize": _fake_quantize,
    "conv": _conv,
    "linear": _linear,
    "add": lambda to, node, a, b: to.add("Add", a, b),
    "relu": lambda to, node, x: to.add("Relu", x),
    "relu6": lambda to, node, x: to.add("Clip", x, *(to.tensor(np.float32(bound)) for bound in (0, 6))),
    "reshape": _reshape,
    "flatten": _reshape,
    "max_pool": _max_pool,
    "mean": _mean,
}


def exported(graph: Graph, weights: Mapping[str, Array]) -> Any:
    """A rounded network as an ONNX model."""
    to = Export(weights)
    inputs = [helper.make_tensor_value_info(f"x{i}", TensorProto.FLOAT, None) for i, _ in enumerate(graph.inputs)]
    to.names |= {value: f"x{i}" for i, value in enumerate(graph.inputs)}
    for node in graph.nodes:
        if isinstance(node.op, Param | State):
            to.names[node.outputs[0]] = to.tensor(weights[node.op.path])
        elif node.operands:
            to.names[node.outputs[0]] = WRITTEN[node.op.name](to, node, *(to.names[v] for v in node.operands))
    outputs = [helper.make_tensor_value_info(to.names[v], TensorProto.FLOAT, None) for v in graph.outputs]
    model = helper.make_graph(to.nodes, graph.name, inputs, outputs, to.tensors)
    return helper.make_model(model, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def run(model: Any, inputs: Sequence[Array]) -> list[Array]:
    """What ONNX Runtime makes of a model when it optimizes nothing."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    given = {f"x{i}": np.asarray(x, np.float32) for i, x in enumerate(inputs)}
    return [np.asarray(result) for result in session.run(None, given)]


def quantizer(scale: float, zero: int) -> Any:
    """A model of one QuantizeLinear to int8."""
    return _of_nodes([helper.make_node("QuantizeLinear", ["x0", "scale", "zero"], ["y"])], scale, zero)


def spelt_out(scale: float, zero: int) -> Any:
    """A model of our rule in the operators that ONNX has for it: a product with the reciprocal, round, clip, cast."""
    nodes = [
        helper.make_node("Reciprocal", ["scale"], ["reciprocal"]),
        helper.make_node("Mul", ["x0", "reciprocal"], ["product"]),
        helper.make_node("Round", ["product"], ["steps"]),
        helper.make_node("Cast", ["zero"], ["offset"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["steps", "offset"], ["moved"]),
        helper.make_node("Clip", ["moved", "least", "most"], ["inside"]),
        helper.make_node("Cast", ["inside"], ["y"], to=TensorProto.INT8),
    ]
    return _of_nodes(nodes, scale, zero)


def _of_nodes(nodes: list[Any], scale: float, zero: int) -> Any:
    held = {"scale": np.float32(scale), "zero": np.int8(zero), "least": np.float32(-128), "most": np.float32(127)}
    x = helper.make_tensor_value_info("x0", TensorProto.FLOAT, None)
    y = helper.make_tensor_value_info("y", TensorProto.INT8, None)
    used = {name for node in nodes for name in node.input}
    tensors = [numpy_helper.from_array(np.asarray(v), name) for name, v in held.items() if name in used]
    model = helper.make_graph(nodes, "quantizer", [x], [y], tensors)
    return helper.make_model(model, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
