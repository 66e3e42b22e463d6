"""A NumPy or JAX program: its functions, each written once, and what they share."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from architrave.backends.base import Rules
from architrave.backends.code import literal, sequence, text_literal
from architrave.backends.definitions import Definition, define
from architrave.backends.docstrings import docstring
from architrave.backends.functional.initial import Initial
from architrave.backends.functional.text import by_level, function, static, unmerged
from architrave.backends.functional.writer import FunctionWriter
from architrave.backends.hierarchy import Region, recover
from architrave.backends.merge import Merged, Template, merge, template
from architrave.backends.names import Names, function_name
from architrave.backends.prelude import Prelude
from architrave.ir.dims import Size
from architrave.ir.graph import Graph
from architrave.ir.mode import updates_in_inference
from architrave.ir.ops.leaves import Constant
from architrave.ir.place import Place
from architrave.ir.source import error
from architrave.ir.types import DType

NEEDED = ("p", "s", "path", "training")
"""What functions may take beside tensors and numbers."""
_RESERVED = (*NEEDED, "params", "state", "init", "apply", "weights", "partial", "annotations")

_LITTLE_ENDIAN = {
    DType.BOOL: '"|b1"',
    DType.U8: '"|u1"',
    DType.I8: '"|i1"',
    DType.I16: '"<i2"',
    DType.U32: '"<u4"',
    DType.I32: '"<i4"',
    DType.I64: '"<i8"',
    DType.BF16: "ml_dtypes.bfloat16",
    DType.F16: '"<f2"',
    DType.F32: '"<f4"',
    DType.FLOAT: '"<f8"',
    DType.F64: '"<f8"',
    DType.C64: '"<c8"',
    DType.COMPLEX: '"<c16"',
    DType.C128: '"<c16"',
}
"""How NumPy writes the dtypes of stored arrays."""


@dataclass(frozen=True)
class Framework:
    """What sets one framework of functions on arrays apart from another."""

    title: str
    module: str
    """The module that has NumPy's functions: `np` or `jnp`."""
    imports: tuple[str, ...]
    dtypes: Mapping[DType, str]
    rules: Rules
    prelude: Prelude
    writer: type[FunctionWriter]
    decorator: str
    """What stands before `apply`."""
    asarray: str
    """What makes an array of the framework of a NumPy array, or of numbers."""
    notes: str
    """What the program's docstring says about the framework."""


@dataclass(frozen=True)
class Rendered:
    """How the function that was defined for a region is called."""

    name: str
    needed: tuple[str, ...] = ()
    """Which of `NEEDED` it takes."""
    missing: tuple[Size | None, ...] = ()
    """What it takes beside the region's inputs."""
    arguments: tuple[tuple[str, str], ...] = ()
    """The numbers that it takes by name."""


@dataclass
class Draft:
    """The text of one definition, before those that are alike become one."""

    definition: Definition
    text: Template
    parameters: tuple[str, ...]
    needed: tuple[str, ...]
    missing: tuple[Size | None, ...]


