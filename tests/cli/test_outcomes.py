"""What each command says, and its exit code: 0 when all is well, 1 when a check fails, 2 for bad input or usage."""

import pytest

from tests.cli.conftest import Cli

OUTCOMES = [
    # check
    ("check net.arch", 0, "Net(x: [N, 4]) -> [N, 3], 67 parameters"),
    ("check net.arch --set classes=5", 0, "-> [N, 5]"),
    ("check two.arch", 1, "FAIL  expect A: params == 11"),
    ("check two.arch", 1, "params is 10 (two.arch:10:1)"),
    ("check two.arch:B", 0, "expect B: params == 40"),
    ("check .", 1, "two.arch"),
    ("check resnet18", 0, "11,689,512 parameters"),
    ("check std.norm", 0, "it declares no model"),
    ("check missing.arch", 2, "there is no file missing.arch"),
    ("check nett.arch", 2, "did you mean `net.arch`?"),
    ("check net", 2, "did you mean the file `net.arch`?"),
    ("check resnet5", 2, "did you mean `ResNet50`?"),
    ("check two.arch:C", 2, "it declares `A`, `B`"),
    ("check net.arch --set clases=5", 2, "did you mean `classes`?"),
    ("check net.arch --set classes=five", 2, "`five` is not a value"),
    ("check net.arch --set classes", 2, "not of the form NAME=VALUE"),
    ("check net.arch --set classes=1 --set classes=2", 2, "`classes` is given twice"),
    ("check", 2, "Missing argument"),
    ("chek net.arch", 2, "did you mean `check`?"),
    ("", 2, "Usage:"),
    # compile
    ("compile two.arch -b numpy", 2, "name one of them: `two.arch:A`, `two.arch:B`"),
    ("compile net.arch -b nump", 2, "did you mean `numpy`?"),
    ("compile net.arch", 2, "Missing option '--backend'"),
    ("compile net.arch -b numpy -o nowhere/net.py", 2, "cannot write nowhere/net.py"),
    # show
    ("show net.arch", 0, "67 parameters"),
    ("show net.arch --at N=2", 0, "112 multiply-adds"),
    ("show net.arch --at M=2", 2, "it has N"),
    ("show net.arch --at N=x", 2, "must be a whole number, not `x`"),
    ("show net.arch --ir", 0, "op.relu"),
    ("show net.arch --params", 0, "hidden.weight"),
    ("show net.arch --choices", 0, "Net has no choices"),
    ("show two.arch:B --choices", 0, "[relu]  gelu"),
    ("show two.arch --model B --choices --decide act=gelu", 0, "relu  [gelu]"),
    ("show two.arch:B --decide act=selu", 2, "`act` has no alternative `selu`"),
    # fmt
    ("fmt net.arch", 0, ""),
    ("fmt --check net.arch", 0, ""),
    ("fmt --check .", 0, ""),
    ("fmt net.arch -", 2, "`-` stands alone"),
    ("fmt missing.arch", 2, "there is no file missing.arch"),
    # list and ops
    ("list linear", 0, "block linear(out: int, bias: bool = true"),
    ("list resnet50", 0, "25,557,032 parameters"),
    ("list lineer", 2, "there is no model `lineer`"),
    ("ops", 0, "softmax"),
    ("ops softmax", 0, "op.softmax(x, axis = -1)"),
    ("ops soft*", 0, "softplus"),
    ("ops sofmax", 2, "did you mean `softmax`?"),
    # weights
    ("weights inspect net.arch", 2, "it is not a safetensors file"),
    ("weights init net.arch", 2, "Missing option '--output'"),
    # verify
    ("verify net.arch --backend nump", 2, "did you mean `numpy`?"),
    ("verify net.arch --dtype f8", 2, "'f8' is not one of"),
    ("verify net.arch --backend numpy --size M=2", 2, "it has N"),
]


@pytest.mark.parametrize(("line", "code", "said"), OUTCOMES, ids=[f"{line} {said}"[:60] for line, _, said in OUTCOMES])
def test_outcome(cli: Cli, line: str, code: int, said: str) -> None:
    outcome = cli(*line.split())
    assert (outcome.code, said in outcome.out + outcome.err) == (code, True), outcome
    assert "Traceback" not in outcome.err


def test_agreement_is_the_exit_code_of_verify(cli: Cli) -> None:
    outcome = cli("verify", "net.arch", "--backend", "numpy")
    assert outcome.code == 0
    assert "Net: the backends agree" in outcome.out
    assert "numpy/oracle" in outcome.out


@pytest.mark.parametrize("line", ["--version", "--help", "check --help", "weights --help", "weights init -h"])
def test_help_and_version(cli: Cli, line: str) -> None:
    outcome = cli(*line.split())
    assert outcome.code == 0
    assert outcome.out
    assert not outcome.err
