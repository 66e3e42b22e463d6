"""Turning plain convolutions into blocks of several branches, which are trained better and are the same function."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from architrave.ir.enclose import placeholder
from architrave.ir.graph import Graph, Node, Value, make
from architrave.ir.mode import specialize
from architrave.ir.ops.arithmetic import Add
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.leaves import Param, path_of
from architrave.ir.rewrite import inline, rebuild
from architrave.passes.base import Pass, Prepare, Rewritten, option
from architrave.passes.journal import Declined, Journal
from architrave.passes.reparam.affine import Affine, Dense, Scale, full
from architrave.passes.reparam.branches import FORMS, Branches, Unfit
from architrave.passes.reparam.compose import composed
from architrave.passes.reparam.parallel import summed
from architrave.passes.reparam.trainable import EPS, Trainable, held_below, place_of_weights, start
from architrave.passes.reparam.views import view
from architrave.passes.select import Select
from architrave.passes.static import Static


class Expand(Pass):
    """Convolutions become sums of normalized branches, to be trained; in inference they are the same function.

    `repvgg` adds one tap and the input: Ding and others, "RepVGG" (2021). `acnet` a kernel along each axis: "ACNet"
    (2019). `diverse` one tap, one tap before a kernel, and one before a mean: "Diverse Branch Block" (2021). `dilated`
    smaller kernels with holes: "UniRepLKNet" (2023). `mobileone` further kernels, one tap and the input: Vasu and
    others, "MobileOne" (2022). New weights start as in a new network, and the kernel makes up for what they add.
    """

    form: Literal["repvgg", "acnet", "diverse", "dilated", "mobileone"] = option("repvgg", "which branches to add")
    branches: int = option(4, "for `mobileone`: how many kernels of the same size")
    only: Select = option(Select(), "which convolutions: names of places, operators, annotations")
    seed: int = option(0, "what the new weights are drawn with")

    def apply(self, graph: Graph, journal: Journal) -> Rewritten:
        """`deploy` is the way back."""
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)
        blocks: dict[Value, _Block] = {}
        held = held_below(graph)

        def offered(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
            if not isinstance(node.op, Conv) or not self._may_touch(node):
                return None
            block = self._block(graph, node, operands, held)
            if isinstance(block, Declined):
                journal.refused(self.form, block)
                return None
            journal.changed(self.form, node)
            blocks[operands[1]] = block
            return (block.output,)

        after = rebuild(graph, offered)
        return _with_blocks(graph, after, blocks, self.seed)

    def _may_touch(self, node: Node) -> bool:
        return self.only.matches(node) and all(fact.name != "keep" for fact in node.facts)

    def _block(self, graph: Graph, node: Node, operands: tuple[Value, ...], held: Counter[str]) -> _Block | Declined:
        """The block in the place of a convolution."""
        x, *weights = operands
        if any(not isinstance(w.op, Param) or len(graph.users[w.node]) > 1 for w in weights):
            return Declined("its weight is computed, or has another user", node)
        stand_in = placeholder("x", x.type)
        conv = make(node.op, (stand_in, *weights), node.marks).outputs[0]
        main = view(conv, Static(Graph("plain", (stand_in,), (conv,))))
        if not isinstance(main, Dense):
            return Declined("it is no convolution along known channels", node)
        inside = Trainable(place_of_weights(node, weights, held), weights[0].dtype)
        try:
            branches = list(FORMS[self.form](Branches(main, inside, self.branches)))
        except Unfit as problem:
            return Declined(str(problem), node)
        left = _less(main, branches)
        if isinstance(left, str):
            return Declined(left, node)
        return _assembled(node, x, main, left, branches, inside)


@dataclass(frozen=True)
class _Block:
    """A block on the real input, the bias it needs no more, its new weights and updates, how some weights start."""

    output: Value
    gone: tuple[Value, ...]
    weights: tuple[Value, ...]
    updates: tuple[tuple[Value, Value], ...]
    starts: dict[Value, Value]


def _less(main: Dense, branches: Sequence[Value]) -> Dense | str:
    """What is left of a convolution for the kernel to do, when the branches do their part; or why there is no such."""
    if not branches:
        return "there is no branch for it"
    inference = specialize(Graph("branches", (main.x,), tuple(branches)), training=False)
    static, left = Static(inference), main
    for branch in inference.outputs:
        part = _map(branch, main.x, static)
        negative = part if isinstance(part, str) else composed(Scale(branch, None, full(-1.0, (), branch)), part)
        difference = negative if isinstance(negative, str) else summed(left, negative)
        if not isinstance(difference, Dense):
            return str(difference)
        left = difference
    return left if left.weight.type == main.weight.type else "a branch reaches beyond its kernel"


def _map(value: Value, x: Value, static: Static) -> Affine | str:
    """A value as an affine map of `x`."""
    current: Affine | str = Scale(value, None)
    while not isinstance(current, str) and current.x is not x:
        inner = view(current.x, static)
        current = "a branch is not affine" if inner is None else composed(current, inner)
    return current


def _assembled(node: Node, x: Value, main: Dense, left: Dense, branches: Sequence[Value], inside: Trainable) -> _Block:
    """The convolution, normalized, and its branches in one sum, on the real input."""
    assert isinstance(node.op, Conv)
    total = inside.norm(make(node.op, (main.x, main.weight), node.marks).outputs[0])
    bias = next(w for w in inside.weights if path_of(w) == f"{inside.place}.norm.bias")
    for branch in branches:
        total = make(Add(), (total, branch), node.marks).outputs[0]
    block = Graph("block", (main.x,), (total, *(new for _, new in inside.updates)))
    output, *news = inline(block, (x,))
    updates = tuple((state, new) for (state, _), new in zip(inside.updates, news, strict=True))
    # The norm of the kernel divides by this until it is trained.
    starts = {main.weight: left.weight * math.sqrt(1 + EPS)}
    if left.bias is not None:
        starts[bias] = left.bias
    return _Block(output, node.operands[2:], tuple(inside.weights), updates, starts)


def _with_blocks(graph: Graph, after: Graph, blocks: dict[Value, _Block], seed: int) -> Rewritten:
    """The graph with the weights and updates of its blocks, and how they come from the old weights."""
    gone = {w for block in blocks.values() for w in block.gone}
    weights = tuple(v for w in after.weights if w not in gone for v in (w, *(blocks[w].weights if w in blocks else ())))
    updates = tuple(pair for block in blocks.values() for pair in block.updates)
    starts = {w: value for block in blocks.values() for w, value in block.starts.items()}
    drawn = {w.node for block in blocks.values() for w in block.weights}
    outputs = tuple(starts.get(w, w) for w in weights)
    draft = Graph(f"{graph.name}_prepare", (), outputs, weights=graph.weights)

    def started(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        return (start(node.outputs[0], seed),) if node in drawn else None

    prepare = Prepare(rebuild(draft, started), tuple(map(path_of, weights)))
    return Rewritten(replace(after, weights=weights, updates=(*after.updates, *updates)), prepare)
