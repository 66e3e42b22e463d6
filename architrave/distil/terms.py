"""What of a teacher a student is to match: each term is a loss, as a graph over both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Protocol

from architrave.dsl.elaborate.function import elaborate_function
from architrave.dsl.elaborate.values import Fn
from architrave.dsl.modules import load_standard
from architrave.ir import build
from architrave.ir.arrays import known
from architrave.ir.graph import Graph, Value
from architrave.ir.initial import initial
from architrave.ir.ops.leaves import Initial
from architrave.ir.rewrite import inline
from architrave.ir.source import error
from architrave.ir.types import TensorType
from architrave.passes.structure.sublayers import parts_at


@dataclass(frozen=True)
class Scene:
    """A student, its teachers in the same graph, and the place of weights that a term has of its own."""

    student: Graph
    teachers: tuple[Graph, ...]
    place: str


class Term(Protocol):
    """One part of the loss, which counts `share` times."""

    @property
    def share(self) -> float:
        """How much it counts."""
        ...

    def loss(self, scene: Scene) -> Value:
        """One number over a batch. Raises E934 where student and teacher do not fit."""
        ...


@dataclass(frozen=True)
class Logits:
    """The classes of the student come near those of its teachers, whose probabilities are averaged.

    `temperature ** 2` times the divergence of the average from the student's, both softened by the temperature: Hinton,
    Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (2015). No teacher has a gradient.
    """

    temperature: float = 4.0
    share: float = 1.0

    def loss(self, scene: Scene) -> Value:
        """Of the first output of each network, logits [*B, C]."""
        student = _fitting(scene)
        found = build.log_softmax(build.multiply(student, 1 / self.temperature))
        wanted = average([graph.outputs[0] for graph in scene.teachers], self.temperature)
        divergence: Value = build.multiply(library("kl_divergence", found, wanted), self.temperature**2)
        return divergence


@dataclass(frozen=True)
class Features:
    """Inner values of the student come near those of a teacher: what passes out of the blocks at two places.

    Where they differ in their channels a linear map of those, which learns, leads from one to the other: Romero and
    others, "FitNets: Hints for Thin Deep Nets" (2015). `by` is a fn of `std.loss`, such as `spatial_transfer`.
    """

    student: str
    teacher: str
    share: float = 1.0
    by: str = "mse"
    of: int = 0
    """Which of the teachers."""

    def loss(self, scene: Scene) -> Value:
        """Of values [*B, C], or [N, C, *S] with four axes and more. E934 where they differ in other sizes."""
        x, y = pair(scene, self.student, self.teacher, self.of)
        return library(self.by, adapted(x, y, scene.place), build.stop_gradient(y))


@dataclass(frozen=True)
class Relations:
    """The student sees examples related as a teacher does, whatever the sizes of both: by a fn of `std.loss`.

    Without places that is about the first outputs.
    """

    by: Literal["gram", "relational_distance", "relational_angle"] = "gram"
    student: str = ""
    teacher: str = ""
    share: float = 1.0
    of: int = 0

    def loss(self, scene: Scene) -> Value:
        """Of values whose first axis is that of examples."""
        return library(self.by, *pair(scene, self.student, self.teacher, self.of))


@dataclass(frozen=True)
class Adversary:
    """A discriminator learns to tell the classes of the student from those of its teachers, and the student not to be.

    A perceptron on probabilities, whose gradient changes its sign on its way to the student. Shen and Savvides,
    "MEAL V2: Boosting Vanilla ResNet-50 to 80%+ Top-1 Accuracy on ImageNet without Tricks" (2020).
    """

    share: float = 1.0

    def loss(self, scene: Scene) -> Value:
        """The binary cross-entropy of what the discriminator says, of logits [N, C]."""
        student = _fitting(scene)
        probabilities = build.softmax(student)
        # The value as it is, the gradient reversed.
        reversed_ = build.stop_gradient(build.multiply(probabilities, 2.0)) - probabilities
        real = average([graph.outputs[0] for graph in scene.teachers])
        says = discriminator(build.concat(real, reversed_, axis=0), scene.place)
        count = real.shape[0]
        truth = build.concat(build.full(value=1.0, shape=(count, 1)), build.full(value=0.0, shape=(count, 1)), axis=0)
        return library("binary_cross_entropy", says, truth)


def average(logits: Sequence[Value], temperature: float = 1.0) -> Value:
    """The mean of the probabilities that several networks give, without a gradient."""
    total = build.softmax(build.multiply(logits[0], 1 / temperature))
    for other in logits[1:]:
        total = total + build.softmax(build.multiply(other, 1 / temperature))
    mean: Value = build.stop_gradient(build.multiply(total, 1 / len(logits)))
    return mean


def discriminator(x: Value, place: str) -> Value:
    """Three linear layers [N, C] -> [N, 1], each half as wide as the one before."""
    classes = known(x.shape[-1])
    widths = [classes, max(classes // 2, 1), max(classes // 4, 1), 1]
    for i, (given, made) in enumerate(pairwise(widths)):
        weight = build.param(f"{place}.{i}.weight", TensorType(x.dtype, (made, given)), initial("xavier_uniform"))
        bias = build.param(f"{place}.{i}.bias", TensorType(x.dtype, (made,)))
        x = build.linear(x if i == 0 else build.relu(x), weight, bias)
    return x


def adapted(x: Value, like: Value, place: str) -> Value:
    """The value with as many channels as another has: itself, or a linear map of it that learns."""
    axis = 1 if x.rank > 3 else x.rank - 1
    ours, theirs = ((*v.shape[:axis], None, *v.shape[axis + 1 :]) for v in (x, like))
    if ours != theirs:
        what = f"{x.type} of the student and {like.type} of the teacher differ in more than their channels"
        raise error("E934", what, hint="relations, such as `Relations`, do not ask for equal sizes")
    if x.type == like.type:
        return x
    kernel = (1,) * (x.rank - 2) if axis == 1 else ()
    type = TensorType(x.dtype, (like.shape[axis], x.shape[axis], *kernel))
    weight = build.param(f"{place}.weight", type, initial("xavier_uniform"))
    bias = build.param(f"{place}.bias", TensorType(x.dtype, type.shape[:1]), Initial("zeros"))
    mapped: Value = (build.conv if kernel else build.linear)(x, weight, bias)
    return mapped


def pair(scene: Scene, student: str, teacher: str, of: int) -> tuple[Value, Value]:
    """What passes out of two places, of the student and of a teacher. E934 for a place or a teacher that is none."""
    if not 0 <= of < len(scene.teachers):
        raise error("E934", f"there is no teacher {of}", hint=f"there are {len(scene.teachers)}, from 0")
    return passed_out(scene.student, student), passed_out(scene.teachers[of], teacher and f"teacher.{of}.{teacher}")


def passed_out(graph: Graph, place: str) -> Value:
    """The one value that passes out of a block; the first output for the network itself."""
    if not place:
        return graph.outputs[0]
    found = parts_at(graph, [place])
    if place not in found:
        what = f"no one value is passed out of `{place}` of `{graph.name}`"
        raise error("E934", what, hint="name a block that takes one value and gives one; `architrave show` lists them")
    return found[place].after


def library(name: str, *operands: Value) -> Value:
    """What a fn of `std.loss` gives. E542 for one that there is not."""
    function = load_standard("std.loss").exports.get(name)
    if not isinstance(function, Fn):
        raise error("E542", f"std.loss declares no fn `{name}`")
    (found,) = inline(elaborate_function(function, [v.type for v in operands]), operands)
    return found


def _fitting(scene: Scene) -> Value:
    """The student's logits. E934 where those of a teacher are of another type."""
    student = scene.student.outputs[0]
    for teacher in scene.teachers:
        if teacher.outputs[0].type != student.type:
            what = f"the student gives {student.type}, and its teacher `{teacher.name}` {teacher.outputs[0].type}"
            raise error("E934", what, hint="teach by `Features` or `Relations` where classes differ")
    return student
