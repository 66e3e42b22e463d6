"""Members that keep the constraints of their model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from architrave.dsl.elaborate.constraints import Constraint
from architrave.ir import cost
from architrave.ir.source import error
from architrave.search.space.costs import Costs
from architrave.search.space.members import Member

TRIES = 10_000
"""Members that are drawn before a space counts as one without a member that keeps its constraints."""
SUMMED: Mapping[str, Callable[[Mapping[str, int]], int]] = {
    "params": lambda costs: costs["params"],
    "state": lambda costs: costs["state"],
    "macs": lambda costs: costs["macs"],
    "flops": lambda costs: 2 * costs["macs"],
}
"""What is known of a member without building it."""
Measure: TypeAlias = Callable[[Member], float]


@dataclass
class Feasible:
    """The members of a space that keep all constraints.

    `latency` measures the seconds that a member takes; without it no constraint may speak of them.
    """

    costs: Costs
    latency: Measure | None = None

    def broken(self, member: Member) -> list[Constraint]:
        """The constraints that a member does not keep."""
        return [c for c in self.costs.constraints(member) if not c.holds(self._quantities(c, member))]

    def __contains__(self, member: object) -> bool:
        return member in self.costs.space and not self.broken(member)  # type: ignore[arg-type]  # a member, if it is in

    def sample(self, rng: Any, some: Member | None = None) -> dict[str, str]:
        """A member with `some` decisions, each that keeps the constraints as likely as every other.

        Raises E954 where none is found, with the constraint that most members break and the range that they reach.
        """
        broken: dict[str, int] = {}
        for _ in range(TRIES):
            space = self.costs.space
            member = space.decided(some, rng) if some else space.sample(rng)
            found = self.broken(member)
            if not found:
                return member
            for constraint in found:
                broken[constraint.text] = broken.get(constraint.text, 0) + 1
        text = max(broken, key=lambda text: broken[text])
        raise error(
            "E954",
            f"no member of `{self.costs.space.name}` is found that keeps its constraints: "
            f"{broken[text]:,} of {TRIES:,} drawn break `{text}`",
            hint=self._reached(text),
        )

    def _quantities(self, constraint: Constraint, member: Member) -> dict[str, Any]:
        costs = self.costs.of(member)
        return {
            name: SUMMED[name](costs) if name in SUMMED else self._of_graph(name, member) for name in constraint.uses
        }

    def _of_graph(self, name: str, member: Member) -> Any:
        if name == "latency":
            if self.latency is None:
                raise error("E955", "a constraint speaks of `latency`, and nothing measures it here")
            return self.latency(member)
        graph = self.costs.member_graph(member)
        return cost.depth(graph) if name == "depth" else cost.memory(graph, self.costs.sizes).peak

    def _reached(self, text: str) -> str | None:
        named = [name for name in ("params", "macs", "state") if name in text]
        ends = [(name, self.costs.range(name)) for name in named]
        return "; ".join(f"{name} goes from {low:,} to {high:,}" for name, (low, high) in ends) or None
