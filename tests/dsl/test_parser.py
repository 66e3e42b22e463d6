import subprocess
import sys
from importlib import resources

import pytest

from architrave.dsl import syntax
from architrave.dsl.parser import MAX_ERRORS, parse, write_tables
from architrave.dsl.syntax import MAX_DEPTH
from architrave.dsl.tables import load_tables
from architrave.ir.source import ArchitraveError, Source
from tests.dsl.samples import SOURCES, body


def parsed(text: str) -> syntax.File:
    return parse(Source("test.arch", text))


def value(text: str) -> syntax.Expression:
    (declaration,) = parsed(f"const c = {text}").declarations
    assert isinstance(declaration, syntax.Const)
    return declaration.value


def statement(text: str) -> syntax.Statement:
    (declaration,) = parsed(body(text)).declarations
    assert isinstance(declaration, syntax.Block)
    return declaration.body[0]


def shown(node: object) -> str:
    """An expression with all parentheses."""
    match node:
        case syntax.Binary(sign, left, right):
            return f"({shown(left)} {sign} {shown(right)})"
        case syntax.Range(start, stop):
            return f"({shown(start)} .. {shown(stop)})"
        case syntax.Unary(sign, operand):
            return f"({sign} {shown(operand)})"
        case syntax.Name(text):
            return text
        case syntax.Integer(number):
            return str(number)
        case syntax.Call(callee, arguments):
            return f"{shown(callee)}({', '.join(shown(a.value) for a in arguments)})"
        case syntax.Pipe(source, stages):
            return f"({shown(source)}{''.join(' -> ' + shown(s.value) for s in stages)})"
        case syntax.Lambda(parameters, inner):
            return f"({' '.join(p.text for p in parameters)} => {shown(inner)})"
        case syntax.StageTuple(stages):
            return f"<{', '.join(shown(s.value) for s in stages)}>"
        case _:
            return type(node).__name__


def test_tables_are_current() -> None:
    written = resources.files("architrave.dsl").joinpath("grammar.json").read_text(encoding="utf-8")
    assert write_tables() == written, "run `python -m architrave.dsl.parser --write`"


def test_lark_is_not_needed_to_parse() -> None:
    program = "import sys; from architrave.dsl.parser import parse; sys.exit('lark' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_only_rules_of_one_symbol_go_without_an_action() -> None:
    assert all(rule.action is not None or rule.length == 1 for rule in load_tables().rules)


@pytest.mark.parametrize("name", SOURCES)
def test_parses(name: str) -> None:
    tree = parsed(SOURCES[name])
    assert tree == parsed(SOURCES[name] + "\n\n# after\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + b * c", "(a + (b * c))"),
        ("a - b - c", "((a - b) - c)"),
        ("(a - (b - c))", "(a - (b - c))"),
        ("a ** b ** c", "(a ** (b ** c))"),
        ("-a ** 2", "(- (a ** 2))"),
        ("2 ** -a * b", "((2 ** (- a)) * b)"),
        ("not a == b and c", "((not (a == b)) and c)"),
        ("a or b and not c", "(a or (b and (not c)))"),
        ("0..n - 1", "(0 .. (n - 1))"),
        ("a / b // c % d @ e", "((((a / b) // c) % d) @ e)"),
        ("x + y -> f", "((x + y) -> f)"),
        ("(x -> f) + y", "((x -> f) + y)"),
        ("(x) => x -> f -> g", "(x => (x -> f -> g))"),
        ("x -> (y) => y -> f", "(x -> (y => (y -> f)))"),
        ("x -> (f, g(1))", "(x -> <f, g(1)>)"),
        ("x -> (f)", "(x -> f)"),
        ("x -> (f,)", "(x -> <f>)"),
        ("x -> (f, (g, h))", "(x -> <f, <g, h>>)"),
        ("f(1)(x)", "f(1)(x)"),
        ("- -a", "(- (- a))"),
    ],
)
def test_operators_bind(text: str, expected: str) -> None:
    assert shown(value(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\n  - b", "(a - b)"),
        ("a -\n  b", "(a - b)"),
        ("a\n-> f", "(a -> f)"),
        ("f(a,\n\n  # comment\n b\n)", "f(a, b)"),
        ("(a\n+ b)", "(a + b)"),
    ],
)
def test_lines_join(text: str, expected: str) -> None:
    assert shown(value(text)) == expected


def test_an_at_sign_that_begins_a_line_is_an_annotation() -> None:
    block = parsed(body("y = a\n@keep\nz = b")).declarations[0]
    assert isinstance(block, syntax.Block)
    assert len(block.body) == 2


