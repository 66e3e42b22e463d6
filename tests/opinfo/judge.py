"""PyTorch's samples of its own operators, through ours: in float64, outputs and gradients, on every backend."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
import torch

import architrave
from architrave.ir.arrays import dtype_of
from architrave.ir.graph import Graph, Value
from architrave.ir.op import OPS
from architrave.ir.source import ArchitraveError
from tests.opinfo.rules import RULES, ExcludedError, input_of

Array = np.ndarray[Any, Any]
BACKENDS = ("numpy", "torch", "jax")
SAMPLES = 20
"""How many samples of each operator are run in full."""
TOLERANCE = 1e-10
"""Of docs/testing.md, for float64: outputs and gradients, by the scale of the result."""
SINGLE = 1e-5
"""The same for float32, of samples that ask for it."""
LOOSE = {"nn.functional.hardsigmoid": (1e-7, "PyTorch knows a sixth in float32 alone")}
"""Operators that PyTorch computes less exactly in float64: what they are held to, and why."""
UNDIFFERENTIATED: dict[str, str] = {
    f"nn.functional.max_unpool{n}d": "PyTorch gives a gradient to what was overwritten, too; `.grad` has no overlaps"
    for n in (1, 2, 3)
}
"""Operators whose gradients are not compared, and why."""
EXACT = (torch.float64, torch.complex128)
COMPLEX = {"real", "angle", "conj", "conj_physical", "resolve_conj", "view_as_real"}
"""Operators that here are for complex numbers alone, or say nothing about others."""
THEIRS: dict[str, Callable[..., Any]] = {}
"""What to call in the place of PyTorch's operator, which it gets first, where several results are right."""


@dataclass
class Case:
    """One sample: inputs, PyTorch's outputs and gradients, and our outputs."""

    number: int
    tensors: list[torch.Tensor]
    inputs: list[Value]
    theirs: list[torch.Tensor]
    ours: list[Value]
    flowing: list[torch.Tensor | None] = field(default_factory=list[Any])
    gradients: list[torch.Tensor | None] = field(default_factory=list[Any])

    def tolerance(self, name: str) -> float:
        """How far results may differ."""
        exact = all(t.dtype in EXACT or not (t.is_floating_point() or t.is_complex()) for t in self.theirs)
        return LOOSE.get(name, (TOLERANCE,))[0] if exact else SINGLE


@dataclass
class Verdict:
    """What came of the samples of one operator."""

    name: str
    ours: tuple[str, ...] = ()
    passed: int = 0
    excluded: Counter[str] = field(default_factory=Counter[str])
    failures: list[str] = field(default_factory=list[str])


