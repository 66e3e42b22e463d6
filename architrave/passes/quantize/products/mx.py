"""Operands of contractions in formats of groups that share a power of two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from architrave.ir.dims import divide
from architrave.ir.graph import Graph, Node, Value, apply
from architrave.ir.ops.attention import Attention
from architrave.ir.ops.contraction import Einsum, Linear, Matmul, terms
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.microscaling import RoundMx
from architrave.ir.rewrite import kept
from architrave.ir.source import error
from architrave.passes.base import Keeps, Pass, option
from architrave.passes.journal import Declined, Journal
from architrave.passes.quantize.products.attention import attention_of
from architrave.passes.rewriter import Change, Walk, rewrite
from architrave.passes.select import Select

Format = Literal["e4m3", "e5m2", "e3m2", "e2m3", "e2m1", "int8", "none"]


class Mx(Pass):
    """What contractions multiply is rounded to MX formats: groups along the axis that is summed share a power of two.

    No data is needed: scales come from each tensor as it runs. Gradients go straight through. Rouhani and others,
    "Microscaling Data Formats for Deep Learning" (2023).
    """

    keeps = Keeps.LOSSY
    weight: Format = option("e4m3", "of weights; none leaves them as they are")
    act: Format = option("e4m3", "of activations; none leaves them as they are")
    group: int = option(32, "how many elements share a scale")
    only: Select = option(Select(), "which contractions: names of places, operators, annotations")

    def apply(self, graph: Graph, journal: Journal) -> Graph:
        """Contractions whose summed axis is no multiple of the group stay as they are. Attention is written out."""
        if self.group < 1:
            raise error("E803", f"`mx{{group}}` takes a number of elements, not {self.group}")
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)
        made: dict[tuple[Value, int, str], Value] = {}

        def mx(node: Node, walk: Walk) -> Change:
            if isinstance(node.op, Attention):
                found: Change = attention_of(lambda inner, operands: self._product(inner, operands, walk, made), node)
            else:
                found = self._product(node, node.operands, walk, made)
            misfit = any(self._misfits(node)) or (isinstance(node.op, Attention) and found is None)
            reason = f"groups of {self.group} do not divide what is summed"
            return Declined(reason, node) if misfit else found

        return rewrite(graph, [mx], journal, self.only)

    def _product(
        self, node: Node, operands: tuple[Value, ...], walk: Walk, made: dict[tuple[Value, int, str], Value]
    ) -> Sequence[Value] | None:
        """A contraction of rounded operands; None where there is nothing to round, or groups do not fit."""
        axes = summed_axes(node)
        if not axes or any(self._misfits(node)) or any(isinstance(v.op, RoundMx) for v in operands):
            return None
        given = list(operands)
        for i, axis in enumerate(axes):
            format = self.weight if operands[i] in walk.static else self.act
            if format != "none":
                # What several contractions read is rounded once.
                key = operands[i], axis, format
                made[key] = made.get(key) or apply(RoundMx(format, self.group, axis), operands[i])
                given[i] = made[key]
        return kept(node, tuple(given)) if tuple(given) != operands else None

    def _misfits(self, node: Node) -> Iterator[bool]:
        """For each rounded operand, whether groups do not divide the axis that is summed."""
        for value, axis in zip(node.operands, summed_axes(node), strict=False):
            yield divide(value.shape[axis], self.group) is None


def summed_axes(node: Node) -> tuple[int, ...]:
    """The axes of two operands along which a contraction sums products; nothing where it does not, or along several."""
    if not all(v.dtype.is_float for v in node.operands[:2]):
        return ()
    match node.op:
        case Linear():
            return -1, -1
        case Conv():
            return 1, 1
        case Matmul():
            return -1, -min(node.operands[1].rank, 2)
        case Einsum(equation=equation):
            inputs, output = terms(equation)
            summed = [part for part in inputs[0] if part not in output]
            if len(inputs) != 2 or len(summed) != 1 or summed[0] not in inputs[1]:
                return ()
            return tuple(_place(term, summed[0]) for term in inputs)
        case _:
            return ()


def _place(term: tuple[str, ...], letter: str) -> int:
    """The axis of a letter, counted from the end that `...` is not on."""
    place = term.index(letter)
    return place - len(term) if "..." in term[:place] else place
