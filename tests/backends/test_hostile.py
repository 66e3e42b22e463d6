"""Nothing that a `.arch` file says becomes code in a program."""

import ast

import pytest

from architrave.backends.base import backend
from architrave.backends.code import literal, text_literal
from architrave.backends.docstrings import docstring
from architrave.backends.load import load
from architrave.backends.names import class_name, function_name, identifier
from architrave.ir import build
from architrave.ir.graph import Graph
from architrave.ir.ops.leaves import Initial
from architrave.ir.place import Block, Place, marked
from architrave.ir.source import Source, Span

ATTACK = '__import__("os").system("touch PWNED")'
TEXTS = [
    ATTACK,
    f'"""\n{ATTACK}\n"""',
    f'\\"""; {ATTACK} #',
    f"'); {ATTACK}; ('",
    f"x\n{ATTACK}",
    f"x\r{ATTACK}",
    f"x\x0c\u2028\u2029{ATTACK}",
    f"{{{ATTACK}}}",
    f"\\N{{LEFT CURLY BRACKET}}{ATTACK}",
    "\\",
    '"',
    "'\"\\",
    "\x00\x1b[2J",
    "\ud800",
    "class",
    "print",
    "self",
    "torch",
    "np",
    "None",
    "__class__",
    "forward",
    "training",
    "parameters",
    "_modules",
    "state_dict",
    "weight",
    "",
    "é\u0338",
    "ﬁ",
    "9",
    "x" * 5000,
]
BACKENDS = ("numpy", "torch", "jax")


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_text_stays_text(text):
    assert ast.literal_eval(text_literal(text)) == text
    assert ast.literal_eval(str(literal((text, [text])))) == (text, [text])
    body = ast.parse(f"{docstring(text)}\n").body
    assert [type(s) for s in body] == [ast.Expr]
    assert isinstance(ast.literal_eval(docstring(text, "    ").strip()), str)


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
@pytest.mark.parametrize("mangle", [identifier, class_name, function_name])
def test_names_are_identifiers(mangle, text):
    name = mangle(text)
    assert name.isidentifier()
    assert name.isascii()
    assert len(name) < 100
    ast.parse(f"{name} = 1")
    assert name not in dir(__builtins__)


def test_only_plain_values_have_literals():
    for value in (object(), {"a": 1}, int, b"bytes"):
        with pytest.raises(TypeError):
            literal(value)
    for number in (float("inf"), -float("inf"), -0.0, 1e300, 10**40, True, None):
        assert repr(eval_literal(number)) == repr(number)


def eval_literal(number):
    text = str(literal(number)).replace("float('inf')", "1e999")
    return ast.literal_eval(text)


def hostile_graph(text: str) -> Graph:
    """A network where everything that can have a name or a text has this one."""
    source = Source(text.replace("\ud800", "?"), "line\n" * 3)
    span = Span(source, 0, 3)
    segment = text.replace(".", "_") or "empty"
    model = Place("", Block("model", text, text, span))
    block = Block("block", text, text, span, ((text, 4),), (text,))
    fn = Block("fn", text, text, span, ((text, 2),), (text,))
    x = build.input(text, "[N, 4]")
    with marked(place=model, span=span):
        y = (x * 2.0).named(text)
    weights = []
    for number in range(2):
        place = Place(f"{segment}.{number}", block, model, span)
        with marked(place=place, span=span):
            weights.append(build.param(f"{segment}.{number}.{segment}", "[4, 4]", Initial("ones")))
            weights.append(build.state(f"{segment}.{number}.{segment}s", "[4]", Initial("zeros")))
            y = (build.matmul(y, weights[-2]) + weights[-1]).named(text)
        with marked(place=Place("", fn, place, span), span=span):
            for _ in range(3):
                y = (build.exp(y) * 0.5).named(text)
    with marked(place=model, span=span):
        kept = build.mean(y, axes=[0]).named(text)
    return Graph(text, (x,), (y,), tuple(weights), ((weights[1], kept),), place=model)


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
@pytest.mark.parametrize("target", BACKENDS)
def test_programs_of_hostile_networks(target, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    graph = hostile_graph(text)
    emitted = backend(target).emit(graph)
    emitted.encode("utf-8")
    tree = ast.parse(emitted)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert "__import__" not in names
    assert "system" not in attributes
    if target == "numpy":
        load(emitted, "hostile").init(0)
    assert not (tmp_path / "PWNED").exists()


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_hostile_paths_are_the_keys_of_the_state_dict(text):
    torch = pytest.importorskip("torch")
    graph = hostile_graph(text)
    program = load(backend("torch").emit(graph), "hostile")
    model = program.Model()
    assert sorted(model.state_dict()) == sorted(w.op.path for w in graph.weights)
    program.init(model, 0)
    assert model(torch.zeros(2, 4)).shape == (2, 4)