@cache
def known() -> dict[str, Any]:
    """PyTorch's table of operators by name and variant."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
    return {f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name: op for op in op_db}


def judged(name: str, backends: Sequence[str] = BACKENDS, count: int = SAMPLES) -> Verdict:
    """Run the first samples of an operator."""
    verdict = Verdict(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = list(_cases(name, verdict, count))
    verdict.ours = tuple(dict.fromkeys(_operators(cases)))
    if not cases:
        return verdict
    problems = _problems(name, cases, backends)
    verdict.failures += [f"{name}, sample {number}, {text}" for number, text in problems]
    verdict.passed = len(cases) - len({number for number, _ in problems})
    return verdict


def _cases(name: str, verdict: Verdict, count: int) -> Iterator[Case]:
    info = known()[name]
    torch.manual_seed(0)
    np.random.seed(0)  # some samples are drawn with it
    kind = _kind(info)
    trained = kind not in (torch.int64, torch.bool) and info.supports_autograd
    samples = info.sample_inputs("cpu", kind, requires_grad=trained)
    for number, sample in enumerate(islice(samples, count)):
        tensors: list[torch.Tensor] = []
        inputs: list[Value] = []
        arguments = (sample.input, *sample.args)
        try:
            theirs_in = _mapped(((*arguments,), sample.kwargs), lambda t, kept=tensors: _double(t, kept))
            ours_in = _mapped(((*arguments,), sample.kwargs), lambda t, kept=inputs, n=number: _input(t, kept, n))
            ours = list(_leaves(RULES[name](*ours_in[0], **ours_in[1]), Value))
        except ExcludedError as why:
            verdict.excluded[str(why)] += 1
            continue
        except ArchitraveError as problem:
            verdict.failures.append(f"{name}, sample {number}: {problem.diagnostics[0].message}: {_told(sample)}"[:600])
            continue
        except Exception as problem:
            verdict.failures.append(
                f"{name}, sample {number}: {type(problem).__name__} {problem}: {_told(sample)}"[:600]
            )
            continue
        theirs = list(_leaves(THEIRS.get(name, _called)(info.op, *theirs_in[0], **theirs_in[1]), torch.Tensor))
        case = Case(number, tensors, inputs, theirs, ours)
        if trained and name not in UNDIFFERENTIATED:
            _differentiate(case)
        yield case


def _kind(info: Any) -> torch.dtype:
    """float32, where the operator takes it and ours has it."""
    if info.name in COMPLEX:
        return torch.complex64
    return next(
        (d for d in (torch.float32, torch.complex64, torch.int64) if d in info.supported_dtypes("cpu")), torch.float32
    )


def _told(sample: Any) -> str:
    """The arguments of a sample, tensors by their shapes."""
    return str(_mapped(((sample.input, *sample.args), sample.kwargs), lambda t: f"{t.dtype}{list(t.shape)}"))


def _called(op: Any, *arguments: Any, **named: Any) -> Any:
    return op(*arguments, **named)


def _differentiate(case: Case) -> None:
    """PyTorch's gradients of the outputs times random numbers."""
    draw = torch.Generator().manual_seed(case.number)
    case.flowing = [
        torch.randn(y.shape, generator=draw, dtype=y.dtype) if y.requires_grad and y.numel() else None
        for y in case.theirs
    ]
    pairs = [(y, g) for y, g in zip(case.theirs, case.flowing, strict=True) if g is not None]
    sources = [t for t in case.tensors if t.requires_grad]
    if not pairs or not sources:
        case.flowing = [None] * len(case.theirs)
        return
    total = sum(((y * g.conj()).real.sum() if g.is_complex() else (y * g).sum()) for y, g in pairs)
    found = iter(torch.autograd.grad(total, sources, allow_unused=True, materialize_grads=True))  # type: ignore[arg-type]
    case.gradients = [next(found) if t.requires_grad else None for t in case.tensors]


def _problems(name: str, cases: list[Case], backends: Sequence[str]) -> list[tuple[int, str]]:
    """What does not agree. All samples are one program; where that fails, each is one of its own."""
    found: list[tuple[int, str]] = []
    for backend in backends:
        try:
            found += _of_backend(name, cases, backend)
        except Exception as problem:
            if len(cases) == 1:
                return [*found, (cases[0].number, f"{backend}: {type(problem).__name__}: {problem}"[:500])]
            for case in cases:
                found += _problems(name, [case], (backend,))
    return found


