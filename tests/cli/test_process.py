"""The program as the shell sees it: interrupts, pipes, colours, mistakes of its own, and what it imports."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

import architrave.models
from architrave.cli.report import show_error
from architrave.ir.source import Source, Span, error
from tests.cli.conftest import Cli


def program(*arguments: str, **options: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "architrave", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "line",
    [["check", "resnet50"], ["show", "resnet18"], ["compile", "net.arch", "-b", "torch", "-o", "-"], ["ops"]],
    ids=" ".join,
)
def test_frameworks_are_not_imported(folder: Path, line: list[str]) -> None:
    code = (
        "import sys; from architrave.cli.app import run; code = run(sys.argv[1:]);"
        "heavy = {'torch', 'jax', 'networkx', 'lark', 'numpy'} & set(sys.modules);"
        "print(code, *heavy, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *line], capture_output=True, text=True, check=True, cwd=folder)
    assert done.stderr.splitlines()[-1] == "0"


def test_rich_is_left_alone_by_check(folder: Path) -> None:
    code = "import sys; from architrave.cli.app import run; run(['check', 'net.arch']); print('rich' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder)
    assert done.stdout.splitlines()[-1] == "False"


def test_a_reader_that_stops_is_no_error(folder: Path) -> None:
    script = f"{sys.executable} -m architrave ops | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, cwd=folder)
    first, code = done.stdout.splitlines()
    assert first.startswith("operator")
    assert (code in ("0", "141"), done.stderr) == (True, "")


def test_standard_input(folder: Path) -> None:
    messy = "model  M()( x:[N,2] )->[N,2]=relu( x )\n"
    done = program("fmt", "-", input=messy, cwd=folder)
    assert (done.returncode, done.stdout) == (0, "model M()(x: [N, 2]) -> [N, 2] = relu(x)\n")
    done = program("check", "-", input=messy, cwd=folder)
    assert (done.returncode, "M(x: [N, 2]) -> [N, 2]" in done.stdout) == (0, True)


def failing(problem: BaseException) -> object:
    def find(name: str) -> object:
        raise problem

    return find


@pytest.mark.parametrize(
    ("problem", "code", "said"),
    [
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(), 141, ""),
        (OSError(28, "No space left on device"), 2, "No space left on device"),
        (RuntimeError("oh no"), 70, "internal error: RuntimeError: oh no"),
        (MemoryError(), 70, "internal error: MemoryError"),
    ],
    ids=repr,
)
def test_what_ends_a_command(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, problem: BaseException, code: int, said: str
) -> None:
    monkeypatch.setattr(architrave.models, "find", failing(problem))
    monkeypatch.setattr("architrave.cli.app._discard_output", lambda: None)
    outcome = cli("show", "net.arch")
    assert outcome.code == code
    assert said in outcome.err
    assert "Traceback" not in outcome.err


def test_debug_shows_where_an_internal_error_happened(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(architrave.models, "find", failing(RuntimeError("oh no")))
    outcome = cli("--debug", "show", "net.arch")
    assert outcome.code == 70
    assert "Traceback" in outcome.err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "variables", "coloured"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_errors_are_coloured_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, variables: dict[str, str], coloured: bool
) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stderr", stream)
    show_error(error("E201", "`y` is not defined", Span(Source("a.arch", "x + y"), 4, 5), hint="look again"))
    plain = "error[E201]: `y` is not defined\n  --> a.arch:1:5\n  1 | x + y\n    |     ^\n  help: look again\n"
    assert (stream.getvalue() == plain) is not coloured
    assert ("\x1b[" in stream.getvalue()) is coloured


def test_names_of_files_cannot_write_to_the_terminal(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda *_: False)
    (folder / "a\x1b[2Jb.arch").write_text("model M()(x: [N]) -> [N] = x", encoding="utf-8")
    for line in (["check", "."], ["fmt", "--check", "."], ["fmt", "--diff", "."], ["fmt", "."]):
        outcome = cli(*line)
        assert "\x1b[2J" not in outcome.out + outcome.err
