"""The heart of elaboration: running the syntax tree, which builds typed nodes as it goes.

`evaluate` gives the value of an expression, `execute` runs a statement, `call` applies something. Each
looks up the handler of the kind of thing it meets; the other files of this package register the handlers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeAlias, TypeVar

from architrave.dsl import syntax
from architrave.dsl.elaborate.limits import (
    CALL_STEPS,
    DEPTH_LIMIT,
    ELEMENTS_IN_STEP,
    NODE_STEPS,
    RECURSION,
    STEP_LIMIT,
    extent,
)
from architrave.ir.graph import Value
from architrave.ir.memory import collector_paused
from architrave.ir.place import Fact, Here, Place, mark
from architrave.ir.source import ArchitraveError, Note, Span, error

if TYPE_CHECKING:
    from architrave.dsl.elaborate.constraints import Constraint


class ModeNeeded(Exception):
    """The keyword `training` was read while building both modes at once."""

    def __init__(self, span: Span) -> None:
        self.span = span


@dataclass
class Decision:
    """A choice that was met: its labels, and what kind of thing it chooses between."""

    path: str
    labels: tuple[str, ...]
    taken: str
    kind: str
    span: Span
    within: list[Labels] = field(default_factory=list["Labels"])
    """The alternatives, by path and label from the outermost, inside which it was met, each time that it was."""


Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Labels that must all be taken, by path."""
K = TypeVar("K")
V = TypeVar("V")


