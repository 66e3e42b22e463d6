"""Rules for contractions with weights of which some blocks are stored: functions that every backend's prelude has."""

from __future__ import annotations

from architrave.backends.base import Call, Rules
from architrave.backends.code import Code, call


def add_sparse(rules: Rules) -> None:
    """Add the rules of weights in CSR and BSR."""

    @rules.rule("linear_sparse", "pointwise_sparse")
    def _sparse(at: Call) -> Code | None:
        x, values, *_ = at.types
        return call(at.use(at.op.name), *at.args) if x.dtype is values.dtype else None
