"""A PyTorch program: its classes and functions, each written once, and what they share."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from architrave.backends.base import Rules
from architrave.backends.code import literal, sequence, text_literal
from architrave.backends.definitions import Definition, define
from architrave.backends.docstrings import basename, docstring
from architrave.backends.hierarchy import Region, recover
from architrave.backends.layout import wrapped
from architrave.backends.merge import Merged, Template, merge, template, unmerged
from architrave.backends.names import Names, class_name, function_name
from architrave.backends.prelude import Prelude
from architrave.backends.torch import modules
from architrave.backends.torch.initial import table
from architrave.backends.torch.patterns import standard
from architrave.backends.torch.writer import DTYPES, TorchWriter
from architrave.ir.dims import Size
from architrave.ir.graph import Graph, Node
from architrave.ir.ops.control import CustomGrad
from architrave.ir.ops.leaves import Constant
from architrave.ir.place import Place
from architrave.ir.source import error
from architrave.ir.types import DType

PRELUDE = Prelude(Path(__file__).parent / "prelude")
_RESERVED = ("torch", "nn", "F", "self", "cls", "ctx", "Model", "init", "math", "annotations")
_CUT = "\f"
"""Parts what a class is made of in the text of a class while definitions are compared."""


@dataclass(frozen=True)
class Rendered:
    """How what was defined for a region is used."""

    constructor: str
    """The expression that makes the module, or the name of the function."""
    missing: tuple[Size | None, ...] = ()
    """What it takes beside the region's inputs."""
    arguments: tuple[str, ...] = ()
    """The numbers that a function takes at the end."""


@dataclass
class Draft:
    """The text of one definition, before those that are alike become one."""

    definition: Definition
    text: Template
    parameters: tuple[str, ...]
    missing: tuple[Size | None, ...]


