"""A whole `.arch` file: its blocks, each written once, and the model."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from architrave.backends.arch.conflicts import Torn, misplaced
from architrave.backends.arch.control import ControlBody, function
from architrave.backends.arch.expression import NAMES
from architrave.backends.arch.layout import docstring, laid_out
from architrave.backends.arch.library import Import, Library, imported
from architrave.backends.arch.merging import Merged, Template, merged, template
from architrave.backends.arch.paths import is_plain
from architrave.backends.arch.scope import Scope
from architrave.backends.definitions import Definition, define
from architrave.backends.functional.text import by_level, static
from architrave.backends.hierarchy import Region, recover
from architrave.backends.hierarchy.inputs import named
from architrave.backends.names import Names
from architrave.ir import dims
from architrave.ir.dims import Dim, Size
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.nested import innermost_first, leaves
from architrave.ir.notation import KEYWORDS, fact_lines, identifier, is_default
from architrave.ir.op import Op
from architrave.ir.ops.leaves import Param, State
from architrave.ir.ops.random import RunKey
from architrave.ir.place import Fact, Place


@dataclass(frozen=True)
class Rendered:
    """How the block that was written for a region is called."""

    name: str
    arguments: tuple[tuple[str, str], ...] = ()
    sizes: tuple[tuple[str, Size], ...] = ()
    source: Import | None = None

    def call(self, scope: Scope, always: bool) -> str:
        if self.source is not None:
            listed = ", ".join(self.source.given(scope.size))
            return f"{self.name}({listed})" if listed or always else self.name
        given = [*self.arguments, *((name, scope.size(size)) for name, size in self.sizes)]
        if len(given) == 1:
            return f"{self.name}({given[0][1]})"
        listed = ", ".join(f"{name} = {value}" for name, value in given)
        return f"{self.name}({listed})" if listed or always else self.name


@dataclass
class Draft:
    """The text of one definition, before those that are alike become one."""

    definition: Definition
    text: Template
    sizes: tuple[tuple[str, Size], ...]


@dataclass
class Program:
    """Everything that is written of one graph; raises `Torn` for places that cannot be blocks."""

    graph: Graph
    dissolved: Collection[Place]
    library: Library | None = None
    root: Region = field(init=False)
    taken: set[str] = field(init=False)
    """The names of blocks and fns, which no variable has."""
    _names: Names = field(init=False)
    """The names that blocks and fns have already."""
    rendered: dict[Region, Rendered] = field(default_factory=dict[Region, Rendered])
    parts: list[str] = field(default_factory=list[str])
    _facts: dict[Region, tuple[Fact, ...]] = field(default_factory=dict[Region, tuple[Fact, ...]])
    _shown: dict[tuple[str, str], set[str]] = field(default_factory=dict[tuple[str, str], set[str]])
    _imports: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    _functions: dict[Hashable, str] = field(default_factory=dict[Hashable, str])

    def __post_init__(self) -> None:
        self.root = recover(self.graph, set(self.dissolved))
        self.taken = set(NAMES)
        self._names = Names((*KEYWORDS, *NAMES, identifier(self.graph.name)))

    def write(self) -> str:
        """The whole file."""
        places = misplaced(self.root)
        if places:
            raise Torn(places)
        self._survey()
        definitions = define(self.root, self._also)
        self.taken |= {_wanted(d.region) for d in set(definitions.values())}
        written = self._import(definitions)
        for level in by_level(definitions):
            self._level([d for d in level if d in written])
        model = ControlBody(self.root, self, self.graph.symbols)
        head, *lines = model.text()
        constraints = [f"    constraint {' '.join(str(c).split())}" for c in self.graph.constraints]
        header = f"model {identifier(self.graph.name)}(){head}"
        self._part(fact_lines(self.graph.facts), header, self.graph.place, [*constraints, *lines])
        return "\n".join(self.parts)

    # What bodies ask for.

    def callee(self, region: Region, scope: Scope, always: bool = False) -> str:
        """A block with its static arguments, as the code of `scope` writes it."""
        return self.rendered[region].call(scope, always)

    def facts(self, region: Region) -> tuple[Fact, ...]:
        """The annotations that all nodes of a region have."""
        return self._facts.get(region, self.graph.facts)

    def shown(self, region: Region, op: Op) -> Collection[str]:
        """The attributes of an operator that are written in all blocks of the region's name."""
        return self._shown.get((_base(region), op.name), ())

    def shared(self, region: Region) -> dict[str, Region]:
        """The instances that a region applies more than once, by their paths in it."""
        found: dict[str, list[Region]] = {}
        for inner in region.regions():
            found.setdefault(region.relative(inner.path), []).append(inner)
        several = {path: regions for path, regions in found.items() if len(regions) > 1}
        for path, regions in several.items():
            called = {self.rendered[r] for r in regions}
            if len(called) > 1 or not is_plain(path) or path in self.taken:
                raise Torn({r.place for r in regions if r.place is not None})
        return {path: regions[0] for path, regions in several.items()}

    def inputs(self, region: Region) -> Mapping[Value, str]:
        """What a block calls its inputs."""
        block = region.place.block if region.place is not None else None
        tensors = [v for v in region.inputs if not isinstance(v.op, Param | State | RunKey)]
        if block is None or len(region.names) == len(tensors):
            return region.names
        declared = tuple(name for name in block.inputs if name not in _weight_names(region))
        return named(tensors, declared)

    def only_here(self, region: Region) -> None:
        """Something in a region cannot be said in a block."""
        places: set[Place] = set()
        while region.parent is not None:
            places |= {region.place} if region.place is not None else set()
            region = region.parent
        if places:
            raise Torn(places)

    def symbols(self, graphs: Sequence[Graph]) -> tuple[str, ...]:
        """The symbolic sizes in the text of graphs."""
        found: dict[str, None] = {}
        for graph in graphs:
            for part in innermost_first(graph):
                for node in part.nodes:
                    for leaf in (x for name in node.op.attributes for x in leaves(getattr(node.op, name))):
                        if isinstance(leaf, Dim):
                            found.update(dict.fromkeys(sorted(dims.symbols(leaf))))
        return tuple(found)

    def function(
        self,
        bodies: Sequence[Region],
        graphs: Sequence[Graph],
        label: str,
        symbols: Sequence[str],
        facts: tuple[Fact, ...],
        around: Names,
        used: Sequence[int] | None = None,
    ) -> str:
        """The name of the fn that a sub-graph becomes, with its gradient, if that is the second.

        `symbols` are the sizes that it is given, `around` the names of the code that uses it, `used` the inputs that
        the fn takes, if not all.
        """
        key = (label, tuple(graphs), tuple(symbols), facts, tuple(used or ()))
        if key not in self._functions:
            name = Names(self.taken | self._names.taken | around.taken).fresh(identifier(label))
            self._functions[key] = name
            self._names.add(name)
            self.taken.add(name)
            around.add(name)
            lines = function(bodies, self, symbols, facts, used)
            head, *rest = [found for line in lines for found in laid_out(line)]
            self.parts.append("\n".join([f"fn {name}{head}", *rest, "}", ""]))
        return self._functions[key]

    # What is known before anything is written.

    def _survey(self) -> None:
        """Find the annotations that regions share, and the attributes that blocks of one name show."""
        pending = [(self.root, False)]
        while pending:
            region, done = pending.pop()
            if not done:
                pending += [(region, True), *((inner, False) for inner in region.regions())]
                continue
            nodes = list(_nodes(region))
            facts = [n.facts for n in nodes] + [w.node.facts for w in region.weights]
            facts += [self._facts[inner] for inner in region.regions()]
            self._facts[region] = _common(facts) if region is not self.root else self.graph.facts
            for node in nodes:
                self._show(region, node.op)

    def _show(self, region: Region, op: Op) -> None:
        if region is self.root:
            return
        defaults = {f.name: f.default for f in dataclasses.fields(op)}  # type: ignore[arg-type]  # every operator is one
        shown = {n for n in op.attributes if not is_default(getattr(op, n), defaults[n])}
        self._shown.setdefault((_base(region), op.name), set()).update(shown)

    def _also(self, region: Region, item: Node | Region) -> Hashable:
        """What else makes items differ: their annotations, and how weights start."""
        around = len(self.facts(region))
        if isinstance(item, Region):
            return repr(self.facts(item)[around:])
        initial = item.op.initial if isinstance(item.op, Param | State) else None
        return (repr(item.facts[around:]), item.op.name if initial is not None else None, initial)

    # Blocks.

    def _import(self, definitions: Mapping[Region, Definition]) -> set[Definition]:
        """Import what the library has, from the outside in; gives the definitions that are left to write."""
        seen: dict[Definition, bool] = {definitions[self.root]: False}
        modules: dict[str, list[str]] = {}
        pending = [self.root]
        while pending:
            for inner in pending.pop().regions():
                definition = definitions[inner]
                if definition in seen:
                    continue
                source = imported(definition.region, self.library) if self.library is not None else None
                seen[definition] = source is None
                if source is None:
                    pending.append(definition.region)
                    continue
                name = self._imported_name(source, modules)
                self.rendered.update(dict.fromkeys(definition.members, Rendered(name, source=source)))
        if modules:
            lines = [f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(modules.items())]
            self.parts.append("\n".join([*lines, ""]))
        return {definition for definition, is_written in seen.items() if is_written}

    def _imported_name(self, source: Import, modules: dict[str, list[str]]) -> str:
        """What the file calls a block that it imports."""
        key = (source.module, source.name)
        if key not in self._imports:
            self._imports[key] = name = self._names.fresh(source.name)
            self.taken.add(name)
            shown = source.name if name == source.name else f"{source.name} as {name}"
            modules.setdefault(source.module, []).append(shown)
        return self._imports[key]

    def _level(self, definitions: Sequence[Definition]) -> None:
        """Write definitions that use only what is written already; those that are alike become one."""
        groups: dict[Hashable, list[Draft]] = {}
        for definition in definitions:
            draft = self._draft(definition)
            key = (definition.name, _doc(definition.region), tuple(n for n, _ in draft.sizes), draft.text.shape)
            groups.setdefault(key, []).append(draft)
        for drafts in groups.values():
            whole = merged([d.text for d in drafts], [static(d.definition) for d in drafts])
            if whole is not None:
                self._define(drafts, whole)
                continue
            for draft in drafts:
                self._define([draft], Merged.single(draft.text))

    def _draft(self, definition: Definition) -> Draft:
        body = ControlBody(definition.region, self)
        lines = body.text()
        sizes = tuple((name, size) for size, name in body.missing.items())
        return Draft(definition, template(lines), sizes)

    def _define(self, drafts: Sequence[Draft], whole: Merged) -> None:
        region = drafts[0].definition.region
        name = self._names.fresh(_wanted(region))
        self.taken.add(name)
        sizes = [f"{n}: int" for n, _ in drafts[0].sizes]
        static_ = ", ".join([*(f"{n}: {kind}" for n, kind in whole.parameters), *sizes])
        head, *lines = whole.lines
        self._part([], f"block {name}({static_}){head}", region.place, lines)
        for draft, values in zip(drafts, whole.arguments, strict=True):
            arguments = tuple((n, v) for (n, _), v in zip(whole.parameters, values, strict=True))
            rendered = Rendered(name, arguments, draft.sizes)
            self.rendered.update(dict.fromkeys(draft.definition.members, rendered))

    def _part(self, facts: Sequence[str], header: str, place: Place | None, lines: Sequence[str]) -> None:
        doc = place.block.doc if place is not None and place.block is not None else None
        found = [*facts, *laid_out(header)]
        if doc:
            found.append(docstring(doc, "    "))
        found += [part for line in lines for part in laid_out(line)]
        self.parts.append("\n".join([*found, "}", ""]))


def _wanted(region: Region) -> str:
    return identifier(region.name or "Block")


def _base(region: Region) -> str:
    """The name of a block, without the number that tells it from another."""
    return re.sub(r"_\d+$", "", region.name)


def _doc(region: Region) -> str | None:
    return region.place.block.doc if region.place is not None and region.place.block is not None else None


def _weight_names(region: Region) -> set[str]:
    return {v.op.path.rpartition(".")[2] for v in region.inputs if isinstance(v.op, Param | State)}


def _nodes(region: Region) -> Iterator[Node]:
    """The nodes of a region and of the sub-graphs in it, but not those of the regions inside."""
    pending = [region]
    while pending:
        part = pending.pop()
        for item in part.items:
            if isinstance(item, Node):
                yield item
                pending += part.bodies.get(item, ())


def _common(facts: Sequence[tuple[Fact, ...]]) -> tuple[Fact, ...]:
    """What all of them begin with."""
    if not facts:
        return ()
    shortest = min(facts, key=len)
    return next((shortest[:n] for n in range(len(shortest), 0, -1) if all(f[:n] == shortest[:n] for f in facts)), ())