class Layer(dict[K, V]):
    """What one side of a branch sets, over what stands outside of it. Iteration gives its own entries only."""

    __slots__ = ("outer",)

    def __init__(self, outer: dict[K, V], own: Mapping[K, V] | None = None) -> None:
        super().__init__(own or {})
        self.outer = outer

    def __missing__(self, key: K) -> V:
        return self.outer[key]

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or key in self.outer

    def get(self, key: K, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def setdefault(self, key: K, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]


def flattened(scope: dict[K, V]) -> dict[K, V]:
    """Every entry of a dictionary and of what it stands over."""
    layers = [scope]
    while isinstance(layers[-1], Layer):
        layers.append(layers[-1].outer)
    return {key: value for layer in reversed(layers) for key, value in layer.items()}


@dataclass
class States:
    """The present value of each state, with a journal, so that what one side of a branch did can be undone."""

    present: dict[str, Value] = field(default_factory=dict[str, Value])
    journal: list[tuple[str, Value | None]] = field(default_factory=list[tuple[str, Value | None]])

    def set(self, path: str, value: Value) -> None:
        self.journal.append((path, self.present.get(path)))
        self.present[path] = value

    def mark(self) -> int:
        return len(self.journal)

    def since(self, mark: int) -> dict[str, Value]:
        """The present values of the states that were set since a mark."""
        return {path: self.present[path] for path, _ in self.journal[mark:]}

    def rollback(self, mark: int) -> None:
        """Undo everything since a mark."""
        while len(self.journal) > mark:
            path, before = self.journal.pop()
            if before is None:
                del self.present[path]
            else:
                self.present[path] = before


@dataclass
class Build:
    """What one elaboration has built so far. `training` is None while both modes are built at once."""

    decisions: Mapping[str, str] = field(default_factory=dict[str, str])
    keep_choices: bool = False
    training: bool | None = None
    weights: dict[str, Value] = field(default_factory=dict[str, Value])
    declared: dict[str, tuple[object, Span]] = field(default_factory=dict[str, tuple[object, Span]])
    uses: list[tuple[str, Labels]] = field(default_factory=list[tuple[str, "Labels"]])
    """The path of a weight, and the alternatives inside which it was declared, each time that it was."""
    states: States = field(default_factory=States)
    drawn: int = 0  # random numbers asked for
    choices: dict[str, Decision] = field(default_factory=dict[str, Decision])
    within: Labels = ()  # the alternatives that are being built
    constraints: list[Constraint] = field(default_factory=list["Constraint"])
    claimed: list[Nameable] = field(default_factory=list["Nameable"])  # the instances that got a name
    steps: int = 0
    depth: int = 0

    def state(self, path: str) -> Value:
        """The present value of a state: its leaf, until it is updated."""
        return self.states.present.get(path, self.weights[path])

    def step(self, span: Span, count: int = 1) -> None:
        """Count work; E451 where there is too much of it."""
        self.steps += count
        if self.steps > STEP_LIMIT:
            hint = "is there a loop or a recursion without an end?"
            raise error("E451", f"building takes more than {STEP_LIMIT:,} steps", span, hint=hint)

    def handle(self, value: Any, span: Span) -> None:
        """Count the work of handling a value, which may be a long list or string. Raises E451, E453."""
        if isinstance(value, list | tuple | str | range):
            self.step(span, 1 + extent(value, span) // ELEMENTS_IN_STEP)

    @contextmanager
    def alternative(self, path: str, label: str) -> Generator[None]:
        """Inside, what is built belongs to an alternative of a choice."""
        before = self.within
        self.within = (*before, (path, label))
        try:
            yield
        finally:
            self.within = before

    def checkpoint(self, names: Names) -> Checkpoint:
        """Where the build stands, to go back to. It costs the same however much has been built."""
        lists = len(self.claimed), len(self.constraints), len(self.uses)
        sizes = len(self.weights), len(self.declared), len(self.choices), len(names.used)
        return Checkpoint(self.states.mark(), *lists, self.drawn, sizes, dict(names.counters))

    def go_back(self, to: Checkpoint, names: Names) -> None:
        """Undo what was built since a checkpoint: that try is abandoned."""
        self.states.rollback(to.states)
        self.drawn = to.drawn
        del self.constraints[to.constraints :]
        del self.uses[to.uses :]
        growing: list[dict[str, Any]] = [self.weights, self.declared, self.choices, names.used]
        for entries, size in zip(growing, to.sizes, strict=True):
            while len(entries) > size:
                entries.popitem()
        names.counters.clear()
        names.counters.update(to.counters)
        while len(self.claimed) > to.claimed:
            instance = self.claimed.pop()
            instance.path, instance.segment = None, ""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a build stood: how long what only grows was, and the counters of names."""

    states: int
    claimed: int
    constraints: int
    uses: int
    drawn: int
    sizes: tuple[int, ...]
    counters: dict[str, int]


class Nameable(Protocol):
    """An instance, as far as going back is concerned."""

    path: str | None
    segment: str


@dataclass(eq=False)
class Names:
    """The instance names that one application of a block has given out, and where."""

    used: dict[str, Span] = field(default_factory=dict[str, Span])
    counters: dict[str, int] = field(default_factory=dict[str, int])

    def layer(self) -> Names:
        """Names over these, to be joined to them by `merge`, or dropped."""
        return Names(Layer(self.used), Layer(self.counters))

    def merge(self, other: Names) -> None:
        self.used.update(other.used)
        self.counters.update({k: max(v, self.counters.get(k, 0)) for k, v in other.counters.items()})


@dataclass(eq=False, slots=True)
class Frame:
    """One application of a fn, block or lambda: its variables, and where it stands."""

    build: Build
    scope: dict[str, Any]
    globals: Mapping[str, Any]
    place: Place
    names: Names
    facts: tuple[Fact, ...] = ()
    kind: str = "fn"
    loop: object | None = None  # the scan that `emit` belongs to
    states: dict[str, str] = field(default_factory=dict[str, str])  # the paths of the states, by variable

    def here(self, span: Span) -> None:
        """Mark the nodes made from now on as coming from `span`."""
        self.build.step(span, NODE_STEPS)
        mark(Here(span, self.place, self.facts))

    def lookup(self, name: str, span: Span) -> Any:
        found = self.scope.get(name, MISSING)
        if found is MISSING:
            found = self.globals.get(name, MISSING)
        return self.unknown(name, span) if found is MISSING else found

    def unknown(self, name: str, span: Span) -> NoReturn:
        from architrave.ir.source import nearest

        known = [*flattened(self.scope), *self.globals]
        raise error("E201", f"`{name}` is not defined", span, hint=nearest(name, known))


MISSING: Any = object()
BRANCHED: Any = object()
"""The loop of a frame inside `if training`: what is emitted there differs by mode, so that all is built for each."""


@dataclass(frozen=True, slots=True)
class Returned:
    """What a `return` statement gave."""

    value: Any
    span: Span


@contextmanager
def elaborating(span: Span) -> Generator[None]:
    """Inside, a program may nest as deeply as the limits of the language allow. Raises E452, and E255 where
    `training` is read outside of what is built once for each mode.
    """
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, RECURSION))
    try:
        with collector_paused():
            yield
    except RecursionError:
        raise error("E452", "the program nests too deeply", span) from None
    except ModeNeeded as need:
        hint = "read it in the body of a block, fn or model"
        raise error("E255", "`training` is not known here", need.span, hint=hint) from None
    finally:
        sys.setrecursionlimit(limit)


Evaluator = Callable[[Any, Frame], Any]
Executor = Callable[[Any, Frame], Returned | None]
Caller = Callable[[Any, Sequence[Any], Mapping[str, Any], Span, Frame], Any]

_EVALUATORS: dict[type, Evaluator] = {}
_EXECUTORS: dict[type, Executor] = {}
_CALLERS: dict[type, Caller] = {}


def evaluates(kind: type) -> Callable[[Evaluator], Evaluator]:
    """Registers the evaluator of one kind of expression."""

    def register(function: Evaluator) -> Evaluator:
        _EVALUATORS[kind] = function
        return function

    return register


def executes(kind: type) -> Callable[[Executor], Executor]:
    """Registers the executor of one kind of statement."""

    def register(function: Executor) -> Executor:
        _EXECUTORS[kind] = function
        return function

    return register


def calls(kind: type) -> Callable[[Caller], Caller]:
    """Registers how one kind of value is applied."""

    def register(function: Caller) -> Caller:
        _CALLERS[kind] = function
        return function

    return register


def evaluate(node: syntax.Expression, frame: Frame) -> Any:
    """The value of an expression: a static value or a tensor."""
    return _EVALUATORS[type(node)](node, frame)


def execute(statement: syntax.Statement, frame: Frame) -> Returned | None:
    """Run a statement; what it returns from the body, if it does."""
    return _EXECUTORS[type(statement)](statement, frame)


def run(body: Sequence[syntax.Statement], frame: Frame) -> Returned | None:
    """Run statements up to the first that returns."""
    for statement in body:
        returned = _EXECUTORS[type(statement)](statement, frame)
        if returned is not None:
            return returned
    return None


def is_callable(value: Any) -> bool:
    """Whether `value` can be applied."""
    return type(value) in _CALLERS


def call(callee: Any, args: Sequence[Any], kwargs: Mapping[str, Any], span: Span, frame: Frame) -> Any:
    """Apply `callee` to evaluated arguments. Errors get the span of the call and the chain of instances."""
    caller = _CALLERS.get(callee.__class__)
    if caller is None:
        from architrave.dsl.elaborate.values import describe

        raise error("E220", f"{describe(callee)} cannot be applied", span)
    build = frame.build
    build.step(span, CALL_STEPS)
    build.depth += 1
    if build.depth > DEPTH_LIMIT:
        raise error(
            "E452",
            f"applications nest more than {DEPTH_LIMIT} deep",
            span,
            hint="does a block or fn apply itself without an end?",
        )
    try:
        for value in (*args, *kwargs.values()):
            build.handle(value, span)
        return caller(callee, args, kwargs, span, frame)
    except ArchitraveError as problem:
        raise located(problem, span, frame) from None
    finally:
        build.depth -= 1


def located(problem: ArchitraveError, span: Span, frame: Frame) -> ArchitraveError:
    """The error with a span and a chain of instances, where it has none yet."""
    from dataclasses import replace

    trail: tuple[Note, ...] = frame.place.trail()
    return ArchitraveError([replace(d, span=d.span or span, trail=d.trail or trail) for d in problem.diagnostics])
