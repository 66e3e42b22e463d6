"""Files that commands write: named as expected, whole or not at all."""

import py_compile
from pathlib import Path

import pytest

from tests.cli.conftest import Cli


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("compile net.arch -b numpy", "net.py"),
        ("compile two.arch:A -b numpy", "a.py"),
        ("compile two.arch --model B -b numpy", "b.py"),
        ("compile ResNet-18 -b numpy --set width=8", "resnet18.py"),
        ("compile net.arch -b numpy -o made", "made/net.py"),
        ("compile net.arch -b numpy -o other.py", "other.py"),
        ("compile odd-name.arch -b numpy", "odd_name.py"),
        ("compile class.arch -b numpy", "class_.py"),
        ("weights init net.arch -o net.safetensors", "net.safetensors"),
    ],
)
def test_where_output_goes(cli: Cli, folder: Path, line: str, written: str) -> None:
    (folder / "made").mkdir()
    for name in ("odd-name.arch", "class.arch"):
        (folder / name).write_text((folder / "net.arch").read_text(encoding="utf-8"), encoding="utf-8")
    before = set(folder.rglob("*"))
    assert cli(*line.split()).code == 0
    assert {str(p.relative_to(folder)) for p in folder.rglob("*") if p not in before} == {written}
    if written.endswith(".py"):
        py_compile.compile(str(folder / written), cfile=str(folder / "compiled"), doraise=True)


def test_a_failed_command_leaves_files_as_they_were(cli: Cli, folder: Path) -> None:
    (folder / "bad.arch").write_text("model M()(x: [N, 4]) -> [N, 5] = x\n", encoding="utf-8")
    for name in ("bad.py", "net.py"):
        (folder / name).write_text("mine", encoding="utf-8")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for line in (
        "compile bad.arch -b numpy",
        "compile bad.arch -b numpy -o new.py",
        "compile net.arch -b cobol -o bad.py",
        "compile net.arch -b numpy",
        "weights init bad.arch -o bad.safetensors",
        "fmt broken.arch bad.arch",
    ):
        assert cli(*line.split()).code == 2
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_fmt_rewrites_what_parses_and_reports_the_rest(cli: Cli, folder: Path) -> None:
    (folder / "a.arch").write_text("model M()(x:[N])->[N]=x\n", encoding="utf-8")
    (folder / "b.arch").write_text("model model\n", encoding="utf-8")
    outcome = cli("fmt", ".")
    assert outcome.code == 2
    assert outcome.out == "reformatted a.arch\n"
    assert "b.arch:1:7" in outcome.err
    assert (folder / "a.arch").read_text(encoding="utf-8") == "model M()(x: [N]) -> [N] = x\n"
    assert (folder / "b.arch").read_text(encoding="utf-8") == "model model\n"


def test_fmt_check_and_diff_write_nothing(cli: Cli, folder: Path) -> None:
    messy = "model M()(x:[N])->[N]=x\n"
    (folder / "a.arch").write_text(messy, encoding="utf-8")
    assert cli("fmt", "--check", "a.arch").out == "would reformat a.arch\n"
    outcome = cli("fmt", "--diff", "a.arch")
    assert outcome.code == 1
    assert outcome.out.splitlines()[3:] == ["-model M()(x:[N])->[N]=x", "+model M()(x: [N]) -> [N] = x"]
    assert (folder / "a.arch").read_text(encoding="utf-8") == messy


def test_a_checkpoint_fits_its_model_and_no_other(cli: Cli) -> None:
    assert cli(*["weights", "init", "net.arch", "-o", "w.safetensors", "--seed", "3", "--dtype", "bf16"]).code == 0
    outcome = cli(*["weights", "inspect", "w.safetensors", "net.arch"])
    assert outcome.code == 0
    assert "they fit Net" in outcome.out
    assert "bf16" in outcome.out
    outcome = cli(*["weights", "inspect", "w.safetensors", "net.arch", "--set", "width=9"])
    assert outcome.code == 2
    assert "`hidden.weight` is [9, 4], but the array is [8, 4]" in outcome.err


def test_a_program_takes_the_place_of_an_earlier_one(cli: Cli, folder: Path) -> None:
    for backend in ("numpy", "torch"):
        assert cli("compile", "net.arch", "-b", backend).code == 0
    assert "import torch" in (folder / "net.py").read_text(encoding="utf-8")
    (folder / "net.py").write_text("mine", encoding="utf-8")
    assert "--output net.py" in cli("compile", "net.arch", "-b", "numpy").err
    assert cli("compile", "net.arch", "-b", "numpy", "--output", "net.py").code == 0


def test_folders_stand_for_the_files_in_them_that_are_the_users(cli: Cli, folder: Path) -> None:
    messy = "model M()(x:[N])->[N]=x\n"
    for name in ("sub/a.arch", ".hidden/b.arch", "env/c.arch", "env/pyvenv.cfg", "empty/d.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(messy, encoding="utf-8")
    assert cli("fmt", ".").out == "reformatted sub/a.arch\n"
    assert (folder / "env" / "c.arch").read_text(encoding="utf-8") == messy
    assert "sub/a.arch" in cli("check", ".").out
    assert "there is no `.arch` file in empty" in cli("check", "empty").err
