"""The two products inside of attention, for passes that change products."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from architrave.ir.expand import expansion
from architrave.ir.graph import Node, Value
from architrave.ir.ops.contraction import Einsum
from architrave.ir.rewrite import inline, rebuild

Product = Callable[[Node, tuple[Value, ...]], "Sequence[Value] | None"]


def attention_of(product: Product, node: Node) -> Value | None:
    """Attention written out, with what `product` makes of its sums of products; None where that changes nothing."""
    written_out = expansion(node.op, tuple(v.type for v in node.operands))
    made = rebuild(written_out, lambda inner, xs: product(inner, xs) if isinstance(inner.op, Einsum) else None)
    return None if made.outputs == written_out.outputs else inline(made, node.operands, node.place)[0]