def test_numbers() -> None:
    assert value("1_000_000") == value("1000000")
    assert value("123456789012345678901234567890") != value("123456789012345678901234567891")
    assert isinstance(value("3"), syntax.Integer)
    assert isinstance(value("3e0"), syntax.Float)
    assert value("inf") == syntax.Float(float("inf"), span=value("inf").span)


def test_strings() -> None:
    assert value(r'"a\n\"\\"') == syntax.String('a\n"\\', span=value("1").span)


def test_instance_path() -> None:
    match value("x -> block.a[i][0]: f"):
        case syntax.Pipe(_, (syntax.Stage(syntax.Path((first, second, syntax.Name("i"), syntax.Integer(0)))),)):
            assert (first, second) == (
                syntax.Identifier("block", span=first.span),
                syntax.Identifier("a", span=second.span),
            )
        case other:
            pytest.fail(repr(other))


def test_weight_named_by_its_path() -> None:
    match statement('param "layer1.0.weight" as w: [64] = zeros'):
        case syntax.Param(syntax.Identifier("layer1.0.weight"), True, syntax.Identifier("w"), syntax.TensorType()):
            pass
        case other:
            pytest.fail(repr(other))


def test_loops() -> None:
    match statement("scan x_t in x, (a, b) in c, axis = 1, carry (h = h0), reverse = true { emit h as hs }"):
        case syntax.Scan((_, syntax.ScanSource(syntax.TupleTarget())), (carried,), (axis, reverse), (syntax.Emit(),)):
            assert [a.name.text for a in (carried, axis, reverse) if a.name] == ["h", "axis", "reverse"]
        case other:
            pytest.fail(repr(other))


def test_annotations_make_one_node() -> None:
    match statement("@keep\n@sparse(0.9) y = x"):
        case syntax.AnnotatedStatement((keep, sparse), syntax.Assign()):
            assert (keep.name.text, sparse.name.text) == ("keep", "sparse")
        case other:
            pytest.fail(repr(other))


def test_spans_cover_what_was_written() -> None:
    match statement("y = (a + b) * f(c,\n  d)"):
        case syntax.Assign(target, syntax.Binary(_, left, right, sign) as whole):
            spans = [node.span.text for node in (target, left, right, whole)]
            assert spans == ["y", "(a + b)", "f(c,\n  d)", "(a + b) * f(c,\n  d)"]
            assert sign.text == "*"
        case other:
            pytest.fail(repr(other))


def test_several_errors_are_reported() -> None:
    text = "fn f(x) {\n y = +\n return x\n}\nblock B()(x) {\n a b\n c = = 2\n\nfn g(x) = )\nconst c = 1\n"
    with pytest.raises(ArchitraveError) as caught:
        parsed(text)
    lines = [d.span.line for d in caught.value.diagnostics if d.span is not None]
    assert lines == [2, 5, 6, 7, 9]


def test_errors_are_limited() -> None:
    with pytest.raises(ArchitraveError) as caught:
        parsed("fn\n" * 1000)
    assert len(caught.value.diagnostics) == MAX_ERRORS


DEEP = 100_000


@pytest.mark.parametrize(
    "text",
    [
        "const a = " + "(" * DEEP + "1" + ")" * DEEP,
        "const a = " + "f(" * DEEP,
        "const a = " + "[" * DEEP,
        "const a = " + "- " * DEEP + "1",
        "const a = " + "1 + " * DEEP + "1",
        "const a = f" + "(1)" * DEEP,
        "const a = " + "(x) => " * DEEP + "1",
        "const a = " + "if a { " * DEEP,
        "const a = x -> " + "(" * DEEP,
        "fn f(x) {\n" + "if a {\n" * DEEP + "}\n" * DEEP + "}",
        "fn f(x: " + "(" * DEEP,
        "@a\n" * DEEP + "const a = 1",
    ],
    ids=range(12),
)
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(ArchitraveError, match="nested too deeply"):
        parsed(text)


def test_nesting_up_to_the_limit_is_safe() -> None:
    depth = MAX_DEPTH // 2 - 5
    text = "fn f(x) {\n" + "if a {\n" * depth + "}\n" * depth + "}"
    assert sys.getrecursionlimit() <= 1000
    assert parsed(text) == parsed(text)


def test_long_chains_are_not_deep() -> None:
    pipe = value("x" + " -> f" * 5000)
    assert isinstance(pipe, syntax.Pipe)
    assert len(pipe.stages) == 5000
    choices = statement("if a { }" + " else if b { }" * 5000)
    assert isinstance(choices, syntax.If)
    assert len(choices.branches) == 5001


def test_size_is_limited() -> None:
    with pytest.raises(ArchitraveError, match="the limit is"):
        parsed("(" * 50_000_000)
