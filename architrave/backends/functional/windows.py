"""Rules for convolutions and pooling: both backends have functions of the same signatures in their preludes."""

from __future__ import annotations

from architrave.backends.base import Call, Rules
from architrave.backends.code import Code, call, literal, sequence
from architrave.backends.functional.dtypes import as_float, promoted
from architrave.ir.dims import Size


def add_windows(rules: Rules, np: str) -> None:
    """Add the rules that call `convolve`, `convolve_transpose`, `max_pool` and `avg_pool`."""

    @rules.rule("conv", "conv_transpose")
    def _conv(at: Call) -> Code:
        name = at.use(at.op.name.replace("conv", "convolve"))
        return call(name, *promoted(at, np), **window_options(at))

    @rules.rule("max_pool", "max_pool_places")
    def _max_pool(at: Call) -> Code:
        stride = _short(at, at.op.stride or at.op.kernel)
        options = _window(at, "padding", "dilation")
        return call(at.use(at.op.name), at.args[0], literal(at.op.kernel), stride=stride, **options)

    @rules.rule("avg_pool")
    def _avg_pool(at: Call) -> Code:
        options = _window(at, "padding")
        if "padding" in options and not at.op.count_padding:
            options["count_padding"] = "False"
        stride = _short(at, at.op.stride or at.op.kernel)
        return call(at.use("avg_pool"), as_float(at), literal(at.op.kernel), stride=stride, **options)


def window_options(at: Call) -> dict[str, Code | str]:
    """The keyword arguments of a convolution."""
    options = _window(at)
    if at.op.groups != 1:
        options["groups"] = at.size(at.op.groups)
    return options


_PLAIN = {"stride": "1", "padding": "0", "output_padding": "0", "dilation": "1"}


def _window(at: Call, *names: str) -> dict[str, Code | str]:
    """The keyword arguments that are not their defaults; of a convolution the stride and the padding always."""
    options: dict[str, Code | str] = {}
    for name in names or ("stride", "padding", "output_padding", "dilation"):
        values: tuple[Size | tuple[Size, ...], ...] = getattr(at.op, name, ())
        shown = _short(at, values) if values else _PLAIN[name]
        if shown != _PLAIN[name] or (not names and name in ("stride", "padding")):
            options[name] = shown
    return options


def _short(at: Call, values: tuple[Size | tuple[Size, ...], ...]) -> str:
    """One number where all axes, and both sides of each, have the same."""
    flat = {size for value in values for size in (value if isinstance(value, tuple) else (value,))}
    if len(flat) == 1:
        return at.size(flat.pop())
    return sequence(at.shape(value) if isinstance(value, tuple) else at.size(value) for value in values)
