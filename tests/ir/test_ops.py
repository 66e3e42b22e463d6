"""Every operator on its own samples: types, rejections, and the promises that all operators make."""

import numpy as np
import pytest

from architrave.ir.arrays import held
from architrave.ir.expand import expansion
from architrave.ir.op import OPS, Sample
from architrave.ir.ops import control, leaves
from architrave.ir.ops.random import RunKey
from architrave.ir.source import ArchitraveError
from architrave.ir.storage import numpy_dtype
from tests.ir.apply import applied, evaluate

SAMPLES = [(name, sample) for name, op in OPS.items() for sample in op.samples()]
GOOD = [(name, sample) for name, sample in SAMPLES if sample.error is None]
BAD = [(name, sample) for name, sample in SAMPLES if sample.error is not None]
COMPOSITES = [(name, sample) for name, sample in GOOD if OPS[name].is_composite()]
PRIMITIVES = [(name, sample) for name, sample in GOOD if OPS[name].is_primitive()]
WITHOUT_SAMPLES = {
    op.name
    for op in (
        *(leaves.Input, leaves.Param, leaves.State, leaves.Constant, RunKey),
        *(control.Mode, control.Choice, control.Scan, control.While, control.CustomGrad),
    )
}
CANNOT_FAIL = {"stop_gradient"}


def named(cases: list[tuple[str, Sample]]) -> list[str]:
    """Ids of samples: the operator and the operands' types."""
    return [f"{name}({', '.join(map(str, s.types))}; {s.attributes})"[:90] for name, s in cases]


@pytest.mark.parametrize(("name", "sample"), GOOD, ids=named(GOOD))
def test_results_are_of_the_inferred_types(name: str, sample: Sample) -> None:
    graph = applied(OPS[name](**sample.attributes), sample.types)
    results = evaluate(name, sample)
    assert [r.shape for r in results] == [v.shape for v in graph.outputs]
    assert [r.dtype for r in results] == [numpy_dtype(v.dtype) for v in graph.outputs]


@pytest.mark.parametrize(("name", "sample"), COMPOSITES, ids=named(COMPOSITES))
def test_a_composite_expands_to_what_it_infers(name: str, sample: Sample) -> None:
    op = OPS[name](**sample.attributes)
    inferred = op.infer(*sample.types)
    expanded = tuple(v.type for v in expansion(op, sample.types).outputs)
    assert expanded == (inferred if isinstance(inferred, tuple) else (inferred,))


@pytest.mark.parametrize(("name", "sample"), PRIMITIVES, ids=named(PRIMITIVES))
def test_a_primitive_holds_floats_as_float64(name: str, sample: Sample) -> None:
    op = OPS[name](**sample.attributes)
    with np.errstate(all="ignore"):
        results = op.reference(*sample.draw())
    inferred = op.infer(*sample.types)
    for result, type in zip(
        results if isinstance(results, tuple) else (results,),
        inferred if isinstance(inferred, tuple) else (inferred,),
        strict=True,
    ):
        assert np.asarray(result).dtype == held(type.dtype)


@pytest.mark.parametrize(("name", "sample"), BAD, ids=named(BAD))
def test_what_does_not_fit_is_rejected(name: str, sample: Sample) -> None:
    with pytest.raises(ArchitraveError) as caught:
        OPS[name](**sample.attributes).infer(*sample.types)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == sample.error
    assert diagnostic.message.strip(".") == diagnostic.message


@pytest.mark.parametrize("name", OPS)
def test_every_operator_is_documented_and_sampled(name: str) -> None:
    op = OPS[name]
    assert op.__doc__
    assert not op.__doc__.startswith(f"{op.__name__}(")
    assert op.is_composite() + op.is_primitive() <= 1
    if name in WITHOUT_SAMPLES:
        return
    assert op.is_composite() or op.is_primitive()
    samples = list(op.samples())
    assert any(s.error is None for s in samples)
    assert name in CANNOT_FAIL or any(s.error for s in samples)


def test_samples_draw_the_same_values_every_time() -> None:
    sample = next(s for s in OPS["where"].samples() if s.error is None)
    for once, again in zip(sample.draw(3), sample.draw(3), strict=True):
        np.testing.assert_array_equal(once, again)


@pytest.mark.parametrize(
    "name", [name for name, op in OPS.items() if "axis" in op.attributes or "axes" in op.attributes]
)
def test_an_axis_may_be_counted_from_either_end(name: str) -> None:
    for sample in OPS[name].samples():
        axes = sample.attributes.get("axes", sample.attributes.get("axis"))
        if sample.error is not None or axes in (None, ()) or name in WITHOUT_SAMPLES:
            continue
        rank = sample.types[0].rank + {"stack": 1, "unsqueeze": len(axes) if isinstance(axes, tuple) else 0}.get(
            name, 0
        )

        def turned(axis: int, rank: int = rank) -> int:
            return axis - rank if axis >= 0 else axis + rank

        other = tuple(map(turned, axes)) if isinstance(axes, tuple) else turned(axes)
        key = "axes" if "axes" in sample.attributes else "axis"
        twin = Sample(sample.inputs, {**sample.attributes, key: other}, sample.high)
        for one, two in zip(evaluate(name, sample), evaluate(name, twin), strict=True):
            np.testing.assert_array_equal(one, two)