@dataclass
class Program:
    """Everything that is written of one graph."""

    graph: Graph
    rules: Rules
    notes: str = ""
    """What the program's docstring says at its end."""
    dissolved: frozenset[Place] = frozenset()
    names: Names = field(default_factory=Names)
    """Names that variables leave alone: those of definitions, as they are wanted and as they are."""
    taken: Names = field(default_factory=Names)
    """Names of definitions alone."""
    used: dict[str, None] = field(default_factory=dict[str, None])
    parts: list[str] = field(default_factory=list[str])
    """Classes and functions, each after those that it uses."""
    constants: dict[Constant, str] = field(default_factory=dict[Constant, str])
    rendered: dict[Region, Rendered] = field(default_factory=dict[Region, Rendered])
    needs_key: bool = False
    applied: Counter[str] = field(default_factory=Counter[str])
    """How many applications there are of each instance."""
    conflicts: set[Place] = field(default_factory=set[Place])
    """Applications whose text is another one than that of the first application of the same instance."""
    instances: dict[str, Rendered] = field(default_factory=dict[str, Rendered])

    def write(self) -> str:
        """The whole file."""
        root = recover(self.graph, self.dissolved)
        definitions = define(root)
        self.names = Names((*_RESERVED, *PRELUDE.definitions, *PRELUDE.imports))
        for definition in set(definitions.values()):
            self.names.add(_wanted(definition.region))
        self.applied = Counter(region.path for region in definitions if not region.is_function)
        self.taken = Names((*_RESERVED, *PRELUDE.definitions))
        for level in _by_level(definitions):
            self._level([d for d in level if d.region is not root])
            if self.conflicts:
                return Program(self.graph, self.rules, self.notes, self.dissolved | self.conflicts).write()
        main = self.taken.fresh(_wanted(root) if root.name else class_name(self.graph.name))
        self._main(root, definitions[root], main)
        return self._file(main)

    def use(self, name: str) -> str:
        """Have a function of the prelude copied."""
        if name not in PRELUDE.definitions:
            raise LookupError(f"the prelude has no `{name}`")
        self.used[name] = None
        return name

    def constant(self, op: Constant) -> str:
        """The name of a stored array."""
        if op not in self.constants:
            self.constants[op] = self.names.fresh(f"CONSTANT_{len(self.constants) + 1}")
        return self.constants[op]

    def gradient(self, node: Node, bodies: Sequence[Region]) -> str:
        """Write a function with a gradient of its own; gives the name of its class."""
        op = node.op
        if not isinstance(op, CustomGrad):
            raise TypeError(f"{op.name} has no gradient of its own")
        forward, backward = (TorchWriter(body, self, Names(self.names.taken)) for body in bodies)
        steps, back = forward.function(), backward.function()
        count = len(node.operands)
        given = ", ".join(forward.parameters)
        saved = ", ".join(backward.parameters[:count])
        gradients = ", ".join(backward.parameters[count:])
        if op.differentiable < count and back:
            back[-1] += ", None" * (count - op.differentiable)
        name = self.names.fresh(class_name(op.label))
        self.taken.add(name)
        doc = node.place.block.doc if node.place is not None and node.place.block is not None else None
        lines = [
            f"class {name}(torch.autograd.Function):",
            docstring(doc or "A function with a gradient of its own.", "    "),
            "",
            "    @staticmethod",
            f"    def forward(ctx, {given}):",
            f"        ctx.save_for_backward({given})",
            *(f"        {line}" for line in steps),
            "",
            "    @staticmethod",
            f"    def backward(ctx, {gradients}):",
            f"        {saved if count > 1 else f'({saved},)'} = ctx.saved_tensors",
            *(f"        {line}" for line in back),
        ]
        self.parts.append("\n".join(lines))
        return name

    # Definitions.

    def _level(self, definitions: Sequence[Definition]) -> None:
        """Write definitions that use only what is written already; those that are alike become one."""
        groups: dict[tuple[object, ...], list[Draft]] = {}
        for definition in definitions:
            known = standard(definition.region, self)
            if known is not None:
                self._settle(definition, Rendered(known))
                continue
            draft = self._draft(definition)
            block = definition.region.place.block if definition.region.place is not None else None
            what = (definition.name, block.kind if block is not None else "", len(draft.missing))
            groups.setdefault((*what, draft.text.shape), []).append(draft)
        for drafts in groups.values():
            merged = merge([d.text for d in drafts], [_static(d.definition) for d in drafts], self.names)
            if merged is not None:
                self._define(drafts, merged)
                continue
            for draft in drafts:
                self._define([draft], unmerged(draft.text))

    def _draft(self, definition: Definition) -> Draft:
        region = definition.region
        writer = TorchWriter(region, self, Names(self.names.taken))
        body = writer.function()
        text = template(_text(writer, body))
        missing = tuple(writer.missing)
        return Draft(definition, text, (*writer.parameters, *writer.missing.values()), missing)

    def _define(self, drafts: Sequence[Draft], merged: Merged) -> None:
        region = drafts[0].definition.region
        name = self.taken.fresh(_wanted(region))
        self.names.add(name)
        doc = region.place.block.doc if region.place is not None and region.place.block is not None else None
        if region.is_function:
            body = merged.text({}).split(_CUT)[3].split("\n")
            self.parts.append(_function(name, (*drafts[0].parameters, *merged.parameters), doc, body))
        else:
            self.parts.append(_class(name, drafts[0].parameters, merged, doc))
        for draft, arguments in zip(drafts, merged.arguments, strict=True):
            if region.is_function:
                rendered = Rendered(name, draft.missing, arguments)
            else:
                options = ", ".join(f"{p}={a}" for p, a in zip(merged.parameters, arguments, strict=True))
                rendered = Rendered(f"{name}({options})", draft.missing)
            self._settle(draft.definition, rendered)

    def _settle(self, definition: Definition, rendered: Rendered) -> None:
        """Remember how to use a definition; applications of one instance must all use one."""
        for region in definition.members:
            self.rendered[region] = rendered
            if region.is_function or region.place is None:
                continue
            first = self.instances.setdefault(region.path, rendered)
            if first.constructor != rendered.constructor:
                self.conflicts.update(self._shared(region))

    def _shared(self, region: Region) -> Iterator[Place]:
        """The places of an application, and of those around it, of instances that are applied more than once."""
        around: Region | None = region
        while around is not None and around.place is not None and self.applied[around.path] > 1:
            yield around.place
            around = around.parent

    def _main(self, root: Region, definition: Definition, name: str) -> None:
        writer = TorchWriter(root, self, Names({*self.names.taken, "key"}))
        body = writer.function()
        unknown = next((str(size) for size in writer.missing if size is not None), None)
        if unknown is not None:
            raise error(
                "E403",
                f"the size {unknown} cannot be told from the inputs of `{self.graph.name}`",
                hint="let it be the size of an axis of an input",
            )
        parameters = list(writer.parameters)
        unsigned = [p for p, v in zip(parameters, root.inputs, strict=True) if v.dtype is DType.U32]
        body = [*(f"{p} = {p}.to({DTYPES[DType.U32]})" for p in unsigned), *body]
        if None in writer.missing:
            given = writer.precise_input()
            options = f", dtype={given}.dtype, device={given}.device" if given is not None else ""
            body.insert(0, f"{writer.missing[None]} = torch.empty(0{options})")
        if self.needs_key:
            parameters.append("key=None")
            device = f"{writer.parameters[0]}.device" if writer.parameters else "None"
            body.insert(0, f"key = {self.use('run_key')}(key, {device})")
        after = ["set_places(self)"] if "set_places" in self.used else []
        block = self.graph.place.block if self.graph.place is not None else None
        text = template(_text(writer, body, after))
        self.parts.append(_class(name, parameters, unmerged(text), block.doc if block is not None else None))

    def _file(self, main: str) -> str:
        initial = ""
        if self.graph.weights:
            initial = table(self.graph.weights, self.use)
            self.use("init")
        imports, copied = PRELUDE.copied(self.used)
        copied = [initial if text.startswith("INITIAL") else text for text in copied]
        stored = [f"{name} = {_stored(op)}" for op, name in self.constants.items()]
        if stored:
            imports = sorted({*imports, "import base64"})
        everything = "\n".join((*copied, *self.parts))
        plain = sorted(
            (line for line in imports if "torch" not in line), key=lambda line: (line.startswith("from"), line)
        )
        frameworks = ["import torch"]
        if "F." in everything:
            frameworks.append("import torch.nn.functional as F")
        frameworks.append("from torch import nn")
        head = [docstring(_about(self.graph, main) + self.notes), "", *(*plain, "") * bool(plain), *frameworks]
        if stored:
            head += ["", *stored]
        if copied:
            copied[0] = f"# What PyTorch lacks, or means otherwise.\n\n\n{copied[0]}"
        sections = ["\n".join(head), *self.parts, *copied, f"Model = {main}"]
        return "\n\n\n".join(sections) + "\n"


