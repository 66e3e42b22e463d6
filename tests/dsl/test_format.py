import pytest

from architrave.dsl.format import WIDTH, format_source
from architrave.dsl.parser import parse
from architrave.ir.source import ArchitraveError, Source
from tests.dsl.samples import SOURCES


def formatted(text: str) -> str:
    return format_source(Source("test.arch", text))


@pytest.mark.parametrize("name", SOURCES)
def test_keeps_the_meaning_and_is_idempotent(name: str) -> None:
    once = formatted(SOURCES[name])
    assert parse(Source("once", once)) == parse(Source("before", SOURCES[name]))
    assert formatted(once) == once


CANONICAL = {
    "first file": '''"""A network."""
from std.conv import conv2d
from std.norm import batch_norm

block Residual(width: int, stride: int = 1)(x: [N, C, H, W]) -> [N, width, _, _] {
    """Two convolutions."""
    y = x -> conv1: conv2d(width, 3, stride = stride, bias = false)
          -> bn1: batch_norm
          -> relu
    s = x
    if stride != 1 or C != width {
        s = x -> shortcut: conv2d(width, 1)
    }
    return relu(y + s)
}

expect TinyResNet: params == 77_754
expect TinyResNet(depth = 1): output == [N, 10]
''',
    "fns": """fn silu(x: [*S]) -> [*S] = x * sigmoid(x)
fn make_divisible(v: float, by: int = 8) -> int {
    n = max(by, int(v + by / 2) // by * by)
    return if n < 0.9 * v { n + by } else { n }
}
""",
    "comments": """# A header.

# About f.
fn f(x) {  # opens
    # inside

    if a { y = 1 }
    # otherwise
    else { y = 2 }
    z = g(
        1,  # one
        # two
        2
    )

    # at the end
}

# after
""",
    "tables": """const stages = [
    (64, 3), (128, 4),
    (256, 6), (512, 3),
]
""",
}


@pytest.mark.parametrize("name", CANONICAL)
def test_canonical_text_stays(name: str) -> None:
    assert formatted(CANONICAL[name]) == CANONICAL[name]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("const  a=-1\n\n\n\nconst b : int=a**-2", "const a = -1\n\nconst b: int = a ** -2\n"),
        ("const a = x [ 1 : 2 , : , ... ]", "const a = x[1:2, :, ...]\n"),
        ("const a = 0 .. n-1", "const a = 0..n - 1\n"),
        ("const a = ( x )=>x @ y", "const a = (x) => x @ y\n"),
        ("fn f ( x:[ * S ] )=x #c", "fn f(x: [*S]) = x  #c\n"),
        ("import std.a\nconst b = 1", "import std.a\n\nconst b = 1\n"),
        ("const a = f(b,\n c)", "const a = f(\n    b,\n    c\n)\n"),
        ("const a = x->f\n->g", "const a = x -> f\n            -> g\n"),
        ("const a = x\n->f->g", "const a = x\n    -> f\n    -> g\n"),
        ("@keep\n\nconst a = 1", "@keep\nconst a = 1\n"),
        ("fn f(x) { return x }", "fn f(x) { return x }\n"),
        ("fn f(x) {\n}", "fn f(x) { }\n"),
        ("fn f(x) {\n\n\n return x\n\n}", "fn f(x) {\n    return x\n}\n"),
        ("const a = choice { b: 1,\nc: 2 }", "const a = choice {\n    b: 1,\n    c: 2\n}\n"),
        ('fn f() {\n"""a\n     b"""\n}', 'fn f() {\n    """a\n    b\n    """\n}\n'),
        ("const a = 1\r\nconst b = 2\t\r\n", "const a = 1\nconst b = 2\n"),
    ],
)
def test_layout(text: str, expected: str) -> None:
    assert formatted(text) == expected
    assert formatted(expected) == expected


def test_long_lines_break_at_the_pipe_or_at_commas() -> None:
    pipe = formatted("const a = x" + " -> conv2d(64, 3)" * 8)
    call = formatted("const a = f(" + "argument, " * 20 + "1)")
    for text in (pipe, call):
        assert max(map(len, text.splitlines())) <= WIDTH
        assert formatted(text) == text
    assert pipe.count("\n            -> ") == 7
    assert call.count("\n    argument,") == 20


def test_what_does_not_parse_is_not_formatted() -> None:
    with pytest.raises(ArchitraveError):
        formatted("const a =")
