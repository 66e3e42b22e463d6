"""What a backend is, the registry of all of them, and the tables of rules that write operators.

A rule is a function from a `Call`, one application of an operator, to an expression:

    @rules.rule("matmul")
    def _matmul(call: Call) -> Code:
        a, b = call.args
        return infix(a, "@", b)

An operator with several results gives an expression whose value is a tuple of them. A composite operator
without a rule is expanded in the IR before emission.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from architrave.backends.code import Code
from architrave.ir.dims import Size
from architrave.ir.graph import Graph
from architrave.ir.op import Op
from architrave.ir.source import error, nearest
from architrave.ir.types import DType, TensorType

if TYPE_CHECKING:
    from architrave.backends.runner import Runner

GROUP = "architrave.backends"
"""The entry-point group in which other packages add backends: the value is a `Backend` class."""

OURS = "threefry"
"""The generator of random numbers that all backends share."""
FOREIGN = """

Random numbers are drawn with the framework's own generator, keyed by `key` and the place: they are not those that
the network has elsewhere, and `architrave verify` has not compared them."""

_BUILT_IN = {
    "numpy": "architrave.backends.numpy:NumPy",
    "torch": "architrave.backends.torch:Torch",
    "jax": "architrave.backends.jax:JAX",
}


class Scope(Protocol):
    """What the writer of a function offers to the rules: the sizes, dtypes and helpers at hand there."""

    def size(self, size: Size) -> Code:
        """A size as an integer expression, from the shapes of the function's own inputs."""
        ...

    def shape(self, shape: tuple[Size, ...]) -> Code:
        """A shape as a tuple expression."""
        ...

    def dtype(self, dtype: DType) -> str:
        """A dtype as the framework writes it; `FLOAT` is that of the anchor: `x.dtype`."""
        ...

    def anchor(self) -> str:
        """A tensor in scope whose dtype is the precision of the run, and whose device is the run's."""
        ...

    def use(self, name: str) -> str:
        """Copy a function or class of the backend's prelude into the program; gives its name."""
        ...

    def path(self, path: str) -> Code:
        """A place in the network, as a string expression."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """One application of an operator, as a rule sees it."""

    op: Any
    """The operator; a rule reads the attributes of the one it is for."""
    args: tuple[Code, ...]
    types: tuple[TensorType, ...]
    results: tuple[TensorType, ...]
    scope: Scope

    def size(self, size: Size) -> str:
        return str(self.scope.size(size))

    def shape(self, shape: tuple[Size, ...]) -> str:
        """A shape as a tuple expression."""
        return str(self.scope.shape(shape))

    def dtype(self, dtype: DType) -> str:
        return self.scope.dtype(dtype)

    def anchor(self) -> str:
        return self.scope.anchor()

    def use(self, name: str) -> str:
        return self.scope.use(name)

    def path(self, path: str) -> Code:
        return self.scope.path(path)


Rule = Callable[[Call], "Code | str | None"]
"""Writes a call; a rule of a composite operator may return None to have this use of it expanded."""


class Rules:
    """How a backend writes each operator."""

    def __init__(self) -> None:
        self._rules: dict[str, Rule] = {}
        self._scalars: set[str] = set()

    def rule(self, *names: str, scalars: bool = False) -> Callable[[Rule], Rule]:
        """Register a rule for the operators `names`.

        With `scalars`, operands that are numbers arrive as literals (`Code.number` is set); otherwise
        the writer makes a tensor of them first.
        """

        def register(rule: Rule) -> Rule:
            for name in names:
                if name in self._rules:
                    raise ValueError(f"two rules for {name}")
                self._rules[name] = rule
            if scalars:
                self._scalars.update(names)
            return rule

        return register

    @staticmethod
    def joined(*tables: Rules) -> Rules:
        """One table of several."""
        result = Rules()
        for table in tables:
            for name in table:
                result.rule(name, scalars=name in table._scalars)(table[name])
        return result

    def replaced(self, others: Rules) -> Rules:
        """This table with the rules of another in the place of its own."""
        result = Rules.joined(others)
        for name in self:
            if name not in others:
                result.rule(name, scalars=name in self._scalars)(self[name])
        return result

    def takes_scalars(self, op: Op) -> bool:
        return op.name in self._scalars

    def __contains__(self, name: str) -> bool:
        return name in self._rules

    def __iter__(self) -> Iterator[str]:
        return iter(self._rules)

    def __getitem__(self, name: str) -> Rule:
        found = self._rules.get(name)
        if found is None:
            raise error("E401", f"this backend has no rule for `{name}`")
        return found


class Backend(ABC):
    """Turns graphs into programs that stand alone. Stateless: one instance serves all."""

    name: ClassVar[str]
    rules: Rules
    generators: ClassVar[dict[str, Rules]] = {}
    """Rules that draw random numbers with other generators than that of `docs/numerics.md`, by name."""
    random: str = OURS
    """The generator that its programs draw with."""

    @abstractmethod
    def emit(self, graph: Graph) -> str:
        """The source of a program that needs the backend's framework alone.

        Raises E4xx for what the backend cannot express, with the place and what to do.
        """

    def drawing_with(self, random: str) -> Backend:
        """This backend, whose programs draw with another generator. Raises E406 where it has no such."""
        if random == self.random:
            return self
        if random not in self.generators:
            known = (OURS, *self.generators)
            what = f"the {self.name} backend has no generator of random numbers `{random}`"
            raise error("E406", what, hint=nearest(random, known) or f"it has {', '.join(known)}")
        other = copy(self)
        other.rules, other.random = self.rules.replaced(self.generators[random]), random
        return other

    def about_random(self) -> str:
        """What a program's docstring says of its random numbers, if they are not those of other backends."""
        return "" if self.random == OURS else FOREIGN

    def native(self, op: Op) -> bool:
        """Whether an operator is written as it is, rather than expanded."""
        return op.name in self.rules

    def runner(self) -> Runner:
        """What runs this backend's programs on NumPy arrays. Raises ImportError where its framework is missing."""
        raise error("E521", f"programs of the {self.name} backend cannot be run from here")


@cache
def backend(name: str) -> Backend:
    """The backend called `name`, built in or installed. Raises E400 where there is none."""
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        return getattr(importlib.import_module(module), attribute)()  # type: ignore[no-any-return]  # our own table
    for point in entry_points(group=GROUP, name=name):
        return point.load()()  # type: ignore[no-any-return]  # what the group promises
    hint = nearest(name, names()) or f"there are {', '.join(names())}"
    raise error("E400", f"there is no backend `{name}`", hint=hint)


def names() -> tuple[str, ...]:
    """The names of all backends, the built-in ones first."""
    return tuple(dict.fromkeys((*_BUILT_IN, *(p.name for p in entry_points(group=GROUP)))))
