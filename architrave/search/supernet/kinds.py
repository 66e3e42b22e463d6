"""The kinds of supernets: ways in which the members of a space share weights, and how they learn together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from architrave.distil import Logits
from architrave.ir.arrays import Array
from architrave.ir.choice import choices
from architrave.ir.graph import Graph
from architrave.ir.initializers import init
from architrave.ir.source import error, nearest, printable
from architrave.passes.search.switched import Switched, switched
from architrave.passes.search.weighed import Weighed, weighed
from architrave.search.space.costs import Costs
from architrave.search.space.members import Member
from architrave.search.supernet.child import Child
from architrave.search.supernet.differentiable import Differentiable
from architrave.search.supernet.draws import Decisions, Fair, Uniform
from architrave.search.supernet.draws import Several as DrawSeveral
from architrave.search.supernet.mixpath import MixPath, Subsets, mixpath
from architrave.search.supernet.nested import COMPILED, Sampled, Sandwich, SliceTrainer
from architrave.search.supernet.nested import Draw as DrawSlices
from architrave.search.supernet.pa_da import PaDa
from architrave.search.supernet.sharing import Opened, Sharing
from architrave.search.supernet.slices import Slices
from architrave.search.supernet.together import Plan, Together
from architrave.train import Adam, Dataset, Recipe, Schedule
from architrave.train.paths import Draw, PathTrainer
from architrave.train.paths import Paths as Switches

LARGEST = 1_000
"""Of options that are numbers."""
IMPORTANCE = "importance"
PATHS: Mapping[str, Callable[[Decisions, int], Draw]] = {"uniform": Uniform, "fair": Fair}
SLICES: Mapping[str, Callable[[int], DrawSlices]] = {"sandwich": Sandwich, "sampled": Sampled}


@dataclass(frozen=True)
class Paths(Opened):
    """One alternative of each choice at a time."""

    draw: str = "uniform"

    def __post_init__(self) -> None:
        _named(self.draw, (*PATHS, IMPORTANCE))

    @cached_property
    def supernet(self) -> Switched:
        """The supernet: a switch for each decision."""
        return switched(self.source)

    def learner(self, plan: Plan) -> Together:
        """One path learns in a step; in the place of one that breaks a constraint another that does not.

        Raises E954 where none keeps them, E973 where examples are drawn by importance, and have no classes.
        """
        if self.draw == IMPORTANCE:
            return self._by_importance(plan)
        return _by_paths(self, self.supernet, PATHS[self.draw](self.supernet.labels, plan.seed), plan)

    def _by_importance(self, plan: Plan) -> Together:
        data = plan.data
        if plan.recipe.objective.loss != "cross_entropy" or data.target is None or data.target.ndim > 1:
            what = "examples are drawn by importance where each has one class, and the loss is `cross_entropy`"
            raise error("E973", what, hint="draw paths uniform or fair")
        trainer = PaDa(self.supernet, data.inputs, data.target, plan.recipe, plan.schedule, **plan.options())

        def learn(*arrays: Array) -> float:
            # Of the batch its size alone counts: the examples are drawn.
            trainer.batch = len(arrays[0])
            loss = trainer.train()
            if trainer.steps % data.steps(trainer.batch) == 0:
                trainer.refresh()
            return loss

        return self.together(plan, trainer, learn)


@dataclass(frozen=True)
class Several(Opened):
    """Up to `most` alternatives of each choice at a time, summed."""

    most: int = 2

    def __post_init__(self) -> None:
        if not self.most:
            raise error("E972", "a member takes at least one alternative", hint="`most` is 1, 2 or more")

    @cached_property
    def costs(self) -> Costs:
        """The members, which take subsets."""
        return Subsets(self.model.named, self.model.arguments, self.model.sizes, most=self.most)

    @cached_property
    def supernet(self) -> MixPath:
        """The supernet: a switch for each alternative."""
        return mixpath(self.source, self.most)

    def learner(self, plan: Plan) -> Together:
        """One member learns in a step; in the place of one that breaks a constraint another that does not.

        Raises E954 where none keeps them.
        """
        return _by_paths(self, self.supernet, DrawSeveral(choices(self.source), self.most, plan.seed), plan)


@dataclass(frozen=True)
class Mixture(Opened):
    """All alternatives at once, weighed by what half of the examples say; it learns at `rate`."""

    rate: float = 0.03

    @cached_property
    def supernet(self) -> Weighed:
        """The supernet: a parameter that weighs the alternatives of each decision."""
        return weighed(self.source)

    def preferred(self, weights: Mapping[str, Any]) -> dict[str, str]:
        """The member that takes what weighs most."""
        return self.costs.space.decided(self.supernet.derived(weights))

    def divided(self, data: Dataset) -> tuple[Dataset, Dataset]:
        """A half for the weights, and one for what weighs."""
        return data.split(0.5)

    def learner(self, plan: Plan) -> Together:
        """What weighs learns from examples that are drawn of its own half, and then the weights from a batch."""
        recipe, schedule, target = plan.arguments(self.graph)
        search = Recipe(Adam(beta1=0.5), recipe.objective), Schedule(self.rate, schedule.steps)
        trainer = Differentiable(self.supernet, recipe, schedule, *search, target, **plan.options())

        def learn(*arrays: Array) -> float:
            rng: Any = np.random.default_rng((plan.seed, trainer.steps, 2))
            places = rng.choice(len(plan.other), min(len(arrays[0]), len(plan.other)), replace=False)
            return trainer.train(arrays, plan.other.taken(places).arrays)[0]

        return self.together(plan, trainer, learn)


@dataclass(frozen=True)
class Sliced(Sharing):
    """The weights of every member are parts of those of the largest.

    In a step learn the largest, the smallest and `others` that are drawn, of which all but the largest learn from what
    that one gives where it gives classes; or with `draw` sampled those that are drawn alone, from the targets.
    """

    draw: str = "sandwich"
    others: int = 2

    def __post_init__(self) -> None:
        _named(self.draw, SLICES)

    @cached_property
    def slices(self) -> Slices:
        """The members as slices. Raises E975 where they are none."""
        found = Slices(self.model)
        found.check()
        return found

    @property
    def graph(self) -> Graph:
        """The largest member."""
        return self.slices.graph

    def child(
        self,
        member: Member,
        weights: Mapping[str, Any],
        batches: Iterable[Sequence[Any]] | None = None,
        *,
        backend: str = "numpy",
    ) -> Child:
        """A member with its part of the weights. Raises E952, E975."""
        return self.slices.child(member, weights, batches, backend=backend)

    def learner(self, plan: Plan) -> Together:
        """Several members learn in a step. Raises E973 where there are no targets."""
        recipe, schedule, target = plan.arguments(self.graph)
        if target is None:
            raise error("E973", "slices learn from targets, and the examples have none", hint="take another kind")
        taught = Logits(1.0) if self.draw == "sandwich" and recipe.objective.loss == "cross_entropy" else None
        options: dict[str, Any] = {**plan.options(), "weights": plan.weights or init(self.graph, plan.seed, plan.dtype)}
        trainer = SliceTrainer(
            self.slices,
            recipe=recipe,
            schedule=schedule,
            target=target,
            draw=SLICES[self.draw](self.others),
            taught=taught,
            compiled=plan.programs or COMPILED,
            **options,
        )
        return self.together(plan, trainer, lambda *arrays: trainer.train(*arrays)[0])


KINDS: Mapping[str, type[Sharing]] = {"paths": Paths, "several": Several, "mixture": Mixture, "slices": Sliced}


def _by_paths(kind: Sharing, supernet: Switches, draw: Draw, plan: Plan) -> Together:
    def keeping(step: int) -> Mapping[str, str]:
        member = draw(step)
        if not kind.feasible.broken(kind.costs.space.decided(member)):
            return member
        return kind.feasible.sample(np.random.default_rng((plan.seed, step, 3)))

    arguments = plan.arguments(supernet.graph)
    trainer = PathTrainer(supernet, keeping, *arguments, **plan.options(), compiled=plan.programs)
    return kind.together(plan, trainer, trainer.train)


def usual(model: Costs) -> str:
    """The kind that suits a model: slices where choices are of numbers."""
    return "slices" if model.static else "paths"


def sharing(kind: str, model: Costs, options: Mapping[str, Any]) -> Sharing:
    """The supernet of a model that is of a kind, with options by name.

    Raises E972 for kinds and options that there are not, E973 for a model without choices.
    """
    made = KINDS[_named(kind, KINDS)]
    known: dict[str, Any] = {f.name: f.default for f in fields(made) if f.name != "model"}
    for name in options:
        if name not in known:
            hint = nearest(name, known) or f"it has {', '.join(known) or 'none'}"
            raise error("E972", f"supernets of the kind `{kind}` have no option `{printable(name)}`", hint=hint)
    given = {name: _option(name, value, known[name]) for name, value in options.items()}
    if not model.space.labels:
        raise error("E973", f"`{model.space.name}` has no choices, and so no members to share weights")
    return made(model, **given)


def kind_of(supernet: Sharing) -> str:
    """The name of its kind."""
    return next(name for name, made in KINDS.items() if type(supernet) is made)


def _option(name: str, value: Any, default: Any) -> Any:
    """An option's value. Raises E972 for one of another type than its default, or out of range."""
    match default:
        case str() if isinstance(value, str):
            return value
        case float() | int() if type(value) in (int, type(default)) and 0 <= value <= LARGEST:
            return type(default)(value)
        case _:
            what = f"the option `{name}` of a supernet cannot be {printable(str(value)[:80])}"
            raise error("E972", what, hint=f"by default it is {default}, and at most {LARGEST}")


def _named(name: str, known: Iterable[str]) -> str:
    """A name that is known. Raises E972 for others."""
    if name not in (all_ := tuple(known)):
        hint = nearest(name, all_) or f"there are {', '.join(all_)}"
        raise error("E972", f"there is no `{printable(name)}` among supernets", hint=hint)
    return name