def _of_backend(name: str, cases: list[Case], backend: str) -> Iterator[tuple[int, str]]:
    inputs = [value for case in cases for value in case.inputs]
    graph = Graph("Judged", tuple(inputs), tuple(value for case in cases for value in case.ours))
    arrays = [t.detach().numpy() for case in cases for t in case.tensors]
    program = architrave.compile(graph, backend)
    outputs = iter(program.run({}, *arrays).outputs)
    problems: list[tuple[int, str]] = []
    for case in cases:
        results = [next(outputs) for _ in case.ours]
        if len(results) != len(case.theirs):
            problems.append((case.number, f"{backend}: {len(results)} results, not {len(case.theirs)}"))
            continue
        for i, (ours, theirs) in enumerate(zip(results, case.theirs, strict=True)):
            wrong = _difference(ours, theirs.numpy(force=True), case.tolerance(name))
            problems += [(case.number, f"{backend}, output {i}: {wrong}")] if wrong else []
    flowing = [g for case in cases for g in (case.flowing or [None] * len(case.ours))]
    if problems or all(g is None for g in flowing):
        return iter(problems)
    cotangents = [
        np.zeros_like(g) if g is not None and not np.isfinite(g).all() else g
        for g in (None if g is None else g.resolve_conj().numpy() for g in flowing)
    ]
    gradients = iter(program.gradients({}, *arrays, cotangents=cotangents).inputs)
    for case in cases:
        for i, t in enumerate(case.tensors):
            ours, theirs = next(gradients), case.gradients[i] if case.gradients else None
            if theirs is None:
                continue
            wanted = theirs.numpy(force=True)
            wrong = _difference(np.zeros_like(wanted) if ours is None else ours, wanted, case.tolerance(name))
            problems += [(case.number, f"{backend}, gradient by input {i} {tuple(t.shape)}: {wrong}")] if wrong else []
    return iter(problems)


def _difference(ours: Array, theirs: Array, tolerance: float) -> str:
    """How they differ, in words; nothing where they do not."""
    if ours.shape != theirs.shape:
        return f"shape {ours.shape}, not {theirs.shape}"
    if ours.dtype.kind != theirs.dtype.kind:
        return f"dtype {ours.dtype}, not {theirs.dtype}"
    if theirs.dtype.kind not in "fc":
        return "" if np.array_equal(ours, theirs) else f"{_shown(ours)}, not {_shown(theirs)}"
    with np.errstate(all="ignore"):
        scale = max(1.0, float(np.max(np.abs(theirs), initial=0, where=np.isfinite(theirs))))
        agree = np.isclose(ours, theirs, rtol=0, atol=tolerance * scale, equal_nan=True)
    return "" if agree.all() else f"{_shown(ours[~agree])}, not {_shown(theirs[~agree])}"


def _shown(x: Array) -> str:
    return np.array2string(x.reshape(-1)[:4], precision=8)


def _operators(cases: list[Case]) -> Iterator[str]:
    """The operators that ours are made of."""
    for case in cases:
        for node in Graph("Judged", tuple(case.inputs), tuple(case.ours)).nodes:
            if node.op.name in OPS and node.op.name not in ("input", "full", "constant", "arange"):
                yield node.op.name


def _double(t: torch.Tensor, kept: list[torch.Tensor]) -> torch.Tensor:
    """A copy in float64, with a gradient where the sample has one; the copy is an input."""
    wide = {torch.float32: torch.float64, torch.complex64: torch.complex128}.get(t.dtype, t.dtype)
    copy = t.detach().resolve_conj().resolve_neg().to(wide).clone(memory_format=torch.contiguous_format)
    kept.append(copy.requires_grad_(t.requires_grad))
    # What is written in place, or viewed, must be no leaf.
    return copy.clone() if t.requires_grad else copy


def _input(t: torch.Tensor, kept: list[Value], number: int) -> Value:
    array = torch.empty(0, dtype=t.dtype).numpy()
    dtype = dtype_of(array.astype({"f": np.float64, "c": np.complex128}.get(array.dtype.kind, array.dtype)))
    kept.append(input_of(f"x{number}_{len(kept)}", t.shape, dtype))
    return kept[-1]


def _mapped(tree: Any, change: Callable[[torch.Tensor], Any]) -> Any:
    match tree:
        case torch.Tensor():
            return change(tree)
        case torch.Size():
            return tuple(tree)
        case list() | tuple():
            return type(tree)(_mapped(x, change) for x in tree) if type(tree) in (list, tuple) else tree
        case dict():
            return {key: _mapped(x, change) for key, x in tree.items()}
        case _:
            return tree


def _leaves(tree: Any, kind: type) -> Iterator[Any]:
    if isinstance(tree, kind):
        yield tree
    elif isinstance(tree, list | tuple):
        for part in tree:
            yield from _leaves(part, kind)
    else:
        raise TypeError(f"a result that is no tensor: {type(tree).__name__}")
