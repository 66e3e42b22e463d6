"""Whatever a file says: graphs, or an `ArchitraveError`. Never another exception, never work without a bound."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from architrave.dsl.elaborate.builtins import BUILTINS
from architrave.dsl.elaborate.model import elaborate
from architrave.dsl.elaborate.values import Builtin
from architrave.dsl.expectations import check
from architrave.dsl.lexer import scan
from architrave.dsl.modules import load_file, load_text
from architrave.ir.op import OPS
from architrave.ir.source import ArchitraveError

HERE = Path(__file__).parent
LIBRARY = ("lstm_tagger", "dlrm", "unet")
LONG = ("loop_endless", "loop_nested", "list_doubling", "list_nested", "recursion_endless")


def pieces(text: str) -> list[str]:
    """A text cut into tokens, each with the blanks before it."""
    ends = [0, *(end for _, _, end in scan(text))]
    return [text[a:b] for a, b in pairwise(ends)]


def sources() -> list[list[str]]:
    everything = (HERE / "everything.arch").read_text(encoding="utf-8")
    library = [Path("architrave/stdlib", f"{name}.arch") for name in LIBRARY]
    broken = [p for p in sorted((HERE.parent / "errors").glob("*.arch")) if p.stem not in LONG]
    texts = [everything] * 20 + [(HERE.parents[1] / p).read_text(encoding="utf-8") for p in (*library, *broken)]
    return [pieces(text) for text in texts]


SOURCES = sources()
ODD = (
    "none inf (inf-inf) -1 0 (2**63) (10**300) (10**30) 0.5 1e308 'a' '' 'constant' 'n c->c n' [] [1] [0,1,2] [-1]"
    " [[0,0],[1,1]] ['a'] [none] [x] (x,x) (x,) [[x]] [N] [N,-1] true x i m N (N+1) (N*0) (2*N) (N//2) f32 c64 float"
    " relu softmax identity random random.normal op op.relu all_but(1) all_but([]) pi zeros normal(1) range(3)"
    " (0..4) (0..10000000000) range(-9223372036854775807,9223372036854775807) x.shape x.dtype ((a)=>a)"
    " sequential([]) training full(0.5) x[0] softmax(axis=0) (1/0) (x==x) (-x)"
).replace("'", '"')
VALUES = ODD.split()
NAMES = [name for name, value in BUILTINS.items() if isinstance(value, Builtin)] + [f"op.{name}" for name in OPS]
USES = (
    "y = {}", "state y: [3] = {}\n y := {}", "param w: [3] = {}", "@q({})\n y = x", "assert {}",
    "for q in {} {{ y = q }}", "scan q in {}, axis = 1, carry (h = {}) {{ h = h * 2\n emit q as qs }}",
    "while {}, carry (h = x), max = {} {{ h = h / 2 }}", "if {} {{ y = 1 }}", "(a, b) = {}", "y = spike({})",
    "y = choice {{ a: {}, b: {} }}", 'y = x -> "a{{{}}}": ((a) => {})', "y = {}[{}]", "y = {} + {}", "y = {} // {}",
    "y = {} == {}", "y = x[{}:{}]", "y = {} -> {}", "y = head(w = {}, s = {})({})", "y = [q for q in {}]",
)  # fmt: skip


def outcome(text: str) -> None:
    """Load, elaborate and check; every error must be one that can be shown."""
    try:
        module = load_text(text)
        for model in module.models.values():
            elaborate(model)
            elaborate(model, keep_choices=True)
        check(module)
    except ArchitraveError as problem:
        refused(problem)


def refused(problem: ArchitraveError) -> None:
    assert problem.diagnostics
    assert str(problem).startswith("error[E")


@given(st.data())
def test_random_edits(data: st.DataObject) -> None:
    text = list(data.draw(st.sampled_from(SOURCES)))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text) - 1))
        match data.draw(st.sampled_from(("delete", "swap", "double", "value", "token"))):
            case "delete":
                text[at] = ""
            case "swap":
                other = data.draw(st.integers(0, len(text) - 1))
                text[at], text[other] = text[other], text[at]
            case "double":
                text[at] *= 2
            case "value":
                text[at] = f" {data.draw(st.sampled_from(VALUES))} "
            case _:
                text[at] = f" {data.draw(st.sampled_from(data.draw(st.sampled_from(SOURCES))))} "
    outcome("".join(text))


@st.composite
def calls(draw: st.DrawFn) -> str:
    """A function or operator applied to anything at all."""
    value = st.sampled_from(VALUES)
    given = draw(st.lists(st.one_of(st.just("x"), value), max_size=4))
    named = draw(
        st.dictionaries(st.sampled_from(["axis", "axes", "x", "keep", "k", "dtype", "mode"]), value, max_size=2)
    )
    name = draw(st.sampled_from(NAMES))
    return f"{name}({', '.join([*given, *(f'{key} = {text}' for key, text in named.items())])})"


@given(st.data())
def test_any_value_anywhere(data: st.DataObject) -> None:
    use = data.draw(st.sampled_from(USES))
    holes = [data.draw(st.one_of(calls(), st.sampled_from(VALUES))) for _ in range(3)]
    outcome(
        "block head(w: int = 3, s: list = [1])(x: [N, *S, C / 2]) -> [N, *S, w] {\n return x\n}\n"
        "fn spike(v: [*S]) -> [*S] {\n return v\n} grad (g) {\n return g\n}\n"
        f"model M()(x: [N, 4, 6], i: i64[N, 2], m: bool[N]) {{\n {use.format(*holes)}\n return x\n}}\n"
    )


@given(st.binary(max_size=300))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.arch"
    path.write_bytes(data)
    try:
        load_file(path)
    except ArchitraveError as problem:
        refused(problem)


@given(st.text(max_size=40))
def test_any_text_in_strings_and_names(text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    outcome(f'const s = "{quoted}"\nmodel M()(x: [N]) -> [N] {{\n return x -> "{quoted}": relu\n}}\n')
    outcome(f'"""{text}"""\nmodel M()(x: [N]) -> [N] {{\n return rearrange(x, "{quoted}")\n}}\n')
    outcome(f"model {text}()(x: [{text}]) -> [N] {{\n {text} = x\n return x\n}}\n")


DEEP = 100_000


@pytest.mark.parametrize(
    "text",
    [
        f"const x = {'(' * DEEP}1{')' * DEEP}",
        f"const x = {'[' * DEEP}{']' * DEEP}",
        f"const x = {'-' * DEEP}1",
        f"const x = {'not ' * DEEP}true",
        f"const x = 1{' + 1' * DEEP}",
        f"const x = 1{' -> f' * DEEP}",
        f"const x = {'if true { ' * DEEP}1{' } else { 0 }' * DEEP}",
        f"const x = {'(a) => ' * DEEP}a",
        f"const x = {'choice { a: ' * DEEP}1{' }' * DEEP}",
        f"model M()(x: {'(' * DEEP}[N]{')' * DEEP}) -> [N] {{ return x }}",
        "model M()(x: [N]) -> [N] {\n" + "if true {\n" * DEEP + "}\n" * DEEP + "return x\n}",
        "model M()(x: [N]) -> [N] {\n" + "scan t in 0..2, carry (x = x) {\n" * DEEP + "}\n" * DEEP + "return x\n}",
        f"model M()(x: [N]) -> [N] {{\n return x{' -> relu' * 2_000}\n}}",
        f"const x = [{'1, ' * DEEP}]",
        f"fn f({', '.join(f'a{i}: int' for i in range(10_000))}) -> int = 1",
    ],
    ids=range(15),
)
def test_deep_and_long(text: str) -> None:
    outcome(text)


def test_imports_that_nest(tmp_path: Path) -> None:
    for number in range(150):
        (tmp_path / f"f{number}.arch").write_text(f'from "./f{number + 1}.arch" import x\n', encoding="utf-8")
    with pytest.raises(ArchitraveError, match="E608"):
        load_file(tmp_path / "f0.arch")


@pytest.mark.parametrize(
    "name", ["x" * 5000, "a\\0b", "..", ".", "/", "~", "a b", "é", "\\n", "./x/../y", "http://host/x"]
)
def test_odd_paths(tmp_path: Path, name: str) -> None:
    path = tmp_path / "main.arch"
    path.write_text(f'from "{name}.arch" import x\n', encoding="utf-8")
    with pytest.raises(ArchitraveError, match=r"E60|E1"):
        load_file(path)


@pytest.mark.parametrize("fill", [b"x = 1\n", b"(", b'"', b"#", b"\xff", b"const a = 1\n"])
def test_a_file_of_50_megabytes(tmp_path: Path, fill: bytes) -> None:
    path = tmp_path / "large.arch"
    path.write_bytes(fill * (50_000_000 // len(fill)))
    with pytest.raises(ArchitraveError):
        load_file(path)
