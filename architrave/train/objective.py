"""What is minimized: a fn of the standard library or of a file, applied to what the network gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from architrave.dsl.elaborate.function import elaborate_function
from architrave.dsl.elaborate.values import Fn
from architrave.dsl.modules import load_file, load_standard
from architrave.ir.build import cast, input, mean
from architrave.ir.graph import Graph, Value
from architrave.ir.rewrite import inline
from architrave.ir.source import error, nearest
from architrave.ir.types import DType, TensorType
from architrave.train.data import Dataset

LIBRARY = "std.loss"


@dataclass(frozen=True)
class Objective:
    """A loss by name, `cross_entropy`, or a file's, `losses.arch:mine`; and its static arguments.

    The fn takes the network's first output and the target and gives one number. Without a name the network's one
    output is the loss itself.
    """

    loss: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def usual(cls, data: Dataset) -> Objective:
        """The one that targets suggest: of classes, of numbers, or the network's own where there are none."""
        if data.target is None:
            return cls()
        return cls("cross_entropy" if data.target.dtype.kind in "iu" else "mse")

    @property
    def held(self) -> Mapping[str, Any]:
        """Weights by path that the loss has of its own, and what they are at first: those of a teacher."""
        return {}

    @property
    def judge(self) -> Objective:
        """What a network is judged by when it does not learn."""
        return self

    def attached(self, network: Graph, target: TensorType | None = None) -> Graph:
        """The network with `target` as its last input and the loss as its only output. Raises E542, E543."""
        if not self.loss:
            return _checked(network, network)
        if target is None:
            raise error("E542", f"the loss `{self.loss}` needs a target", hint="give the type of the targets")
        given = input("target", target)
        found = self.losses(network.outputs[0], given)
        return _checked(replace(network, inputs=(*network.inputs, given), outputs=found), network)

    def losses(self, output: Value, *given: Value, **arguments: Any) -> tuple[Value, ...]:
        """What the fn gives of the output and targets, for static arguments beside its own. Raises E542."""
        values = (output, *given)
        found = elaborate_function(_function(self.loss), [v.type for v in values], {**self.arguments, **arguments})
        return inline(found, values)


@dataclass(frozen=True)
class Weighted(Objective):
    """A loss that is the mean over examples, each times a number: one more input behind the target, `weight: [N]`.

    The fn must be able to give the loss of each example, with `reduction="none"`.
    """

    def attached(self, network: Graph, target: TensorType | None = None) -> Graph:
        """The network with `target` and `weight` as its last inputs. Raises E542, E543."""
        if not self.loss or target is None:
            raise error("E542", "examples are weighed by a loss of their targets", hint="name a loss, and give targets")
        given = input("target", target)
        (losses,) = self.losses(network.outputs[0], given, reduction="none")
        weight = input("weight", TensorType(losses.dtype, losses.shape))
        return _checked(
            replace(network, inputs=(*network.inputs, given, weight), outputs=(mean(weight * losses),)), network
        )

    @property
    def judge(self) -> Objective:
        """The loss as it is, of examples that count alike."""
        return Objective(self.loss, self.arguments)


def _checked(graph: Graph, network: Graph) -> Graph:
    if len(graph.outputs) != 1 or graph.outputs[0].rank or not graph.outputs[0].dtype.is_float:
        types = ", ".join(str(v.type) for v in graph.outputs)
        raise error(
            "E543",
            f"what is minimized must be one number, but `{network.name}` gives {types}",
            hint="name a loss, such as `cross_entropy`, that makes one number of it",
        )
    loss = graph.outputs[0]
    return graph if loss.dtype is DType.FLOAT else replace(graph, outputs=(cast(loss, DType.FLOAT),))


def _function(name: str) -> Fn:
    file, _, function = name.rpartition(":")
    if file.endswith(".arch"):
        module = load_file(file)
    else:
        module = load_standard(file or LIBRARY)
    found = module.exports.get(function)
    if isinstance(found, Fn):
        return found
    known = [n for n, value in module.exports.items() if isinstance(value, Fn)]
    hint = nearest(function, known) or f"it declares {', '.join(known) or 'none'}"
    raise error("E542", f"{module.name} declares no fn `{function}`", hint=hint)
