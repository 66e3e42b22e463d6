"""Products as additions of bits."""

from __future__ import annotations

from collections.abc import Sequence

from architrave.ir import build
from architrave.ir.graph import Graph, Node, Value, apply
from architrave.ir.ops import l_mul
from architrave.ir.ops.arithmetic import Multiply
from architrave.ir.ops.attention import Attention
from architrave.ir.ops.contraction import Einsum, Linear, Matmul, terms
from architrave.ir.ops.mantissa import MANTISSA
from architrave.ir.ops.shape import Reshape
from architrave.ir.source import error
from architrave.passes.base import Keeps, Pass, option
from architrave.passes.journal import Declined, Journal
from architrave.passes.quantize.products.attention import attention_of
from architrave.passes.rewriter import Change, Walk, rewrite
from architrave.passes.select import Select


class LMul(Pass):
    """Products of floats become additions of their bits: of elements, matrices, linear layers and in attention.

    Sums are in float32. Gradients are those of the true products, so that training goes on with it. Luo and Sun,
    "Addition is All You Need for Energy-efficient Language Models" (2024).
    """

    keeps = Keeps.LOSSY
    mantissa: int = option(MANTISSA, "how many bits of each mantissa are kept, from 1 to 23")
    only: Select = option(Select(), "which products: names of places, operators, annotations")

    def apply(self, graph: Graph, journal: Journal) -> Graph:
        """Convolutions, and contractions that are no product of matrices, stay as they are."""
        if not 1 <= self.mantissa <= MANTISSA:
            raise error("E803", f"`l-mul{{mantissa}}` takes 1 to {MANTISSA} bits, not {self.mantissa}")
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)

        def product(node: Node, walk: Walk) -> Change:
            floats = all(v.dtype.is_float for v in (*node.operands[:2], *node.outputs))
            return self._swapped(node) if floats else None

        return rewrite(graph, [product], journal, self.only)

    def _swapped(self, node: Node) -> Change:
        match node.op:
            case Multiply():
                return apply(l_mul.LMul(self.mantissa), *node.operands)
            case Matmul():
                return self._matmul(*node.operands)
            case Linear():
                return self._linear(*node.operands)
            case Attention():
                return attention_of(self._product, node)
            case Einsum(equation=equation):
                declined = Declined(f"`{equation}` is no product of matrices", node)
                return self._einsum(equation, *node.operands) or declined
            case _:
                return None

    def _matmul(self, a: Value, b: Value) -> Value:
        """A vector is a row on the left and a column on the right."""
        shape = apply(Matmul(), a, b).shape
        a = apply(Reshape((1, *a.shape)), a) if a.rank == 1 else a
        b = apply(Reshape((*b.shape, 1)), b) if b.rank == 1 else b
        product = apply(l_mul.LMulMatmul(self.mantissa), a, b)
        return product if product.shape == shape else apply(Reshape(shape), product)

    def _linear(self, x: Value, weight: Value, bias: Value | None = None) -> Value:
        product = self._matmul(x, _turned(weight))
        return product if bias is None else product + bias

    def _product(self, node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        assert isinstance(node.op, Einsum)
        found = self._einsum(node.op.equation, *operands)
        return None if found is None else (found,)

    def _einsum(self, equation: str, *operands: Value) -> Value | None:
        """A sum over one of two axes that follow those which operands and result have in common."""
        inputs, output = terms(equation)
        if [len(term) for term in inputs] != [len(output)] * 2 or len(output) < 2:
            return None
        lead, (row, column) = output[:-2], output[-2:]
        first, second = (term[-2:] for term in inputs)
        if any(term[:-2] != lead for term in inputs) or "..." in (first[1], *second):
            return None
        inner = first[0] if first[1] == row else first[1]
        if {*first} != {row, inner} or {*second} != {inner, column} or inner in output:
            return None
        a, b = operands
        return self._matmul(a if first[0] == row else _turned(a), b if second[1] == column else _turned(b))


def _turned(x: Value) -> Value:
    """With its last two axes exchanged."""
    turned: Value = build.transpose(x, (*range(x.rank - 2), x.rank - 1, x.rank - 2))
    return turned
