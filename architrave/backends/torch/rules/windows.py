"""Windows as columns, and pooling to a size. Where PyTorch has no function of that rank, the expansion stands."""

from __future__ import annotations

from architrave.backends.base import Call, Rules
from architrave.backends.code import Code, call
from architrave.backends.torch.rules.layers import is_symmetric, padded, same

windows = Rules()


@windows.rule("unfold")
def _unfold(at: Call) -> Code | None:
    if len(at.op.kernel) != 2 or not at.types[0].dtype.is_float:
        return None
    x, padding = at.args[0], at.op.padding
    given = _options(at)
    if not is_symmetric(padding):
        return call("F.unfold", padded(at, x, padding), same(at.op.kernel), **given)
    return call("F.unfold", x, same(at.op.kernel), **given, **_padding(at))


@windows.rule("fold")
def _fold(at: Call) -> Code | None:
    if len(at.op.kernel) != 2 or not at.types[0].dtype.is_float or not is_symmetric(at.op.padding):
        return None
    size = at.shape(at.op.size)
    return call("F.fold", at.args[0], size, same(at.op.kernel), **_options(at), **_padding(at))


@windows.rule("adaptive_avg_pool", "adaptive_max_pool")
def _adaptive(at: Call) -> Code | None:
    rank, type = len(at.op.size), at.types[0]
    if type.rank != rank + 2 or not 1 <= rank <= 3 or not type.dtype.is_float:
        return None
    size = at.size(at.op.size[0]) if len(set(at.op.size)) == 1 else at.shape(at.op.size)
    return call(f"F.{at.op.name}{rank}d", at.args[0], size)


def _options(at: Call) -> dict[str, str]:
    given = {"dilation": at.op.dilation, "stride": at.op.stride}
    return {name: same(values) for name, values in given.items() if any(v != 1 for v in values)}


def _padding(at: Call) -> dict[str, str]:
    widths = tuple(before for before, _ in at.op.padding)
    return {"padding": same(tuple(map(at.size, widths)))} if any(w != 0 for w in widths) else {}