def _by_level(definitions: dict[Region, Definition]) -> list[list[Definition]]:
    levels: dict[int, dict[Definition, None]] = {}
    for definition in definitions.values():
        levels.setdefault(definition.level, {})[definition] = None
    return [sorted(levels[level], key=lambda d: d.index) for level in sorted(levels)]


def _wanted(region: Region) -> str:
    name = region.name or "Network"
    return function_name(name) if region.is_function else class_name(name)


def _text(writer: TorchWriter, body: Sequence[str], after: Sequence[str] = ()) -> str:
    """The parts of a class: the kind of module, where it draws random numbers, `__init__`, and `forward`."""
    tree, sequential = writer.tree, frozenset(writer.sequential)
    draws = ", ".join(map(text_literal, writer.draws))
    if tree.is_list and tree.is_expression:
        elements = (f"    {line}" for line in modules.elements(tree, sequential))
        kind, making = "nn.Sequential", ["super().__init__(", *elements, ")"]
    else:
        kind, making = "nn.Module", ["super().__init__()", *modules.lines(tree, sequential)]
    parts = (kind, f"draws = [{draws}]" if draws else "", "\n".join([*making, *after]), "\n".join(body))
    return _CUT.join(parts)


def _static(definition: Definition) -> dict[str, object]:
    place = definition.region.place
    return dict(place.block.arguments) if place is not None and place.block is not None else {}