@dataclass
class Program:
    """Everything that is written of one graph."""

    graph: Graph
    framework: Framework
    names: Names = field(default_factory=Names)
    """Names that variables leave alone: those of definitions, as they are wanted and as they are."""
    taken: Names = field(default_factory=Names)
    """Names of definitions alone."""
    used: dict[str, None] = field(default_factory=dict[str, None])
    parts: list[str] = field(default_factory=list[str])
    """Functions, each after those that it uses."""
    constants: dict[Constant, str] = field(default_factory=dict[Constant, str])
    rendered: dict[Region, Rendered] = field(default_factory=dict[Region, Rendered])
    needs_key: bool = False
    root: Region | None = None

    @cached_property
    def stateful(self) -> bool:
        """Whether states change in inference, too."""
        return updates_in_inference(self.graph)

    @property
    def rules(self) -> Rules:
        return self.framework.rules

    def write(self) -> str:
        """The whole file."""
        root = self.root = recover(self.graph)
        definitions = define(root)
        prelude = self.framework.prelude
        self.names = Names((*_RESERVED, *prelude.definitions, *prelude.imports, "np", "jnp", "jax"))
        self.taken = Names(self.names.taken)
        for definition in set(definitions.values()):
            self.names.add(_wanted(definition.region))
        for level in by_level(definitions):
            self._level([d for d in level if d.region is not root])
        self._apply(root)
        initial = Initial(self, definitions, self.taken)
        self.parts += initial.functions(root)
        return self._file()

    def use(self, name: str) -> str:
        """Have a function of the prelude copied."""
        if name not in self.framework.prelude.definitions:
            raise LookupError(f"the prelude has no `{name}`")
        self.used[name] = None
        return name

    def constant(self, op: Constant) -> str:
        """The name of a stored array."""
        if op not in self.constants:
            self.constants[op] = self.names.fresh(f"CONSTANT_{len(self.constants) + 1}")
        return self.constants[op]

    # Functions.

    def _level(self, definitions: Sequence[Definition]) -> None:
        """Write definitions that use only what is written already; those that are alike become one."""
        groups: dict[tuple[object, ...], list[Draft]] = {}
        for definition in definitions:
            draft = self._draft(definition)
            groups.setdefault((definition.name, draft.needed, draft.parameters, draft.text.shape), []).append(draft)
        for drafts in groups.values():
            merged = merge([d.text for d in drafts], [static(d.definition) for d in drafts], self.names)
            if merged is not None:
                self._define(drafts, merged)
                continue
            for draft in drafts:
                self._define([draft], unmerged(draft.text))

    def _draft(self, definition: Definition) -> Draft:
        writer = self.framework.writer(definition.region, self, Names(self.names.taken))
        text = template("\n".join(writer.function()))
        needed = tuple(name for name in NEEDED if name in writer.needed)
        first, last = [n for n in needed if n in ("p", "s")], [n for n in needed if n not in ("p", "s")]
        parameters = (*first, *writer.parameters, *writer.missing.values(), *last)
        return Draft(definition, text, parameters, needed, tuple(writer.missing))

    def _define(self, drafts: Sequence[Draft], merged: Merged) -> None:
        region = drafts[0].definition.region
        name = self.taken.fresh(_wanted(region))
        self.names.add(name)
        body = merged.text({}).split("\n")
        self.parts.append(function(name, (*drafts[0].parameters, *merged.parameters), _doc(region.place), body))
        for draft, values in zip(drafts, merged.arguments, strict=True):
            arguments = tuple(zip(merged.parameters, values, strict=True))
            rendered = Rendered(name, draft.needed, draft.missing, arguments)
            self.rendered.update(dict.fromkeys(draft.definition.members, rendered))

    def _apply(self, root: Region) -> None:
        """Write the network itself."""
        writer = self.framework.writer(root, self, Names((*self.names.taken, "key")))
        body = writer.function()
        unknown = next((str(size) for size in writer.missing if size is not None), None)
        if unknown is not None:
            hint = "let it be the size of an axis of an input"
            raise error("E403", f"the size {unknown} cannot be told from the inputs of `{self.graph.name}`", hint=hint)
        parameters = ["params", "state", *writer.parameters, "*", "training=False"]
        if None in writer.missing:
            given = writer.precise_input()
            dtype = f"{given}.dtype" if given is not None else self.framework.dtypes[DType.F32]
            body.insert(0, f"{writer.missing[None]} = {self.framework.asarray}(0.0, {dtype})")
        if self.needs_key:
            parameters.append("key=(0, 0)")
            body.insert(0, f"key = {self.framework.asarray}(key, {self.framework.dtypes[DType.U32]})")
        if self.graph.updates:
            body.insert(0, f"state = {self.use('copied')}(state)")
        doc = f"{_doc(self.graph.place) or self.graph.name}\n\n{_signature(self.graph, self.needs_key, self.stateful)}"
        text = function("apply", parameters, doc, body)
        self.parts.append("\n".join(filter(None, (self.framework.decorator, text))))

    # The file.

    def _file(self) -> str:
        framework = self.framework
        imports, copied = framework.prelude.copied(self.used)
        stored = [f"{name} = {_stored(op)}" for op, name in self.constants.items()]
        everything = "\n".join((*self.parts, *copied, *stored))
        if "base64." in everything:
            imports.append("import base64")
        if "partial(" in everything:
            imports.append("from functools import partial")
        frameworks = [line for line in framework.imports if re.search(rf"\b{line.split()[-1]}\.", everything)]
        plain = sorted(line for line in imports if line not in framework.imports)
        head = [docstring(_about(self.graph, framework)), "", *(*plain, "") * bool(plain), *frameworks]
        if stored:
            head += ["", *stored]
        if copied:
            copied[0] = f"# What {framework.title} lacks.\n\n\n{copied[0]}"
        return "\n\n\n".join(("\n".join(head), *self.parts, *copied)) + "\n"


def _wanted(region: Region) -> str:
    return function_name(region.name or "network")


def _signature(graph: Graph, needs_key: bool, stateful: bool) -> str:
    inputs = "".join(f"{v.hint or getattr(v.op, 'label', 'x')}: {v.type}. " for v in graph.inputs)
    outputs = ", ".join(str(v.type) for v in graph.outputs)
    key = " `key` is the run's seed and step." if needs_key else ""
    results = f"{outputs} and the new state" if stateful else f"{outputs}; in training that and the new state"
    return f"{inputs}Returns {results}.{key}"


def _about(graph: Graph, framework: Framework) -> str:
    return f"{graph.name} for {framework.title}, compiled by Architrave.\n\n{framework.notes}"


def _stored(op: Constant) -> str:
    """An array as source: its bytes in base 64."""
    data = text_literal(base64.b64encode(op.data).decode("ascii"))
    shape = sequence(literal(size) for size in op.type.shape)
    return f"np.frombuffer(base64.b64decode({data}), {_LITTLE_ENDIAN[op.type.dtype]}).reshape({shape})"


def _doc(place: Place | None) -> str | None:
    return place.block.doc if place is not None and place.block is not None else None