def _function(name: str, parameters: Sequence[str], doc: str | None, body: Sequence[str]) -> str:
    lines = [f"def {name}({', '.join(parameters)}):"]
    if doc:
        lines.append(docstring(doc, "    "))
    return "\n".join([*lines, *_indented(body, 4)])


def _indented(lines: Iterable[str], by: int) -> Iterator[str]:
    for line in lines:
        yield from wrapped(" " * by + line)


_DEFAULT = re.compile(
    r", (?:stride=~1|padding=~0|output_padding=~0|dilation=~1|groups=~1|bias=~True|eps=~1e-05)(?=[,)])"
)


def _class(name: str, parameters: Sequence[str], merged: Merged, doc: str | None) -> str:
    """A class; numbers that its `forward` needs are kept as attributes."""
    kept = {p: f"self.{p}" for p in merged.parameters}
    kind, draws, making, _ = merged.text({}).split(_CUT)
    # Arguments of standard modules that are what they are by default were there only to be compared.
    making = _DEFAULT.sub("", making).replace("=~", "=")
    forward = merged.text(kept).split(_CUT)[3]
    attributes = [f"{kept[p]} = {p}" for p in merged.parameters if re.search(rf"{kept[p]}\b", forward)]
    lines = [f"class {name}({kind}):"]
    if doc:
        lines += [docstring(doc, "    "), ""]
    if draws:
        lines += [f"    {draws}", ""]
    if attributes or making != "super().__init__()":
        lines.append(f"    def __init__({', '.join(('self', *merged.parameters))}):")
        first, *rest = making.split("\n") if kind == "nn.Module" else [making]
        lines += [*_indented([*first.split("\n"), *attributes, *rest], 8), ""]
    lines.append(f"    def forward({', '.join(('self', *parameters))}):")
    return "\n".join([*lines, *_indented(forward.split("\n"), 8)])


def _about(graph: Graph, main: str) -> str:
    inputs = ", ".join(f"{v.hint or 'x'}: {v.type}" for v in graph.inputs)
    outputs = ", ".join(str(v.type) for v in graph.outputs)
    place = graph.place
    file = place.block.span.source.name if place is not None and place.block is not None and place.block.span else ""
    source = f" from {basename(file)}" if file else ""
    return (
        f"{main} for PyTorch, compiled by Architrave{source}.\n\n"
        f"    {main}({inputs}) -> {outputs}\n\n"
        "The keys of its `state_dict` are the paths of the weights. It computes in the precision of its weights:\n"
        "`.double()` and `.bfloat16()` change that."
    )


def _stored(op: Constant) -> str:
    """An array as source: its bytes in base 64, or its numbers where they are few."""
    dtype = DTYPES[DType.F64 if op.type.dtype is DType.FLOAT else op.type.dtype]
    stored = _widened(op.data) if op.type.dtype is DType.U32 else op.data
    data = text_literal(base64.b64encode(stored).decode("ascii"))
    shape = sequence(literal(size) for size in op.type.shape)
    return f"torch.frombuffer(bytearray(base64.b64decode({data})), dtype={dtype}).reshape({shape})"


def _widened(data: bytes) -> bytes:
    """Unsigned numbers of 32 bits as PyTorch programs hold them: in 64 bits."""
    return b"".join(data[i : i + 4] + bytes(4) for i in range(0, len(data), 4))
